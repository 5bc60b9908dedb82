"""The Inception network of FID: Inception v3 as it was published in 2015, from a local file of its weights.

The names of the parameters are those of ``pt_inception-2015-12-05``. Average pools leave out the padding, and the last
block takes the maximum where the one before takes the average: so was the network that FID is defined by.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from instdiff.errors import BadInput

SIDE = 299
WIDTH = 2048  # of a picture in pixels; of its features
Sizes = int | tuple[int, int]
Chain = list[tuple[str, int, Sizes]]  # the name, outputs and kernel of each convolution


class Conv(nn.Module):
    """Convolution, batch norm, ReLU; with the padding that keeps the size, or none where ``same`` is false."""

    def __init__(self, inputs: int, outputs: int, kernel: Sizes = 1, stride: int = 1, same: bool = True):
        super().__init__()
        rows, columns = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (rows // 2, columns // 2) if same else 0
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.bn(self.conv(x)))


class Branches(nn.Module):
    """Chains of convolutions side by side, and a pool; what they give is put together along the channels.

    Args:
        inputs: channels.
        chains: the convolutions of each branch; those whose names end in a and b are both applied to what comes
            before them.
        pool: outputs of the 1 x 1 convolution after the pool, or None for a pool that halves the size, as then the
            last convolution of each chain does too.
        maximum: pool the maximum, not the average.
    """

    def __init__(self, inputs: int, chains: list[Chain], pool: int | None = None, maximum: bool = False):
        super().__init__()
        self.chains = [[name for name, _, _ in chain] for chain in chains]
        self.halves = pool is None
        self.maximum = maximum
        for chain in chains:
            width = inputs
            for index, (name, outputs, kernel) in enumerate(chain):
                last = self.halves and index + 1 == len(chain)
                setattr(self, name, Conv(width, outputs, kernel, 2 if last else 1, same=not last))
                width = width if name.endswith("a") else outputs
        if pool:
            self.branch_pool = Conv(inputs, pool)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs = []
        for chain in self.chains:
            y = x
            halves = []
            for name in chain:
                if name[-1] in "ab":
                    halves.append(getattr(self, name)(y))
                else:
                    y = getattr(self, name)(y)
            outputs += halves or [y]
        return torch.cat([*outputs, self._pool(x)], dim=1)

    def _pool(self, x: torch.Tensor) -> torch.Tensor:
        if self.halves:
            return F.max_pool2d(x, 3, 2)
        pooled = F.max_pool2d(x, 3, 1, 1) if self.maximum else F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        return self.branch_pool(pooled)


def _small(inputs: int, pool: int) -> Branches:
    doubled: Chain = [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3)]
    return Branches(inputs, [[("branch1x1", 64, 1)], [("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5)], doubled], pool)


def _long(width: int) -> Branches:
    once: Chain = [("branch7x7_1", width, 1), ("branch7x7_2", width, (1, 7)), ("branch7x7_3", 192, (7, 1))]
    twice: Chain = [
        (f"branch7x7dbl_{k}", 192 if k == 5 else width, 1 if k == 1 else (7, 1) if k % 2 == 0 else (1, 7))
        for k in range(1, 6)
    ]
    return Branches(768, [[("branch1x1", 192, 1)], once, twice], 192)


def _wide(inputs: int, maximum: bool) -> Branches:
    once: Chain = [("branch3x3_1", 384, 1), ("branch3x3_2a", 384, (1, 3)), ("branch3x3_2b", 384, (3, 1))]
    ends: Chain = [("branch3x3dbl_3a", 384, (1, 3)), ("branch3x3dbl_3b", 384, (3, 1))]
    twice: Chain = [("branch3x3dbl_1", 448, 1), ("branch3x3dbl_2", 384, 3), *ends]
    return Branches(inputs, [[("branch1x1", 320, 1)], once, twice], 192, maximum)


class Inception(nn.Module):
    """Pictures to features."""

    def __init__(self):
        super().__init__()
        self.Conv2d_1a_3x3 = Conv(3, 32, 3, 2, same=False)
        self.Conv2d_2a_3x3 = Conv(32, 32, 3, same=False)
        self.Conv2d_2b_3x3 = Conv(32, 64, 3)
        self.Conv2d_3b_1x1 = Conv(64, 80)
        self.Conv2d_4a_3x3 = Conv(80, 192, 3, same=False)
        self.Mixed_5b = _small(192, 32)
        self.Mixed_5c = _small(256, 64)
        self.Mixed_5d = _small(288, 64)
        doubled: Chain = [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3)]
        self.Mixed_6a = Branches(288, [[("branch3x3", 384, 3)], doubled])
        self.Mixed_6b = _long(128)
        self.Mixed_6c = _long(160)
        self.Mixed_6d = _long(160)
        self.Mixed_6e = _long(192)
        lines: Chain = [("branch7x7x3_2", 192, (1, 7)), ("branch7x7x3_3", 192, (7, 1))]
        long: Chain = [("branch7x7x3_1", 192, 1), *lines, ("branch7x7x3_4", 192, 3)]
        self.Mixed_7a = Branches(768, [[("branch3x3_1", 192, 1), ("branch3x3_2", 320, 3)], long])
        self.Mixed_7b = _wide(1280, maximum=False)
        self.Mixed_7c = _wide(2048, maximum=True)
        self.fc = nn.Linear(WIDTH, 1008)  # what it once classified; not used, but in the file

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Pictures (B, 3, 299, 299) in -1..1 -> features (B, 2048)."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(images)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(F.max_pool2d(x, 3, 2))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        return self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x))).mean(dim=(2, 3))


def load_inception(weights: Path) -> Inception:
    """The network with these weights, which are read as data.

    Raises:
        BadInput: the file is something else.
    """
    model = Inception()
    try:
        model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, ValueError, EOFError, AttributeError, TypeError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BadInput("weights", f"{weights} does not hold the Inception network of FID ({reason})") from error
    return model.eval()
