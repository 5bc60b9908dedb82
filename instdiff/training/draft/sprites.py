"""Sprites for the training scenes: fetched, drawn by ourselves, and painted anew in other colours and textures."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from instdiff.errors import BadInput, ServiceError
from instdiff.training.draft.catalogue import COLOURS, THINGS

# what a pattern of two colours is completed with
_SECOND = {"white": "blue", "gray": "white", "black": "white", "yellow": "blue", "pink": "white"}


def paint(rgba: np.ndarray, colour: str | None, texture: str | None = None) -> np.ndarray:
    """(H, W, 4) uint8 in a colour of `COLOURS` and a texture of `TEXTURES`; None leaves that as it is."""
    if texture in ("wooden", "metal"):
        return _solid(rgba, colour, texture)
    plain = rgba if colour is None else recolour(rgba, colour)
    if texture is None:
        return plain
    second = recolour(rgba, _SECOND.get(colour or "", "white"))
    cover = _pattern(texture, *rgba.shape[:2])[..., None]
    mixed = plain[..., :3] + cover * (second[..., :3].astype(np.float32) - plain[..., :3])
    return np.dstack([(mixed + 0.5).astype(np.uint8), rgba[..., 3]])


def _pattern(texture: str, height: int, width: int) -> np.ndarray:
    """(H, W) 0..1 float32: where the second colour goes; five to six repeats along the longer side."""
    step = max(height, width) / 5.5
    y, x = np.mgrid[:height, :width].astype(np.float32) / step
    if texture == "striped":
        return _ramp(np.sin(2 * np.pi * x), -0.12, 0.12)
    if texture == "dotted":
        # every second row is shifted by half a step
        row = np.floor(1.4 * y)
        across = (1.4 * x + 0.5 * (row % 2)) % 1 - 0.5
        down = (1.4 * y) % 1 - 0.5
        return _ramp(np.hypot(across, down), 0.32, 0.26)
    return _ramp(np.sin(2 * np.pi * x) * np.sin(2 * np.pi * y), -0.1, 0.1)


def _solid(rgba: np.ndarray, colour: str | None, texture: str) -> np.ndarray:
    """The body as wood with its grain, or as metal with bands of light."""
    base = recolour(rgba, colour or ("brown" if texture == "wooden" else "gray")).astype(np.float32)
    body = body_of(rgba)[..., None]
    height, width = rgba.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32) / max(height, width)
    if texture == "wooden":
        grain = np.sin(2 * np.pi * (9 * y + 0.35 * np.sin(5 * x + 2) + 0.12 * np.sin(17 * x)))
        change = np.array((26, 16, 8), np.float32) * (0.3 + grain[..., None])
    else:
        band = np.sin(2 * np.pi * (1.7 * x - 0.9 * y)) ** 3 + 0.25 * np.sin(40 * (x + y))
        change = np.array((52, 54, 60), np.float32) * band[..., None]
    mixed = base[..., :3] + body * change
    return np.dstack([np.clip(mixed + 0.5, 0, 255).astype(np.uint8), rgba[..., 3]])


def recolour(rgba: np.ndarray, colour: str) -> np.ndarray:
    """Tint the body of a sprite and keep its shading, its highlights and the parts of another hue.

    Args:
        rgba: (H, W, 4) uint8.
        colour: a key of `COLOURS`.
    """
    import cv2

    lab = cv2.cvtColor(rgba[..., :3].astype(np.float32) / 255, cv2.COLOR_RGB2Lab)  # (H, W, 3), L 0..100
    target = cv2.cvtColor(np.array([[COLOURS[colour]]], np.float32) / 255, cv2.COLOR_RGB2Lab)[0, 0]
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


def body_of(rgba: np.ndarray) -> np.ndarray:
    """(H, W) 0..1, how much a pixel of (H, W, 4) uint8 belongs to the part that gives the thing its colour."""
    import cv2

    return _body(cv2.cvtColor(rgba[..., :3].astype(np.float32) / 255, cv2.COLOR_RGB2Lab), rgba[..., 3])


def _body(lab: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(H, W) 0..1, how much a pixel belongs to the part that gives the thing its colour.

    That part is what lies near the strongest hue. A pale thing without a strong hue is its body as a whole,
    but for what is dark or coloured on it.
    """
    solid = alpha > 127
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    hue = np.degrees(np.arctan2(lab[..., 2], lab[..., 1])) % 360
    weight = np.where(solid & (chroma > 12), chroma**2, 0)
    counts = np.bincount((hue // 10).astype(int).ravel(), weight.ravel(), 36)
    counts = counts + np.roll(counts, 1) + np.roll(counts, -1)
    near = _ramp(np.abs((hue - (10 * counts.argmax() + 5) + 180) % 360 - 180), 62, 42)
    pale = ((chroma < 24) & (lab[..., 0] > 62))[solid].mean() > 0.35
    if pale and (near * (chroma > 28))[solid].mean() < 0.12:
        return _ramp(chroma, 46, 34) * _ramp(lab[..., 0], 22, 40)
    # on a pale thing the weakly coloured pixels are shading, not body
    return near * (_ramp(chroma, 18, 32) if pale else _ramp(chroma, 6, 14))


def _ramp(value: np.ndarray, start: float, end: float) -> np.ndarray:
    """0 up to ``start``, 1 from ``end`` on (either way round), straight between."""
    return np.clip((value - start) / (end - start), 0, 1)


MAX_FILE_BYTES = 40_000_000
ART = Path(__file__).parent / "art"


@dataclass(frozen=True)
class Package:
    """An npm package, pinned by the SHA-512 of its archive, and which of its files are kept: names or endings."""

    name: str
    version: str
    sha512: str
    keep: tuple[str, ...]

    @property
    def url(self) -> str:
        return f"https://registry.npmjs.org/{self.name}/-/{self.name.split('/')[-1]}-{self.version}.tgz"


FLUENT = Package(
    "@lobehub/fluent-emoji-3d", "1.1.0",
    "5a5ab69554ad4e7afc043a48274a449d328ee0bb83c71a931214ef46d0f50cb4"
    "45d267bba207914232a87a10c75ee549d9069e720979c1106feb4954006de1ee",
    (".webp",),
)  # fmt: skip
NOTO = Package(
    "@iconify-json/noto", "1.2.9",
    "0d08ae5c435bba7e35721f973d2579e47f456962a91d3cb3e3a6082ad49a2980"
    "f87c80c3ccbd6d47a1f89e9fd3dfc8dfad301e237adc285d26a8761e65502e6b",
    ("icons.json", "chars.json"),
)  # fmt: skip
NOTICE = f"""The .json files come from the npm package {NOTO.name} {NOTO.version}: Noto Emoji by Google Inc
(https://github.com/googlefonts/noto-emoji), licensed under the Apache License, Version 2.0; the licence's text is at
https://www.apache.org/licenses/LICENSE-2.0. They are used unchanged.

The .webp pictures come from the npm package {FLUENT.name} {FLUENT.version}: Microsoft's Fluent Emoji, 3D style.

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
    """One cut-out picture, ``rgba``: (H, W, 4) uint8, cropped tightly to what is not transparent.

    ``noun`` is set where it shows a special kind of the category: a woman, for a person.
    """

    category: str
    rgba: np.ndarray
    noun: str = ""
    _painted: dict = field(default_factory=dict, repr=False, compare=False)

    def paint(self, colour: str | None, texture: str | None) -> np.ndarray:
        """(H, W, 4) uint8 in the named colour and texture, None for as it is; made once and kept."""
        if (colour, texture) not in self._painted:
            self._painted[colour, texture] = paint(self.rgba, colour, texture)
        return self._painted[colour, texture]


def usual_looks(sprites: dict[str, list[Sprite]]) -> dict[str, list[Sprite]]:
    """Of every category the drawings in its usual look: the plain one and those of special kinds."""
    return {name: drawings[: 1 + len(THINGS[name].kinds)] for name, drawings in sprites.items()}


def fetch_sprites(folder: Path) -> None:
    """Download the emoji packages into ``folder``: pictures, drawings and a NOTICE. Does nothing if they are there.

    Raises:
        ServiceError: the registry cannot be reached, or what came is not the package that is pinned here.
    """
    notice = folder / "NOTICE"
    if notice.is_file() and notice.read_text(encoding="utf-8") == NOTICE:
        return
    for package in (FLUENT, NOTO):
        archive = _download(package)
        digest = hashlib.sha512(archive).hexdigest()
        if digest != package.sha512:
            digests = f"{digest[:16]}…, expected {package.sha512[:16]}…"
            raise ServiceError(f"{package.name} {package.version} has SHA-512 {digests}; not unpacked")
        unpack(archive, folder, package.keep)
    notice.write_text(NOTICE, encoding="utf-8")


def _download(package: Package) -> bytes:
    """The package's archive, through the npm client if there is one."""
    npm = shutil.which("npm")
    try:
        if not npm:
            with urllib.request.urlopen(package.url, timeout=60) as response:
                return response.read()
        with tempfile.TemporaryDirectory() as scratch:
            command = [npm, "pack", f"{package.name}@{package.version}", "--silent"]
            subprocess.run(command, cwd=scratch, check=True, capture_output=True, timeout=300)
            return next(Path(scratch).glob("*.tgz")).read_bytes()
    except (OSError, subprocess.SubprocessError, StopIteration) as error:
        raise ServiceError(f"cannot download {package.name} {package.version}: {error}") from error


def unpack(archive: bytes, folder: Path, keep: tuple[str, ...] = FLUENT.keep) -> None:
    """Write the files of a .tgz that end as in ``keep`` into ``folder``, flat: only the last part of a name is used."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as members:
        for member in members:
            name = PurePosixPath(member.name).name
            if member.isfile() and name.endswith(keep) and member.size <= MAX_FILE_BYTES:
                file = members.extractfile(member)
                (folder / name).write_bytes(file.read() if file else b"")


def load_sprites(folder: Path, size: int = 192) -> dict[str, list[Sprite]]:
    """Every category's sprites, the usual look first, the longer side ``size`` pixels.

    Raises:
        BadInput: a picture of the emoji sets is not in ``folder``.
    """
    noto = _Noto(folder)
    sprites: dict[str, list[Sprite]] = {}
    for name, kind in THINGS.items():
        emoji_by_noun = {"": kind.emoji, **kind.kinds}
        sprites[name] = [
            Sprite(name, _fit(_read(folder, noto, name, look, emoji, size), size), noun)
            for look in kind.looks
            for noun, emoji in emoji_by_noun.items()
        ]
    return sprites


class _Noto:
    """The Noto set: drawings (SVG) by code point."""

    def __init__(self, folder: Path):
        if not all((folder / name).is_file() for name in NOTO.keep):
            raise BadInput("sprites", f"no Noto drawings in {folder}; fetch them with --stage sprites")
        icons, self.names = (json.loads((folder / name).read_text(encoding="utf-8")) for name in NOTO.keep)
        self.icons = icons["icons"]
        self.aliases = icons["aliases"]

    def svg(self, emoji: str) -> str | None:
        """The drawing of a code point, None if there is none. The set names code points without the variation mark."""
        name = self.names.get(emoji.replace("-fe0f", ""), "")
        icon = self.icons.get(self.aliases[name]["parent"] if name in self.aliases else name)
        return icon and f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 128 128">{icon["body"]}</svg>'


def _read(folder: Path, noto: _Noto, name: str, look: str, emoji: str, size: int) -> np.ndarray:
    """(H, W, 4) uint8 RGBA of one look of a category: "a" our own drawing, "f" and "n" those of the emoji sets."""
    import cv2

    data = b""
    if look == "f":
        path = folder / f"{emoji}.webp"
        data = path.read_bytes() if path.is_file() else b""
    elif svg := noto.svg(emoji) if look == "n" else drawing_of(name).read_text(encoding="utf-8"):
        data = _rasterise(svg, 2 * size)
    bgra = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    if bgra is None:
        raise BadInput("sprites", f'no picture of "{name}" ({emoji}) in {folder}; fetch them with --stage sprites')
    return cv2.cvtColor(bgra, cv2.COLOR_BGRA2RGBA)


def drawing_of(name: str) -> Path:
    """The file of our own drawing of a category."""
    return ART / f"{name.replace(' ', '-')}.svg"


def _rasterise(svg: str, width: int) -> bytes:
    """A PNG, ``width`` pixels wide."""
    import resvg_py

    return bytes(resvg_py.svg_to_bytes(svg_string=svg, width=width, skip_system_fonts=True))


def _fit(rgba: np.ndarray, size: int) -> np.ndarray:
    """Crop to what is visible, and scale so that the longer side is ``size``."""
    import cv2

    solid = rgba[..., 3] > 24
    rows = np.flatnonzero(solid.any(axis=1))
    columns = np.flatnonzero(solid.any(axis=0))
    rgba = rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = size / max(rgba.shape[:2])
    width, height = (max(round(side * scale), 1) for side in (rgba.shape[1], rgba.shape[0]))
    alpha = rgba[..., 3:].astype(np.float32) / 255
    # scaled premultiplied, so that the colour of transparent pixels does not bleed into the edge
    small = cv2.resize(np.dstack([rgba[..., :3] * alpha, alpha]), (width, height), interpolation=cv2.INTER_AREA)
    rgb = small[..., :3] / np.maximum(small[..., 3:], 1e-3)
    return np.clip(np.dstack([rgb, small[..., 3:] * 255]) + 0.5, 0, 255).astype(np.uint8)
