"""One command from a fresh clone to the page: `python launch.py`, with Python 3.11 to 3.13 and nothing else.

Read `main` first. Set-up is a row of phases (`RUNTIME`), each recorded when it is finished, so that an install killed
half-way goes on where it was, a second start finds everything recorded and touches no network, and a moved folder is
mended offline. Then `python -m webui` takes over inside `.venv`; `python launch.py --test` runs the suite.

Extensions' install.py import this module for `is_installed`, `run_pip`, `run` and `args`. Standard library alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib.metadata
import importlib.util
import io
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from webui.settings.flags import Flags

ROOT = Path(__file__).resolve().parent
PYTHONS = ((3, 11), (3, 12), (3, 13))
WINDOWS = os.name == "nt"
TORCH_INDEXES = "https://download.pytorch.org/whl"
CRAWL = 300_000  # bytes/s; below it a 3 GB build takes hours, the plain index is worth the larger download
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")

python = sys.executable  # extensions read it
index_url = os.environ.get("INDEX_URL", "")


class SetupFailed(Exception):
    """Set-up cannot go on; the words say what to do next."""


# ---- what is said ----------------------------------------------------------------------------------------------------


def say(key: str, **values: object) -> str:
    """A sentence of `webui/words/launch.py` in the console's language."""
    from webui.settings.flags import console_language
    from webui.words.launch import SENTENCES  # this table alone: set-up must speak whatever the others hold

    chinese, english = SENTENCES[f"launch_{key}"]
    return (chinese if console_language(env=os.environ) == "zh-CN" else english).format(**values)


def tell(key: str, **values: object) -> None:
    print(say(key, **values), flush=True)


# ---- where things are ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Environment:
    """A virtual environment on the disk."""

    folder: Path

    @property
    def scripts(self) -> Path:
        return self.folder / ("Scripts" if WINDOWS else "bin")

    @property
    def python(self) -> Path:
        return self.scripts / ("python.exe" if WINDOWS else "python")

    @property
    def packages(self) -> Path:
        if WINDOWS:
            return self.folder / "Lib" / "site-packages"
        return next(iter(sorted(self.folder.glob("lib/python3.*/site-packages"))), self.folder / "lib")

    def version(self) -> tuple[int, int] | None:
        """The Python it was made with, as its own record says; None where there is no record."""
        with contextlib.suppress(OSError):
            text = (self.folder / "pyvenv.cfg").read_text("utf-8", "replace")
            found = re.search(r"^version(?:_info)?\s*=\s*(\d+)\.(\d+)", text, re.MULTILINE)
            return (int(found[1]), int(found[2])) if found else None
        return None

    def works(self) -> bool:
        """Whether its Python starts and has pip."""
        return self.python.exists() and quiet([self.python, "-c", "import pip"])


@dataclass(frozen=True)
class State:
    """What set-up has finished here. Written atomically; `running` is the phase a kill would leave unfinished."""

    location: str = ""
    running: str = ""
    done: Mapping[str, str] = field(default_factory=dict[str, str])  # phase -> what it was done for
    own_torch: str = ""  # the TORCH_COMMAND that chose the build, else empty

    @staticmethod
    def read(path: Path) -> State:
        try:
            found: dict[str, Any] = json.loads(path.read_text("utf-8"))
            return State(found["location"], found["running"], dict(found["done"]), found["own_torch"])
        except (OSError, ValueError, KeyError, TypeError):
            return State()

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("w", encoding="utf-8") as out:
            json.dump(
                {
                    "location": self.location,
                    "running": self.running,
                    "done": dict(self.done),
                    "own_torch": self.own_torch,
                },
                out,
            )
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)


