"""Preprocessors' files fetched from a server of our own: whole, resumed, damaged, gone."""

import hashlib
import http.server
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.small import Ears
from webui.catalog.annotators import annotator_folders, found, place
from webui.catalog.detectors import WeightFile, fetchable, find_detector
from webui.domain import FetchRequest, Wish
from webui.settings import Settings, flat
from webui.tools.fetch import FetchDamaged, FetchFailed, fetch, run_fetch, sources_of

pytestmark = pytest.mark.torch

BODY = b"PK\x03\x04" + bytes(range(256)) * 9000


class Server(http.server.BaseHTTPRequestHandler):
    """Serves /file (with ranges), /short (a connection that breaks), /page (HTML), /gone."""

    asked: list[tuple[str, str | None]]
    body = BODY

    def do_GET(self) -> None:
        span = self.headers.get("Range")
        type(self).asked.append((self.path, span))
        if self.path == "/gone":
            self.send_error(404)
            return
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/file")
            self.end_headers()
            return
        body = b"<html>come back later</html>" if self.path == "/page" else self.body
        first = int(span.removeprefix("bytes=").rstrip("-")) if span else 0
        if first >= len(body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(body)}")
            self.end_headers()
            return
        self.send_response(206 if span else 200)
        self.send_header("Content-Length", str(len(body) - first))
        self.end_headers()
        self.wfile.write(body[first : len(body) // 2] if self.path == "/short" else body[first:])

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def server():
    handler = type("Handler", (Server,), {"asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield SimpleNamespace(at=f"http://127.0.0.1:{running.server_port}", asked=handler.asked)
        running.shutdown()
        thread.join()


def weight(*sources: str, sha256: str = "") -> WeightFile:
    return WeightFile(name="body_pose_model.pth", folders=("openpose",), sources=sources, sha256=sha256)


def test_a_file_comes_whole_to_its_place(server, tmp_path: Path) -> None:
    file = weight(f"{server.at}/moved", sha256=hashlib.sha256(BODY).hexdigest())
    shares: list[float] = []
    path = fetch(file, place(file, (tmp_path,)), told=shares.append)
    assert path == tmp_path / "openpose" / "body_pose_model.pth"
    assert path.read_bytes() == BODY
    assert found(file, (tmp_path,)) == path
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_broken_download_is_no_file_and_goes_on_where_it_stopped(server, tmp_path: Path) -> None:
    path = tmp_path / "body_pose_model.pth"
    with pytest.raises(FetchFailed) as caught:
        fetch(weight(f"{server.at}/short"), path)
    assert caught.value.fields["sources"] == [f"{server.at}/short"]
    assert not path.exists()
    half = path.with_name("body_pose_model.pth.part").stat().st_size
    assert half == len(BODY) // 2
    fetch(weight(f"{server.at}/file"), path)
    assert server.asked[-1] == ("/file", f"bytes={half}-")
    assert path.read_bytes() == BODY


def test_what_is_whole_already_is_not_asked_for_again(server, tmp_path: Path) -> None:
    path = tmp_path / "body_pose_model.pth"
    path.with_name("body_pose_model.pth.part").write_bytes(BODY)
    assert fetch(weight(f"{server.at}/file"), path).read_bytes() == BODY


def test_the_next_address_is_tried(server, tmp_path: Path) -> None:
    path = fetch(weight(f"{server.at}/gone", f"{server.at}/file"), tmp_path / "body_pose_model.pth")
    assert path.read_bytes() == BODY


@pytest.mark.parametrize(("page", "sha256"), [("/page", ""), ("/file", "0" * 64)])
def test_something_else_than_the_file_is_not_kept(server, tmp_path: Path, page: str, sha256: str) -> None:
    with pytest.raises(FetchDamaged):
        fetch(weight(server.at + page, sha256=sha256), tmp_path / "body_pose_model.pth")
    assert list(tmp_path.iterdir()) == []


def test_without_a_network_it_is_said_where_the_file_goes(tmp_path: Path) -> None:
    with pytest.raises(FetchFailed) as caught:
        fetch(weight("http://127.0.0.1:9/file"), tmp_path / "a" / "body_pose_model.pth")
    assert caught.value.fields["folder"] == str(tmp_path / "a")
    assert caught.value.fields["reason"]


def test_the_job_fetches_what_a_preprocessor_lacks_and_can_be_stopped(server, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.at)
    monkeypatch.setattr(Server, "do_GET", _any_path(Server.do_GET))
    bench = SimpleNamespace(annotators=(tmp_path,))
    ears = Ears()
    request = FetchRequest(module="openpose_full")
    result = run_fetch(request, settings=flat(Settings()), reporter=ears, bench=bench)
    assert [note[0] for note in result.notes] == ["fetched"] * 3
    assert ears.progress[-1].fraction == 1.0
    assert {path.name for path in (tmp_path / "openpose").iterdir()} == {
        "body_pose_model.pth", "hand_pose_model.pth", "facenet.pth",
    }  # fmt: skip
    assert run_fetch(request, settings=flat(Settings()), reporter=ears, bench=bench).notes == ()
    ears._wish = Wish.STOP
    stopped = run_fetch(FetchRequest(module="hed"), settings=flat(Settings()), reporter=ears, bench=bench)
    assert stopped.stopped
    assert not (tmp_path / "hed" / "ControlNetHED.pth").exists()


def _any_path(serve):
    def served(self) -> None:
        self.path = "/file"
        serve(self)

    return served


def test_only_addresses_of_the_table_are_asked_and_a_mirror_stands_for_the_hub() -> None:
    file = find_detector("hed").weights[0]
    assert sources_of(file, {}) == file.sources
    assert sources_of(file, {"HF_ENDPOINT": "https://hf-mirror.com/"}) == [
        "https://hf-mirror.com/lllyasviel/Annotators/resolve/main/ControlNetHED.pth"
    ]
    assert sources_of(file, {"HF_ENDPOINT": "file:///etc"}) == file.sources
    assert {source.split("/")[2] for file in fetchable().values() for source in file.sources} == {"huggingface.co"}


def test_files_are_looked_for_where_a1111_and_forge_keep_them(tmp_path: Path) -> None:
    flags = SimpleNamespace(
        controlnet_annotator_models_path=(), controlnet_preprocessor_models_dir=(), models_dir=None,
        a1111_home=tmp_path / "aki", forge_ref_a1111_home=None,
    )  # fmt: skip
    folders = annotator_folders(flags, tmp_path)
    file = find_detector("hed").weights[0]
    assert place(file, folders) == tmp_path / "models" / "ControlNet" / "annotators" / "hed" / "ControlNetHED.pth"
    theirs = tmp_path / "aki" / "extensions" / "sd-webui-controlnet" / "annotator" / "downloads" / "hed"
    theirs.mkdir(parents=True)
    (theirs / "ControlNetHED.pth").write_bytes(BODY)
    assert found(file, folders) == theirs / "ControlNetHED.pth"
    copy = tmp_path / "models" / "ControlNet" / "annotators" / "ControlNetHED.safetensors"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"")
    assert found(file, folders) == copy
    flags.controlnet_annotator_models_path = (tmp_path / "named",)
    assert annotator_folders(flags, tmp_path)[0] == tmp_path / "named"
