"""Sprites for the training scenes: Microsoft's Fluent Emoji (MIT) from npm, and our own drawings in ``art/``."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tarfile
import tempfile
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from instdiff.errors import BadInput, ServiceError
from instdiff.train.catalogue import COLOURS, THINGS

PACKAGE, VERSION = "@lobehub/fluent-emoji-3d", "1.1.0"
URL = f"https://registry.npmjs.org/{PACKAGE}/-/fluent-emoji-3d-{VERSION}.tgz"
SHA512 = "5a5ab69554ad4e7afc043a48274a449d328ee0bb83c71a931214ef46d0f50cb445d267bba207914232a87a10c75ee549d9069e720979c1106feb4954006de1ee"
MAX_PICTURE_BYTES = 2_000_000
ART = Path(__file__).parent / "art"
NOTICE = f"""These pictures come from the npm package {PACKAGE} {VERSION}: Microsoft's Fluent Emoji, 3D style.

MIT License

Copyright (c) Microsoft Corporation.
Copyright (c) 2023 LobeHub.

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation
the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and
to permit persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of
the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO
THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF
CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS
IN THE SOFTWARE.
"""


@dataclass(frozen=True)
class Sprite:
    """One cut-out picture, ``rgba``: (H, W, 4) uint8, cropped tightly to what is not transparent."""

    category: str
    rgba: np.ndarray
    _tinted: dict = field(default_factory=dict, repr=False, compare=False)

    def tinted(self, colour: str | None) -> np.ndarray:
        """(H, W, 4) uint8 in the named colour, or as it is for None; made once and kept."""
        if colour not in self._tinted:
            self._tinted[colour] = self.rgba if colour is None else recolour(self.rgba, colour)
        return self._tinted[colour]


def fetch_sprites(folder: Path) -> None:
    """Download the emoji package into ``folder``: its .webp files and a NOTICE. Does nothing if they are there.

    Raises:
        ServiceError: the registry cannot be reached, or what came is not the package that is pinned here.
    """
    if (folder / "NOTICE").is_file():
        return
    archive = _download()
    found = hashlib.sha512(archive).hexdigest()
    if found != SHA512:
        raise ServiceError(f"{PACKAGE} {VERSION} has SHA-512 {found[:16]}…, expected {SHA512[:16]}…; not unpacked")
    unpack(archive, folder)
    (folder / "NOTICE").write_text(NOTICE, encoding="utf-8")


def _download() -> bytes:
    """The package's archive, through the npm client if there is one."""
    npm = shutil.which("npm")
    try:
        if not npm:
            with urllib.request.urlopen(URL, timeout=60) as response:
                return response.read()
        with tempfile.TemporaryDirectory() as scratch:
            command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent"]
            subprocess.run(command, cwd=scratch, check=True, capture_output=True, timeout=300)
            return next(Path(scratch).glob("*.tgz")).read_bytes()
    except (OSError, subprocess.SubprocessError, StopIteration) as error:
        raise ServiceError(f"cannot download {PACKAGE} {VERSION}: {error}") from error