def quiet(command: Sequence[str | Path], timeout: float = 60) -> bool:
    """Whether a command ends well, saying nothing."""
    try:
        return subprocess.run([*map(str, command)], capture_output=True, timeout=timeout, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@contextlib.contextmanager
def alone(path: Path) -> Generator[None]:
    """One set-up at a time in one folder; the second waits for the first."""
    with path.open("a+b") as handle:
        if WINDOWS:
            import msvcrt

            while True:
                with contextlib.suppress(OSError):
                    msvcrt.locking(handle.fileno(), msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined]
                    break
        else:
            import fcntl

            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                tell("waiting")
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield


# ---- what is wanted --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wanted:
    """The requirements of pyproject.toml, apart as they are installed."""

    pip: str
    torch: tuple[str, ...]
    packages: tuple[str, ...]
    test: tuple[str, ...]
    constraints: Path

    @staticmethod
    def read(root: Path) -> Wanted:
        import tomllib  # 3.11; an older Python must get as far as its own message

        project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
        runtime: list[str] = project["dependencies"]
        constraints = root / "constraints.txt"
        pip = next((line for line in constraints.read_text("utf-8").splitlines() if line.startswith("pip==")), "")
        return Wanted(
            pip=pip,
            torch=tuple(line for line in runtime if plain(line)[0] in ("torch", "torchvision")),
            packages=tuple(line for line in runtime if plain(line)[0] not in ("torch", "torchvision")),
            test=tuple(project.get("optional-dependencies", {}).get("test", ())),
            constraints=constraints,
        )

    def of(self, phase: str) -> tuple[str, ...]:
        """The requirement strings a phase installs."""
        return {
            "pip": (self.pip,) if self.pip else (),
            "torch": self.torch,
            "packages": self.packages,
            "test": self.test,
        }.get(phase, ())

    def mark(self, phase: str) -> str:
        """What a finished phase was done for; another mark means doing it again."""
        pins = self.constraints.read_bytes() if phase in ("packages", "test") else b""
        return hashlib.sha256("\n".join(sorted(self.of(phase))).encode() + pins).hexdigest()[:16]


def plain(requirement: str) -> tuple[str, str]:
    """("numpy", "2.4.6") of `numpy==2.4.6`, the name as pip normalises it."""
    name, _, version = requirement.split(";")[0].partition("==")
    return re.sub(r"[-_.]+", "-", name.split("[")[0].strip()).lower(), version.strip()


# ---- is it there? ----------------------------------------------------------------------------------------------------


def installed(packages: Path) -> dict[str, str]:
    """name → version of everything in a site-packages, from the names of its folders alone."""
    found: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for entry in packages.iterdir():
            if entry.name.endswith(".dist-info"):
                name, _, version = entry.name.removesuffix(".dist-info").rpartition("-")
                found[plain(name)[0]] = version
    return found


def missing(requirements: Sequence[str], have: Mapping[str, str]) -> tuple[str, ...]:
    """Requirements not met; a build's own tag (2.15.0+cpu) does not count against it."""
    return tuple(
        line
        for line in requirements
        if (version := have.get(plain(line)[0])) is None
        or (plain(line)[1] and version.split("+")[0] != plain(line)[1].split("+")[0])
    )


def unfinished(environment: Environment, state: State, wanted: Wanted, phases: Sequence[str]) -> tuple[str, ...]:
    """The phases still to do. Empty is the everyday answer: two small files and one folder listing were read."""
    if state.running or state.location != str(environment.folder) or not environment.python.exists():
        return tuple(phases)
    have = installed(environment.packages)
    todo = [phase for phase in phases if state.done.get(phase) != wanted.mark(phase)]
    for phase in phases:
        free = phase == "torch" and bool(state.own_torch)  # TORCH_COMMAND may have chosen another version
        lacking = [line for line in missing(wanted.of(phase), have) if not free or plain(line)[0] not in have]
        if lacking and phase not in todo:
            todo.append(phase)
    return tuple(phase for phase in phases if phase in todo)


def discard_broken(packages: Path) -> tuple[str, ...]:
    """Forget packages a kill left half written, so that pip installs them again. Returns their names.

    pip writes INSTALLER and its own RECORD last; before that the folder may already look installed.
    """
    broken: list[str] = []
    for folder in sorted(packages.glob("*.dist-info")):
        if not whole(folder):
            broken.append(folder.name.removesuffix(".dist-info"))
            shutil.rmtree(folder, ignore_errors=True)
    for leftover in packages.glob("~*"):  # what pip set aside while replacing
        shutil.rmtree(leftover, ignore_errors=True) if leftover.is_dir() else leftover.unlink(missing_ok=True)
    return tuple(broken)


def whole(folder: Path) -> bool:
    """Whether everything a dist-info's RECORD names is there with the size it says."""
    import csv

    if not (folder / "INSTALLER").is_file() or not (folder / "METADATA").is_file():
        return False
    try:
        with (folder / "RECORD").open(encoding="utf-8", newline="") as lines:
            for name, _, size, *_ in csv.reader(lines):
                if name.endswith(".pyc"):
                    continue
                if size and (folder.parent / name).stat().st_size != int(size):
                    return False
    except (OSError, ValueError):
        return False
    return True


# ---- a Python to stand on --------------------------------------------------------------------------------------------


def pythons_here(version: tuple[int, int] | None = None) -> Iterator[Path]:
    """Pythons of this machine fit for `.venv`, the one that runs us first; only that version where one is given."""
    allowed = (version,) if version else tuple(reversed(PYTHONS))
    if sys.version_info[:2] in allowed:
        yield Path(getattr(sys, "_base_executable", "") or sys.executable)
    for major, minor in allowed:
        if WINDOWS:
            found = subprocess_text(["py", f"-{major}.{minor}", "-c", "import sys; print(sys.executable)"])
        else:
            found = shutil.which(f"python{major}.{minor}") or ""
        rest = Path.home().glob(f".pyenv/versions/{major}.{minor}.*/bin/python")
        for each in [*([Path(found)] if found else []), *sorted(rest, reverse=True)]:
            if subprocess_text([each, "-c", "import sys; print(*sys.version_info[:2])"]) == f"{major} {minor}":
                yield each


def subprocess_text(command: Sequence[str | Path]) -> str:
    """What a command prints, or nothing."""
    try:
        return subprocess.run(
            [*map(str, command)], capture_output=True, timeout=20, check=True, encoding="utf-8"
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""


def make_environment(environment: Environment, base: Path) -> None:
    """`.venv` with pip, by this Python; Debian's Python without ensurepip borrows its own pip."""
    tell("making", folder=environment.folder)
    if quiet([base, "-m", "venv", "--clear", environment.folder], timeout=600):
        return
    made = quiet([base, "-m", "venv", "--clear", "--without-pip", environment.folder], timeout=600)
    if not made or not quiet([base, "-m", "pip", "--python", environment.python, "install", "pip"], timeout=600):
        raise SetupFailed(say("no_venv", python=base))


def mend_moved(environment: Environment, old: str) -> bool:
    """A folder that was moved, or whose Python moved, works again without a network. False: it must be made anew."""
    version = environment.version()
    if version is None or not environment.packages.is_dir():
        return False
    tell("moved", folder=environment.folder)
    base = next(pythons_here(version), None)
    if base is None:
        return False
    for link in environment.scripts.glob("python*"):
        if link.is_symlink():
            link.unlink()
    # Not --clear: links, pyvenv.cfg and the activate scripts are written anew, packages stay.
    if not quiet([base, "-m", "venv", "--without-pip", environment.folder], timeout=600):
        return False
    for script in environment.scripts.iterdir():
        if script.is_file() and not script.is_symlink():
            mend_script(script, environment.python)
    return environment.works()


def mend_script(script: Path, interpreter: Path) -> None:
    """Point a console script at this interpreter; what is not a Python script of a package is left alone."""
    data = script.read_bytes()
    if script.suffix == ".exe":
        # A launcher, then `#!python`, then a zip.
        changed = re.sub(
            rb'#!"?[^"\r\n]*pythonw?\.exe"?(\r?\n)(?=PK\x03\x04)',
            lambda found: b'#!"' + str(interpreter).encode() + b'"' + found[1],
            data,
        )
    else:
        changed = re.sub(
            rb"\A#!(?:/bin/sh\n'''exec' [^\n]*\n' '''|[^\n]*python[0-9.]*)[ \t]*\n",
            lambda _: shebang(interpreter),
            data,
        )
    if changed != data:
        mode = script.stat().st_mode
        part = script.with_name(script.name + ".part")
        part.write_bytes(changed)
        part.chmod(mode)
        part.replace(script)


def shebang(interpreter: Path) -> bytes:
    """A first line that starts this interpreter; a long path or one with spaces goes by way of sh, as pip writes it."""
    path = str(interpreter)
    if len(path) > 120 or " " in path:
        return f"#!/bin/sh\n'''exec' \"{path}\" \"$0\" \"$@\"\n' '''\n".encode()
    return f"#!{path}\n".encode()


# ---- installing ------------------------------------------------------------------------------------------------------


def clean_env() -> dict[str, str]:
    """The environment for a child inside `.venv`: UTF-8 everywhere, nobody else's Python home, no telemetry."""
    env = {
        key: value
        for key, value in os.environ.items()
        if key not in ("PYTHONHOME", "__PYVENV_LAUNCHER__", "PIP_USER", "PIP_TARGET")
    }
    return env | {
        "PYTHONUTF8": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "GRADIO_ANALYTICS_ENABLED": "False",
    }


def pip_install(environment: Environment, arguments: Sequence[str], *, constraints: Path | None = None) -> bool:
    """`pip install` shown as it runs."""
    command = [str(environment.python), "-m", "pip", "install", *arguments]
    if constraints is not None:
        command += ["--constraint", str(constraints)]
    pip = installed(environment.packages).get("pip", "0").split(".")
    if pip[0].isdigit() and int(pip[0]) >= 26:
        command += ["--resume-retries", "20"]  # a broken download of gigabytes goes on, it does not begin again
    return subprocess.run(command, env=clean_env(), check=False).returncode == 0


def index_arguments() -> list[str]:
    return ["--index-url", os.environ["INDEX_URL"]] if os.environ.get("INDEX_URL") else []


def install_torch(environment: Environment, wanted: Wanted, *, again: bool) -> str:
    """torch and torchvision in one command from one index. Returns the TORCH_COMMAND that was used, if one was."""
    force = ["--force-reinstall"] if again else []
    own = os.environ.get("TORCH_COMMAND", "").strip()
    if own:
        tell("torch_own", command=own)
        words = shlex.split(own)
        command = [str(environment.python), "-m", *words] if words[0].startswith("pip") else words
        if subprocess.run(command + force, env=clean_env(), check=False).returncode != 0:
            raise SetupFailed(say("failed", what=own))
        return own
    for index in torch_indexes(wanted.torch[0]):
        tell("torch_from", index=index or say("plain_index"))
        source = ["--index-url", index] if index else index_arguments()
        # PyTorch's own index carries other versions of small packages: the pins come in the next phase.
        if pip_install(
            environment, [*force, *source, *wanted.torch], constraints=None if index else wanted.constraints
        ):
            return ""
    raise SetupFailed(say("failed", what=" ".join(wanted.torch)))


def torch_indexes(requirement: str) -> list[str]:
    """Where to take torch from, best first; "" is pip's plain index."""
    chosen = os.environ.get("TORCH_INDEX_URL", "")
    if chosen:
        return [chosen]
    driver = nvidia_driver()
    if os.environ.get("INDEX_URL") or sys.platform == "darwin":
        if driver and WINDOWS:
            tell("torch_plain_windows")
        return [""]
    best = reachable_build(build_names(driver), plain(requirement)[1])
    if not best and driver and WINDOWS:
        tell("torch_plain_windows")
    return [best, ""] if best else [""]


@dataclass(frozen=True)
class Driver:
    """An NVIDIA driver that answered: the CUDA it can run, the weakest card's compute capability."""

    cuda: tuple[int, int]
    capability: tuple[int, int] = (99, 0)


def nvidia_driver() -> Driver | None:
    """What nvidia-smi says, else the driver library; None where neither answers with a card."""
    text = subprocess_text(["nvidia-smi"])
    found = re.search(r"CUDA(?: UMD)? Version:\s*(\d+)\.(\d+)", text)
    if found:
        caps = subprocess_text(["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"])
        weakest = min(
            (tuple(map(int, cap.split("."))) for cap in re.findall(r"^\d+\.\d+$", caps, re.MULTILINE)), default=(99, 0)
        )
        return Driver((int(found[1]), int(found[2])), (weakest[0], weakest[1]))
    return driver_library()


def driver_library() -> Driver | None:
    """The driver asked directly, for machines without nvidia-smi."""
    try:
        cuda = ctypes.CDLL("nvcuda.dll" if WINDOWS else "libcuda.so.1")
    except OSError:
        return None
    version, count, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    if (
        cuda.cuInit(0)
        or cuda.cuDriverGetVersion(ctypes.byref(version))
        or cuda.cuDeviceGetCount(ctypes.byref(count))
        or not count.value
    ):
        return None
    seen: list[tuple[int, int]] = []
    for card in range(count.value):
        # 75 and 76 are CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR.
        if not cuda.cuDeviceGetAttribute(ctypes.byref(major), 75, card) and not cuda.cuDeviceGetAttribute(
            ctypes.byref(minor), 76, card
        ):
            seen.append((major.value, minor.value))
    return Driver((version.value // 1000, version.value % 1000 // 10), min(seen, default=(99, 0)))


def build_names(driver: Driver | None) -> tuple[str, ...]:
    """PyTorch's builds this machine can run, newest first. CUDA 13 dropped cards before Turing (7.5)."""
    if driver is None:
        return ("cpu",)
    if driver.cuda >= (13, 0) and driver.capability >= (7, 5):
        return ("cu132", "cu130", "cu129", "cu128", "cu126")
    if driver.cuda >= (12, 0):
        return ("cu129", "cu128", "cu126") if driver.capability >= (7, 5) else ("cu126",)
    return ("cu118", "cpu")


def reachable_build(names: Sequence[str], version: str, base: str = TORCH_INDEXES, crawl: float = CRAWL) -> str:
    """The first index that offers this torch for us and gives it at a bearable pace; "" where none does."""
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    machine = platform.machine().lower()
    system = "win_amd64" if WINDOWS else "aarch64" if machine in ("aarch64", "arm64") else machine
    for name in names:
        try:
            with urllib.request.urlopen(f"{base}/{name}/torch/", timeout=5) as answer:
                page = answer.read(4_000_000).decode("utf-8", "replace")
                at = answer.geturl()
        except urllib.error.HTTPError:
            continue  # there is no such build
        except (OSError, ValueError):
            return ""  # the host does not answer: the others are on the same one
        links = re.findall(r'href="([^"#]+\.whl)', page)
        fit = [link for link in links if f"torch-{version}" in link and f"-{tag}-{tag}-" in link and system in link]
        if fit:
            speed = pace(urllib.parse.urljoin(at, fit[-1]))
            return f"{base}/{name}" if speed >= crawl else ""
    return ""


def pace(address: str, sample: int = 4_000_000, patience: float = 8) -> float:
    """Bytes per second of the first megabytes of a file, 0 where it does not come."""
    began, got = time.monotonic(), 0
    try:
        asked = urllib.request.Request(address, headers={"Range": f"bytes=0-{sample - 1}"})
        with urllib.request.urlopen(asked, timeout=5) as answer:
            while got < sample and time.monotonic() - began < patience:
                block = answer.read1(65536) if hasattr(answer, "read1") else answer.read(65536)
                if not block:
                    break
                got += len(block)
    except (OSError, ValueError):
        return 0.0
    return got / max(time.monotonic() - began, 1e-3)


def freeze(environment: Environment, wanted: Wanted) -> Path:
    """constraints.txt with the torch that is really installed; what extensions install obeys it."""
    have = installed(environment.packages)
    lines = [
        line
        for line in wanted.constraints.read_text("utf-8").splitlines()
        if plain(line)[0] not in ("torch", "torchvision")
    ]
    lines += [f"{name}=={have[name]}" for name in ("torch", "torchvision") if name in have]
    path = environment.folder / "maple-constraints.txt"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


RUNTIME = ("pip", "torch", "packages")


def prepare(root: Path, flags: Flags, phases: Sequence[str] = RUNTIME) -> Environment:
    """`.venv` with everything in it. Does what is not recorded as done, and nothing at all on an everyday start."""
    environment = Environment(root / ".venv")
    if flags.skip_prepare_environment:
        return environment
    wanted = Wanted.read(root)
    record = environment.folder / "maple-setup.json"
    if not flags.reinstall_torch and not unfinished(environment, State.read(record), wanted, phases):
        return environment
    if flags.skip_install:
        tell("skipped")
        return environment
    with alone(root / ".venv.lock"):
        state = stand(environment, State.read(record))
        todo = unfinished(environment, state, wanted, phases)
        if flags.reinstall_torch and "torch" not in todo:
            todo = tuple(phase for phase in phases if phase in todo or phase == "torch")
        for phase in todo:
            state = replace(state, running=phase)
            state.write(record)
            own = install(phase, environment, wanted, state, again=flags.reinstall_torch)
            state = replace(state, running="", done={**state.done, phase: wanted.mark(phase)}, own_torch=own)
            state.write(record)
        freeze(environment, wanted)
    if todo:
        tell("ready")
    return environment


def stand(environment: Environment, state: State) -> State:
    """A `.venv` whose Python starts, here, with no half-written package; the record of what is already in it."""
    location, record = str(environment.folder), environment.folder / "maple-setup.json"
    here = state.location == location and environment.works()
    if not here and state.location and mend_moved(environment, state.location):
        here = True
    if not here and not environment.works():
        base = next(pythons_here(), None)
        if base is None:
            raise SetupFailed(say("no_python"))
        make_environment(environment, base)
        state = State()
    if state.running:
        broken = discard_broken(environment.packages)
        tell("resuming", phase=state.running, broken=", ".join(broken) or "-")
        state = replace(
            state, running="", done={key: value for key, value in state.done.items() if key != state.running}
        )
    state = replace(state, location=location)
    state.write(record)
    return state


def install(phase: str, environment: Environment, wanted: Wanted, state: State, *, again: bool) -> str:
    """One phase. Returns the TORCH_COMMAND in force. Raises SetupFailed with what to do next."""
    tell(f"phase_{phase}")
    if phase == "torch":
        return install_torch(environment, wanted, again=again)
    requirements = list(wanted.of(phase))
    pins = None if phase == "pip" else freeze(environment, wanted)
    if requirements and not pip_install(environment, [*index_arguments(), *requirements], constraints=pins):
        if phase == "pip":
            return state.own_torch  # the pip that came with Python does too
        raise SetupFailed(say("failed", what=" ".join(requirements)))
    return state.own_torch


# ---- tests -----------------------------------------------------------------------------------------------------------


def find_chromium() -> str:
    """A Chromium for the browser tests: MAPLE_CHROMIUM, PATH, the usual places."""
    named = os.environ.get("MAPLE_CHROMIUM", "")
    if named:
        return named
    usual = [
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
        *(
            str(Path(os.environ.get(root, "C:/")) / tail)
            for root in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA")
            for tail in ("Google/Chrome/Application/chrome.exe", "Microsoft/Edge/Application/msedge.exe")
            if WINDOWS
        ),
    ]
    return next((found for name in CHROMIUM_NAMES if (found := shutil.which(name))), "") or next(
        filter(os.path.exists, usual), ""
    )


def provide_chromium(environment: Environment) -> str:
    """Chromium and a CJK font, from Debian where we may. Returns its path, empty for Playwright's own."""
    as_root = hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get")
    wanted = [] if find_chromium() else ["chromium"]
    if as_root and not subprocess_text(["fc-list", ":lang=zh-cn", "family"]):
        wanted += ["fontconfig", "fonts-noto-cjk"]
    if as_root and not shutil.which("ip"):
        wanted.append("iproute2")  # the tests that let two machines talk make a network of their own
    if as_root and wanted:
        tell("apt", what=" ".join(wanted))
        env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-q"], env=env, check=False)
        subprocess.run(["apt-get", "install", "-y", "-q", "--no-install-recommends", *wanted], env=env, check=False)
    found = find_chromium()
    if (
        not found
        and subprocess.run(
            [str(environment.python), "-m", "playwright", "install", "chromium"], env=clean_env(), check=False
        ).returncode
    ):
        raise SetupFailed(say("no_chromium"))
    return found


def run_tests(root: Path, arguments: Sequence[str]) -> int:
    """The whole suite, or what pytest's own arguments choose."""
    from webui.settings.flags import Flags

    environment = prepare(root, Flags(), (*RUNTIME, "test"))
    chromium = provide_chromium(environment)
    env = clean_env() | {"OMP_NUM_THREADS": "1"} | ({"MAPLE_CHROMIUM": chromium} if chromium else {})
    return subprocess.run(
        [str(environment.python), "-m", "pytest", *arguments], cwd=root, env=env, check=False
    ).returncode


# ---- what extensions call --------------------------------------------------------------------------------------------


def is_installed(name: str) -> bool:
    """Whether a package can be imported or is installed under this name."""
    try:
        importlib.metadata.distribution(name)
        return True
    except (importlib.metadata.PackageNotFoundError, ValueError):
        pass
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def run(
    command: str,
    desc: str | None = None,
    errdesc: str | None = None,
    custom_env: Mapping[str, str] | None = None,
    live: bool = True,
) -> str:
    """Run a shell command, return what it printed (nothing when shown live). RuntimeError when it fails."""
    if desc is not None:
        print(desc, flush=True)
    done = subprocess.run(
        command,
        shell=True,
        env=dict(custom_env) if custom_env is not None else None,
        check=False,
        stdout=None if live else subprocess.PIPE,
        stderr=None if live else subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode != 0:
        said = "\n".join(part for part in (done.stdout, done.stderr) if part)
        raise RuntimeError(
            f"{errdesc or 'Error running command'}.\nCommand: {command}\nError code: {done.returncode}\n{said}".rstrip()
        )
    return done.stdout or ""


def run_pip(command: str, desc: str | None = None, live: bool = True) -> str:
    """`pip COMMAND` in our environment; our own packages keep their versions. RuntimeError when it fails."""
    if _flags().skip_install:
        return ""
    pins = Path(sys.prefix) / "maple-constraints.txt"
    options = f' --index-url "{index_url}"' if index_url else ""
    if command.split()[:1] == ["install"] and pins.is_file():
        options += f' --prefer-binary --constraint "{pins}"'
    title = say("pip_install", what=desc) if desc else None
    return run(
        f'"{python}" -m pip {command}{options}',
        desc=title,
        errdesc=say("pip_failed", what=desc or command),
        custom_env=clean_env(),
        live=live,
    )


def _flags() -> Flags:
    from webui.settings.flags import parse

    return parse(sys.argv[1:], os.environ)


def __getattr__(name: str) -> Any:
    """`launch.args`: the flags, parsed when first asked for."""
    if name == "args":
        globals()["args"] = value = _flags()
        return value
    raise AttributeError(f"module 'launch' has no attribute {name!r}")


# ---- start -----------------------------------------------------------------------------------------------------------


def serve(environment: Environment, arguments: Sequence[str]) -> int:
    """Hand over to `python -m webui`; on Windows wait for it, since exec there returns to the console at once."""
    # -P: a folder named webui in the current directory is not ours.
    command = [str(environment.python), "-P", "-m", "webui", *arguments]
    env = clean_env()
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [env.get("PYTHONPATH", "")])])
    if not WINDOWS:
        sys.stdout.flush()
        os.execve(command[0], command, env)
    child = subprocess.Popen(command, env=env)
    while True:
        with contextlib.suppress(KeyboardInterrupt):  # Ctrl+C reaches the child too; it ends by itself
            return child.wait()


def wrong_python() -> str:
    """What to say to a Python we cannot run on; both languages, since nothing of ours can be imported by it."""
    here = ".".join(map(str, sys.version_info[:2]))
    return (
        f"需要 Python 3.11 至 3.13，当前为 {here}。请从 python.org 安装 3.11 后重试。\n"
        f"Python 3.11 to 3.13 is needed, this is {here}. Install 3.11 from python.org and try again."
    )


def main(arguments: Sequence[str]) -> int:
    """The story of a start."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a console of another code page shows "?", it does not end the start
            stream.reconfigure(errors="replace")
    if sys.version_info[:2] < PYTHONS[0]:
        print(wrong_python(), file=sys.stderr)
        return 1
    from webui.settings.flags import BadFlag, console_language, parse, parser

    if "-h" in arguments or "--help" in arguments:
        parser(console_language(env=os.environ)).print_help()
        return 0
    steps: Callable[[], int]
    try:
        if "--test" in arguments:
            rest = [each for each in arguments if each != "--test"]
            steps = lambda: run_tests(ROOT, rest)  # noqa: E731
        else:
            flags = parse(arguments, os.environ)
            if flags.unknown:
                tell("unknown_flags", flags=" ".join(flags.unknown))
            if flags.without_effect:
                tell("idle_flags", flags=" ".join(flags.without_effect))
            steps = lambda: serve(prepare(ROOT, flags), arguments)  # noqa: E731
        return steps()
    except (SetupFailed, BadFlag) as problem:
        print(problem, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        tell("stopped")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
