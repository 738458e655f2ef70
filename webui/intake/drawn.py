"""What was drawn over a picture becomes the pictures of a request: masks and sketches.

A drawing is a transparent layer of the picture's own size. Everything here is pure: pictures in, pictures out.
"""

from PIL import Image, ImageChops, ImageEnhance, ImageFilter, ImageOps

HALF = 128
"""A mask covers what is brighter (or, in a drawing, more opaque) than this; A1111's threshold."""
WIDENED = 0.015
"""Part of the shorter side by which an inpaint sketch reaches beyond what was painted."""


def upright(picture: Image.Image) -> Image.Image:
    """The picture as a browser shows it: turned by what its EXIF says."""
    return ImageOps.exif_transpose(picture)


def drawn_mask(drawing: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Mode L, 0 and 255: where the layer was drawn on. Another size than the picture's is stretched to it."""
    alpha = drawing.convert("RGBA").getchannel("A")
    return _halved(alpha if alpha.size == size else alpha.resize(size, Image.Resampling.BILINEAR))


def uploaded_mask(mask: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Mode L, 0 and 255: what is bright in a mask somebody made elsewhere, at the picture's size.

    Where a mask has clear parts, its opacity counts and not its colour.
    """
    shape = mask.convert("RGBA")
    alpha = shape.getchannel("A")
    grey = shape.convert("L") if alpha.getextrema() == (255, 255) else alpha
    return _halved(grey if grey.size == size else grey.resize(size, Image.Resampling.BILINEAR))


def painted(picture: Image.Image, drawing: Image.Image) -> Image.Image:
    """The picture with the drawing on it: RGB, or RGBA where the picture has clear parts."""
    base = picture.convert("RGBA")
    layer = drawing.convert("RGBA")
    if layer.size != base.size:
        layer = layer.resize(base.size, Image.Resampling.BICUBIC)
    whole = Image.alpha_composite(base, layer)
    return whole if picture.has_transparency_data else whole.convert("RGB")


def inpaint_sketch(
    picture: Image.Image, drawing: Image.Image, *, transparency: float = 0, blur: float = 0
) -> tuple[Image.Image, Image.Image]:
    """(init image, mask): the mask is where the painted picture differs, a little wider; the colours go over softly.

    `transparency` in percent makes mask and colours fainter, `blur` is the mask blur in pixels.
    """
    original = picture.convert("RGB")
    coloured = painted(original, drawing)
    red, green, blue = ImageChops.difference(original, coloured).split()
    changed = ImageChops.lighter(ImageChops.lighter(red, green), blue).point([0] + [255] * 255)
    mask = widened(changed, int(WIDENED * min(changed.size)))
    if transparency:
        mask = ImageEnhance.Brightness(mask).enhance(1 - transparency / 100)
    soft = ImageFilter.GaussianBlur(blur)
    return Image.composite(coloured.filter(soft), original, mask.filter(soft)), mask


def widened(mask: Image.Image, reach: int) -> Image.Image:
    """The mask spread by `reach` pixels to all sides (a square's dilation).

    Both directions apart and in doubling steps, so that 60 pixels at 4096² take a moment and not minutes.
    """
    done = 0
    while done < reach:
        step = max(1, min(reach - done, done or 1))
        for across, down in ((step, 0), (0, step)):
            both = ImageChops.lighter(_shifted(mask, across, down), _shifted(mask, -across, -down))
            mask = ImageChops.lighter(mask, both)
        done += step
    return mask


def _shifted(mask: Image.Image, across: int, down: int) -> Image.Image:
    moved = Image.new("L", mask.size)
    moved.paste(mask, (across, down))
    return moved


def _halved(grey: Image.Image) -> Image.Image:
    return grey.point([0] * (HALF + 1) + [255] * (255 - HALF))
