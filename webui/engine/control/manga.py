"""The network of lineart_anime_denoise: a U-shaped residual network that leaves the lines of a grey page.

"Deep extraction of manga structural lines", Li, Liu and Wong 2017. The modules bear the names of the published weights
(erika.pth), which is all their nesting is for.
"""

from torch import Tensor, nn


class Convolution(nn.Module):
    """Normalised, activated, convolved; halved by a stride, or doubled after."""

    def __init__(self, into: int, out: int, *, side: int = 3, stride: int = 1, double: bool = False) -> None:
        super().__init__()
        parts = [
            nn.BatchNorm2d(into, eps=1e-3),
            nn.LeakyReLU(0.2),
            nn.Conv2d(into, out, side, stride=stride, padding=side // 2),
        ]
        self.model = nn.Sequential(*parts, *([nn.Upsample(scale_factor=2)] if double else []))

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class Shortcut(nn.Module):
    """Around a block; a convolution of its own where the block changes channels or size."""

    def __init__(self, into: int, out: int, *, stride: int = 1, double: bool = False) -> None:
        super().__init__()
        changes = into != out or stride != 1
        grown = [nn.Upsample(scale_factor=2)] if double else []
        self.model = nn.Sequential(nn.Conv2d(into, out, 1, stride=stride), *grown) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        return x if self.model is None else self.model(x)


class Block(nn.Module):
    def __init__(self, into: int, out: int, *, stride: int = 1, double: bool = False) -> None:
        super().__init__()
        self.conv1 = Convolution(into, out, stride=stride, double=double)
        self.residual = Convolution(out, out)
        self.shortcut = Shortcut(into, out, stride=stride, double=double)

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.residual(self.conv1(x))


class Blocks(nn.Module):
    """Several blocks; the last halves the size, or the first doubles it."""

    def __init__(self, into: int, out: int, count: int, *, halve: bool = False, double: bool = False) -> None:
        super().__init__()
        rest = [Block(out, out, stride=2 if halve and place == count - 1 else 1) for place in range(1, count)]
        self.model = nn.Sequential(Block(into, out, double=double), *rest)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class MangaLines(nn.Module):
    """(batch, 1, height, width) grey, 0 to 255, sides multiples of 16, to the same: the lines' darkness on white."""

    def __init__(self) -> None:
        super().__init__()
        self.block0 = Blocks(1, 24, 2)
        self.block1 = Blocks(24, 48, 3, halve=True)
        self.block2 = Blocks(48, 96, 5, halve=True)
        self.block3 = Blocks(96, 192, 7, halve=True)
        self.block4 = Blocks(192, 384, 12, halve=True)
        self.block5 = Blocks(384, 192, 7, double=True)
        self.block6 = Blocks(192, 96, 5, double=True)
        self.block7 = Blocks(96, 48, 3, double=True)
        self.block8 = Blocks(48, 24, 2, double=True)
        self.block9 = Blocks(24, 16, 2)
        self.conv15 = Convolution(16, 1, side=1)

    def forward(self, x: Tensor) -> Tensor:
        whole = self.block0(x)
        half = self.block1(whole)
        quarter = self.block2(half)
        eighth = self.block3(quarter)
        x = self.block5(self.block4(eighth))
        x = self.block6(eighth + x)
        x = self.block7(quarter + x)
        x = self.block8(half + x)
        return self.conv15(self.block9(whole + x))
