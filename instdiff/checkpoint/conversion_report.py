"""What is read from where, and the account of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from instdiff.checkpoint.tensors import Lazy
from instdiff.errors import BadInput

PARTS = ("unet", "unifusion", "vae", "text_encoder")
INSTANCE = "InstanceDiffusion checkpoint"
STABLE = "Stable Diffusion checkpoint"
DIFFUSERS = "diffusers folder"
OURS = "model folder"
FIRST_CONV = "first convolution"
VAE = "VAE"


@dataclass
class PartAccount:
    """The account of one part of one source: what was read is converted or left out, with a reason."""

    source: str
    part: str
    read: int = 0
    left_out: dict[str, list[str]] = field(default_factory=dict)  # reason -> names
    new: int = 0  # made here, not read

    @property
    def converted(self) -> int:
        return self.read - sum(map(len, self.left_out.values()))

    @property
    def notes(self) -> list[str]:
        """What is left out and why, a line for each reason."""
        reasons = self.left_out.items()
        return [f"left out of {self.source}: {first_names(names, 3)}: {reason}" for reason, names in reasons]


@dataclass
class OpenedSource:
    """An opened checkpoint or folder."""

    path: Path
    kind: str
    parts: dict[str, dict[str, Lazy]] = field(default_factory=lambda: {part: {} for part in PARTS})
    configs: dict[str, dict] = field(default_factory=dict)  # by part, where the source has them
    heads: int = 8
    scaling_factor: float = 0.18215
    rows: dict[str, PartAccount] = field(default_factory=dict)

    @property
    def tokenizer(self) -> Path | None:
        folder = self.path / "tokenizer"
        return folder if folder.is_dir() else None

    def row(self, part: str) -> PartAccount:
        return self.rows.setdefault(part, PartAccount(self.path.name, part))

    def take(self, part: str, name: str, ours: str, tensor: Lazy) -> None:
        """Account for a tensor as converted."""
        if ours in self.parts[part]:
            raise BadInput(str(self.path), f"{name} comes twice, as {part} {ours}")
        self.row(part).read += 1
        self.parts[part][ours] = tensor

    def leave(self, part: str, names: Iterable[str], reason: str) -> None:
        """Account for tensors as left out."""
        names = list(names)
        if names:
            self.row(part).read += len(names)
            self.row(part).left_out.setdefault(reason, []).extend(names)

    def drop(self, part: str, ours: Iterable[str], reason: str) -> None:
        """Leave out after all what was taken."""
        for name in list(ours):
            del self.parts[part][name]
            self.row(part).left_out.setdefault(reason, []).append(name)


def first_names(names: Iterable[object], count: int = 4) -> str:
    """The first names of many, and how many more there are, for messages."""
    words = [str(name) for name in names]
    return ", ".join(words[:count]) + (f" and {len(words) - count} more" if len(words) > count else "")
