"""Texts into picture files and out again."""

import io
import json
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from webui.domain.errors import UnreadablePicture
from webui.gallery.infotext import read
from webui.gallery.metadata import embed, open_picture, read_picture
from webui.words import LANGUAGES, explain

TEXT = "一只猫, (红色:1.2) 🎨\nNegative prompt: 模糊\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 48x32"
REQUEST = json.dumps({"prompt": "一只猫", "seed": 5}, ensure_ascii=False)


def picture(width: int = 48, height: int = 32, mode: str = "RGB") -> Image.Image:
    return Image.effect_noise((width, height), 60).convert(mode)


@pytest.mark.parametrize("format", ["png", "jpg", "jpeg", "webp", "avif"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "I;16", "CMYK"])
def test_every_format_gives_both_texts_back(format: str, mode: str):
    made = embed(picture(mode="L").convert("I").convert("I;16") if mode == "I;16" else picture(mode=mode), TEXT,
                 maple=REQUEST, format=format)  # fmt: skip
    found = read_picture(made.data)
    assert (found.infotext, found.maple, found.source) == (TEXT, REQUEST, "a1111")
    assert (found.width, found.height, found.damaged) == (48, 32, "")
    assert made.format == format and made.complete


def test_png_pixels_come_back_exactly():
    image = picture()
    assert open_picture(embed(image, TEXT).data).tobytes() == image.tobytes()


def test_nothing_is_written_when_there_is_nothing_to_tell():
    for format in ("png", "jpg", "webp"):
        found = read_picture(embed(picture(), "", format=format).data)
        assert found.infotext == found.maple == found.source == "" and not found.items


def test_png_texts_stand_where_a1111_looks():
    with Image.open(io.BytesIO(embed(picture(), TEXT, chunks={"postprocessing": "x2"}).data)) as image:
        assert image.info["parameters"] == TEXT
    found = read_picture(embed(picture(), TEXT, chunks={"postprocessing": "x2"}).data)
    assert found.postprocessing == "x2" and found.items == {"postprocessing": "x2"}


def test_jpeg_exif_is_big_endian_unicode_as_a1111_writes_it():
    made = embed(picture(), TEXT, format="jpg")
    assert b"UNICODE\0" + TEXT.encode("utf-16-be") in made.data


@pytest.mark.parametrize("body", [
    b"UNICODE\0" + TEXT.encode("utf-16-le"), b"UNICODE\0" + TEXT.encode("utf-16-be"),
    b"\0" * 8 + TEXT.encode(), b"ASCII\0\0\0" + TEXT.encode(),
])  # fmt: skip
def test_other_programs_exif_comments_are_read(body: bytes):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = body
    data = io.BytesIO()
    picture().save(data, "JPEG", exif=exif)
    assert read_picture(data.getvalue()).infotext == TEXT


def test_texts_after_the_pixels_are_found():
    data = embed(picture(), "").data
    body = b"parameters\0" + b"a cat\nSteps: 1, Sampler: Euler, Seed: 1"
    chunk = struct.pack(">I", len(body)) + b"tEXt" + body + struct.pack(">I", zlib.crc32(b"tEXt" + body))
    assert read_picture(data[:-12] + chunk + data[-12:]).infotext.startswith("a cat")


def test_a_gifs_comment_is_its_infotext():
    data = io.BytesIO()
    picture(mode="P").save(data, "GIF", comment=TEXT.encode())
    assert read_picture(data.getvalue()).infotext == TEXT


def test_a_text_beside_the_file_is_read_when_the_file_has_none(tmp_path: Path):
    path = tmp_path / "猫 [1].png"
    path.write_bytes(embed(picture(), "").data)
    path.with_suffix(".txt").write_text(TEXT + "\n", "utf-8-sig")
    assert read_picture(path).infotext == TEXT
    path.write_bytes(embed(picture(), "other").data)
    assert read_picture(path).infotext == "other"
    path.with_suffix(".txt").write_bytes(b"\xff\xfe\xff")
    path.write_bytes(embed(picture(), "").data)
    assert read_picture(path).infotext == ""


