import io
import os
import time

import pytest
from PIL import ExifTags, Image

from webui.gallery.blobs import BlobGone, Blobs, NotAPicture


def picture(colour: str = "red", format: str = "PNG") -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (8, 6), colour).save(made, format)
    return made.getvalue()


def test_the_same_picture_is_kept_once_and_comes_back(tmp_path) -> None:
    blobs = Blobs(tmp_path)
    assert blobs.put(picture()) == blobs.put(picture())
    id = blobs.put(picture("blue", "JPEG"))
    assert id.endswith(".jpg")
    assert len(list(tmp_path.glob("??/*"))) == 2
    assert blobs.open(id).size == (8, 6)


def test_what_is_no_picture_is_refused_and_leaves_nothing(tmp_path) -> None:
    for data in (b"", b"no picture", picture()[:40]):
        with pytest.raises(NotAPicture):
            Blobs(tmp_path).put(data)
    assert list(tmp_path.glob("??/*")) == []


@pytest.mark.parametrize("id", ["../../etc/passwd", "", "x" * 40 + ".png", "0" * 40 + ".png"])
def test_only_ids_reach_the_disk(tmp_path, id: str) -> None:
    with pytest.raises(BlobGone):
        Blobs(tmp_path).open(id)


def test_old_pictures_go_unless_a_request_still_names_them(tmp_path) -> None:
    blobs = Blobs(tmp_path)
    old, needed, new = (blobs.put(picture(colour)) for colour in ("red", "green", "blue"))
    past = time.time() - 90 * 86400
    for id in (old, needed):
        os.utime(blobs.path(id), (past, past))
    assert blobs.prune(named={needed}) == 1
    assert blobs.open(needed)
    assert blobs.open(new)
    with pytest.raises(BlobGone):
        blobs.open(old)


def test_a_size_is_that_of_the_picture_as_it_is_shown(tmp_path) -> None:
    blobs = Blobs(tmp_path)
    turned = Image.new("RGB", (30, 20))
    exif = turned.getexif()
    exif[ExifTags.Base.Orientation] = 6
    made = io.BytesIO()
    turned.save(made, "JPEG", exif=exif)
    assert blobs.size(blobs.put(made.getvalue())) == (20, 30)
    assert blobs.size(blobs.put_image(Image.new("L", (7, 9)))) == (7, 9)
    with pytest.raises(BlobGone):
        blobs.size("0" * 40 + ".png")