def unpack(archive: bytes, folder: Path) -> None:
    """Write the .webp files of a .tgz into ``folder``, flat: only the last part of a member's name is used."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as members:
        for member in members:
            name = PurePosixPath(member.name).name
            if member.isfile() and name.endswith(".webp") and member.size <= MAX_PICTURE_BYTES:
                (folder / name).write_bytes(members.extractfile(member).read())


def load_sprites(folder: Path, size: int = 256) -> dict[str, list[Sprite]]:
    """Every category's sprites, the longer side ``size`` pixels.

    Raises:
        BadInput: a picture of the emoji package is not in ``folder``.
    """
    return {name: [Sprite(name, _fit(_read(folder, name, thing.emoji, size), size))] for name, thing in THINGS.items()}


def _read(folder: Path, name: str, emoji: str, size: int) -> np.ndarray:
    """(H, W, 4) uint8 RGBA of an emoji, or of our own drawing where ``emoji`` is empty."""
    import cv2

    path = folder / f"{emoji}.webp"
    if not emoji:
        import resvg_py

        data = bytes(resvg_py.svg_to_bytes(svg_path=str(ART / f"{name}.svg"), width=2 * size, skip_system_fonts=True))
    elif path.is_file():
        data = path.read_bytes()
    else:
        raise BadInput("sprites", f'no picture of "{name}" at {path}; fetch them with --stage sprites')
    bgra = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGBA)


def _fit(rgba: np.ndarray, size: int) -> np.ndarray:
    """Crop to what is visible, and scale so that the longer side is ``size``."""
    import cv2

    solid = rgba[..., 3] > 24
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    rgba = rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = size / max(rgba.shape[:2])
    width, height = (max(round(side * scale), 1) for side in (rgba.shape[1], rgba.shape[0]))
    alpha = rgba[..., 3:].astype(np.float32) / 255
    # scaled premultiplied, so that the colour of transparent pixels does not bleed into the edge
    small = cv2.resize(np.dstack([rgba[..., :3] * alpha, alpha]), (width, height), interpolation=cv2.INTER_AREA)
    rgb = small[..., :3] / np.maximum(small[..., 3:], 1e-3)
    return np.clip(np.dstack([rgb, small[..., 3:] * 255]) + 0.5, 0, 255).astype(np.uint8)


def recolour(rgba: np.ndarray, colour: str) -> np.ndarray:
    """Tint the body of a sprite and keep its shading, its highlights and the parts of another hue.

    Args:
        rgba: (H, W, 4) uint8.
        colour: a key of `COLOURS`.
    """
    import cv2

    lab = cv2.cvtColor(rgba[..., :3].astype(np.float32) / 255, cv2.COLOR_RGB2Lab)  # (H, W, 3), L 0..100
    target = cv2.cvtColor(np.float32([[COLOURS[colour]]]) / 255, cv2.COLOR_RGB2Lab)[0, 0]
    body = _body(lab, rgba[..., 3])
    middle = np.median(lab[..., 0][body > 0.5]) if (body > 0.5).any() else 50.0
    gain = {"black": 0.4, "white": 0.55}.get(colour, 0.8)
    light = np.clip(target[0] + gain * (lab[..., 0] - middle), 4, 99)
    above = np.clip((light - target[0]) / (100 - target[0]), 0, 1)
    below = np.clip(light / target[0], 0, 1)
    # highlights lose chroma and shadows too, as on a glossy surface
    chroma = ((1 - 0.5 * above) * below)[..., None] * target[1:]
    tinted = np.clip(cv2.cvtColor(np.dstack([light, chroma]).astype(np.float32), cv2.COLOR_Lab2RGB), 0, 1) * 255
    mixed = rgba[..., :3] + body[..., None] * (tinted - rgba[..., :3])
    return np.dstack([np.clip(mixed + 0.5, 0, 255).astype(np.uint8), rgba[..., 3]])


def _body(lab: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(H, W) 0..1, how much a pixel belongs to the part that gives the thing its colour.

    That part is what lies near the strongest hue. A pale thing without a strong hue is its body as a whole,
    but for what is dark or coloured on it.
    """
    solid = alpha > 127
    chroma, hue = np.hypot(lab[..., 1], lab[..., 2]), np.degrees(np.arctan2(lab[..., 2], lab[..., 1])) % 360
    weight = np.where(solid & (chroma > 12), chroma**2, 0)
    counts = np.bincount((hue // 10).astype(int).ravel(), weight.ravel(), 36)
    counts = counts + np.roll(counts, 1) + np.roll(counts, -1)
    near = _ramp(np.abs((hue - (10 * counts.argmax() + 5) + 180) % 360 - 180), 62, 42)
    pale = ((chroma < 24) & (lab[..., 0] > 62))[solid].mean() > 0.35
    if pale and (near * (chroma > 28))[solid].mean() < 0.12:
        return _ramp(chroma, 46, 34) * _ramp(lab[..., 0], 22, 40)
    # on a pale thing the weakly coloured pixels are shading, not body
    return near * (_ramp(chroma, 18, 32) if pale else _ramp(chroma, 6, 14))


def _ramp(value: np.ndarray, zero: float, one: float) -> np.ndarray:
    """0 up to ``zero``, 1 from ``one`` on (either way round), straight between."""
    return np.clip((value - zero) / (one - zero), 0, 1)
