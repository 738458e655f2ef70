"""A picture in the place of what txt2img's first pass would make."""

import base64
import io
from pathlib import Path

from PIL import Image

from webui.api.bodies import Txt2Img
from webui.gallery.blobs import Blobs


def test_a_picture_may_stand_for_the_first_pass_of_two(tmp_path: Path) -> None:
    body = io.BytesIO()
    Image.new("RGB", (8, 6), "red").save(body, "PNG")
    picture, blobs = base64.b64encode(body.getvalue()).decode(), Blobs(tmp_path)
    hires = Txt2Img(enable_hr=True, firstpass_image=picture).request(blobs).hires
    assert hires is not None and blobs.open(hires.picture).getpixel((0, 0)) == (255, 0, 0)
    assert Txt2Img(firstpass_image=picture).request(blobs).hires is None
