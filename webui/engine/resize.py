"""An init image brought to the size asked for, in A1111's four ways; pixels of pictures that have transparency."""

from collections.abc import Callable

from PIL import Image, ImageColor, ImageOps

from webui.domain import ResizeMode
from webui.engine.upscale import Grow, enlarge

Box = tuple[int, int, int, int]
GrowerFor = Callable[[Image.Image, int, int], Grow | None]
"""(picture, width, height) → what enlarges it to that size; None: Lanczos alone."""


def upright(picture: Image.Image) -> Image.Image:
    """Turned as its EXIF says; a palette's or a colour's transparency becomes an alpha channel."""
    picture = ImageOps.exif_transpose(picture)
    if picture.mode in ("P", "RGB", "L") and "transparency" in picture.info:
        return picture.convert("RGBA")
    return picture


def flattened(picture: Image.Image, background: str) -> Image.Image:
    """RGB, with what is transparent laid on a colour ("#rrggbb"; what is no colour counts as white)."""
    if picture.mode == "LA" or "transparency" in picture.info:
        picture = picture.convert("RGBA")
    if picture.mode == "RGBA":
        try:
            colour = ImageColor.getrgb(background)[:3]
        except ValueError:
            colour = (255, 255, 255)
        below = Image.new("RGBA", picture.size, colour)
        picture = Image.alpha_composite(below, picture)
    return picture.convert("RGB")


def resized(
    picture: Image.Image, mode: ResizeMode, width: int, height: int, *, grower: GrowerFor | None = None
) -> Image.Image:
    """A picture or mask at exactly this size in pixels; RGB after cutting and filling.

    Cutting keeps the middle; filling repeats the outermost lines. Masks of mode L are never given to an upscaler.
    """
    if mode is ResizeMode.STRETCH:
        return _fitted(picture, width, height, grower)
    asked, own = width / height, picture.width / picture.height
    whole_width = asked > own if mode is ResizeMode.CROP else asked < own
    if whole_width:
        inner = _fitted(picture, width, picture.height * width // picture.width, grower)
    else:
        inner = _fitted(picture, picture.width * height // picture.height, height, grower)
    whole = Image.new("RGB", (width, height))
    left, top = width // 2 - inner.width // 2, height // 2 - inner.height // 2
    whole.paste(inner, (left, top))
    if mode is not ResizeMode.CROP:
        _repeat_edges(whole, inner, left, top)
    return whole


def _fitted(picture: Image.Image, width: int, height: int, grower: GrowerFor | None) -> Image.Image:
    width, height = max(width, 1), max(height, 1)
    if picture.size == (width, height):
        return picture
    grow = grower(picture, width, height) if grower and picture.mode != "L" else None
    if grow is None:
        return picture.resize((width, height), Image.Resampling.LANCZOS)
    return enlarge(picture, width, height, grow=grow)


def _repeat_edges(whole: Image.Image, inner: Image.Image, left: int, top: int) -> None:
    """The first and last line (or column) of `inner` drawn out over what it leaves free."""
    if top > 0:
        for edge, place in ((0, 0), (inner.height, top + inner.height)):
            # A box without height, as A1111: Pillow weighs the outermost lines.
            whole.paste(inner.resize((whole.width, top), box=(0, edge, inner.width, edge)), (0, place))
    if left > 0:
        for edge, place in ((0, 0), (inner.width, left + inner.width)):
            whole.paste(inner.resize((left, whole.height), box=(edge, 0, edge, inner.height)), (place, 0))