def test_novelais_pictures_become_infotexts():
    told = PngInfo()
    told.add_text("Software", "NovelAI")
    told.add_text("Description", "{girl}, smile")
    told.add_text("Comment", json.dumps({"steps": 28, "sampler": "k_dpmpp_2m", "seed": 99, "scale": 11.0, "uc": "bad"}))
    data = io.BytesIO()
    picture().save(data, "PNG", pnginfo=told)
    found = read_picture(data.getvalue())
    assert found.source == "novelai" and found.items["Software"] == "NovelAI"
    fields = read(found.infotext)
    assert (fields.prompt, fields.negative) == ("(girl:1.05), smile", "bad")
    assert dict(fields.fields) == {
        "Steps": "28", "Sampler": "DPM++ 2M", "CFG scale": "11", "Seed": "99", "Size-1": "48", "Size-2": "32",
        "Clip skip": "2", "ENSD": "31337",
    }  # fmt: skip


def test_a_broken_novelai_comment_is_shown_as_it_is():
    told = PngInfo()
    told.add_text("Software", "NovelAI")
    told.add_text("Comment", "{not json")
    data = io.BytesIO()
    picture().save(data, "PNG", pnginfo=told)
    found = read_picture(data.getvalue())
    assert found.infotext == "" and found.items["Comment"] == "{not json"


def test_other_programs_are_named():
    told = PngInfo()
    told.add_text("workflow", "{}")
    data = io.BytesIO()
    picture().save(data, "PNG", pnginfo=told)
    assert read_picture(data.getvalue()).source == "comfyui"


@pytest.mark.parametrize("data", [
    b"", b"hello", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n" + b"\0" * 64, b"GIF89a", b"\xff\xd8\xff", b"%!PS-Adobe\n",
    b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"RIFF\x10\0\0\0WEBPVP8 ",
])  # fmt: skip
def test_what_is_no_picture_is_refused_in_words(data: bytes):
    for reader in (read_picture, open_picture):
        with pytest.raises(UnreadablePicture) as caught:
            reader(data)
        for language in LANGUAGES:
            assert "BytesIO" not in explain(caught.value, language)


def test_a_truncated_picture_gives_its_texts_and_says_that_it_is_damaged():
    whole = embed(picture(200, 200), TEXT, maple=REQUEST).data
    found = read_picture(whole[: len(whole) // 2])
    assert found.infotext == TEXT and found.damaged
    with pytest.raises(UnreadablePicture):
        open_picture(whole[: len(whole) // 2])
    bare = embed(picture(200, 200), "").data
    with pytest.raises(UnreadablePicture):
        read_picture(bare[: len(bare) // 2])


def test_a_decompression_bomb_is_refused_before_it_is_unpacked():
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    for reader in (read_picture, open_picture):
        with pytest.raises(UnreadablePicture):
            reader(b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IEND\xaeB`\x82")


def test_a_text_bomb_is_refused():
    told = PngInfo()
    told.add_text("parameters", "a" * 40_000_000, zip=True)
    data = io.BytesIO()
    picture().save(data, "PNG", pnginfo=told)
    with pytest.raises(UnreadablePicture):
        read_picture(data.getvalue())


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(UnreadablePicture):
        read_picture(tmp_path / "none.png")


@pytest.mark.parametrize(("format", "size"), [("jpg", (65501, 1)), ("webp", (1, 16384))])
def test_a_side_too_long_for_the_format_falls_back_to_png(format: str, size: tuple[int, int]):
    made = embed(Image.new("RGB", size), TEXT, format=format)
    assert made.format == "png" and made.media_type == "image/png"
    assert read_picture(made.data).infotext == TEXT


def test_an_unknown_format_falls_back_to_png():
    assert embed(picture(), TEXT, format="exe").format == "png"


def test_a_text_too_long_for_jpeg_is_said_and_the_request_goes_first():
    long = "x" * 20_000 + "\nSteps: 20, Sampler: Euler, Seed: 1"
    made = embed(picture(), long, maple="y" * 40_000, format="jpg")
    found = read_picture(made.data)
    assert made.complete and found.infotext == long and found.maple == ""
    made = embed(picture(), "x" * 40_000, format="jpg")
    assert not made.complete and read_picture(made.data).infotext == ""
    assert read_picture(embed(picture(), "x" * 40_000, format="webp").data).infotext == "x" * 40_000


def test_lossless_webp_keeps_every_pixel():
    image = picture()
    assert (
        open_picture(embed(image, TEXT, format="webp", lossless=True).data).convert("RGB").tobytes() == image.tobytes()
    )


def test_quality_is_heard():
    image = picture(200, 200)
    assert len(embed(image, "", format="jpg", quality=20).data) < len(embed(image, "", format="jpg", quality=95).data)
