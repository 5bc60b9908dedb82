"""Pictures with boxes, and two pictures under one slider."""

from __future__ import annotations

import base64
import io
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import streamlit as st
from PIL import Image, ImageDraw

from agent.repair.regions import grown, region_of
from evaluators.drawing import draw_report
from evaluators.matching import unchecked_report
from evaluators.report import Report
from instdiff.drawing import draw_layout
from instdiff.errors import BadInput
from instdiff.layout import Box, Instance, Layout

EMPTY = (236, 236, 236)  # the ground of a plan that is not painted yet
SURROUNDINGS = 0.6  # of a thing that is cut out: share of its sides that is seen around it
THUMBNAIL = 256  # pixels of the longer side
SPOILED = (OSError, ValueError, SyntaxError, EOFError, OverflowError, Image.DecompressionBombError)  # Pillow's errors

HTML = """<div class="both">
<img class="after" alt="the picture after"><img class="before" alt="the picture before"><div class="line"></div>
</div>
<label><span class="left"></span>
<input type="range" min="0" max="100" value="50" aria-label="where the two pictures meet">
<span class="right"></span></label>"""
CSS = """.both { position: relative; max-width: 640px; }
.both img { display: block; width: 100%; }
.both .before { position: absolute; inset: 0; }
.line { position: absolute; top: 0; bottom: 0; width: 2px; background: white; box-shadow: 0 0 3px black; }
label { display: flex; gap: 0.75rem; align-items: center; max-width: 640px; }
label { color: var(--st-text-color); font-family: var(--st-font); }
input { flex: 1; accent-color: var(--st-primary-color); }"""
JS = """export default function ({ parentElement, data }) {
  const find = (name) => parentElement.querySelector(name);
  find('.before').src = data.before;
  find('.after').src = data.after;
  find('.left').textContent = data.left;
  find('.right').textContent = data.right;
  const slider = find('input');
  const move = () => {
    find('.before').style.clipPath = `inset(0 ${100 - slider.value}% 0 0)`;
    find('.line').style.left = `${slider.value}%`;
  };
  slider.oninput = move;
  move();
}"""


def boxed(
    picture: Path | None,
    layout: Layout,
    report: Report | None = None,
    planned: bool = True,
    detected: bool = True,
    regions: tuple[Box, ...] = (),
) -> bytes:
    """A picture as PNG with its plan and what was found on it; without a picture the plan alone.

    ``regions`` are outlined, such as those that were painted anew. Where nobody looked, the plan has no verdicts.

    Raises:
        BadInput: the picture cannot be read.
    """
    changed_ns = readable(picture).stat().st_mtime_ns if picture else 0
    return _boxed(picture, changed_ns, layout, report or unchecked_report(layout), planned, detected, regions)


def outlined(picture: Path, layout: Layout, regions: tuple[Box, ...]) -> bytes:
    """A picture as PNG with some regions outlined, and nothing else."""
    return boxed(picture, layout, planned=False, detected=False, regions=regions)


@lru_cache(maxsize=64)
def _boxed(picture: Path | None, changed_ns: int, layout: Layout, report: Report, planned: bool, *marks: Any) -> bytes:
    image = Image.open(picture) if picture else Image.new("RGB", layout.size, EMPTY)
    if planned and not report.checked:
        image = draw_layout(layout, image)
        planned = False
    buffer = io.BytesIO()
    draw_report(image, layout, report, planned, *marks).save(buffer, format="PNG")
    return buffer.getvalue()


def readable(picture: Path) -> Path:
    """The same path, once all of its picture could be read.

    Raises:
        BadInput: there is no such picture, or it is damaged.
    """
    try:
        _decode(picture, picture.stat().st_mtime_ns)
    except FileNotFoundError as error:
        raise BadInput(picture.name, "is not there") from error
    except SPOILED as error:
        raise BadInput(picture.name, "cannot be read as a picture: it is cut off or damaged") from error
    return picture


@lru_cache(maxsize=4000)
def _decode(picture: Path, changed_ns: int) -> None:
    with Image.open(picture) as image:
        image.load()


def thumbnail(picture: Path) -> str | None:
    """A small JPEG of a picture as a data URL, or None if there is no such picture.

    Raises:
        BadInput: the picture is damaged.
    """
    try:
        return _thumbnail(picture, picture.stat().st_mtime_ns)
    except FileNotFoundError:
        return None
    except SPOILED as error:
        raise BadInput(picture.name, "cannot be read as a picture: it is cut off or damaged") from error


@lru_cache(maxsize=4000)
def _thumbnail(picture: Path, changed_ns: int) -> str:
    with Image.open(picture) as image:
        small = image.convert("RGB")
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    return _jpeg(small)


def cut_out(picture: Path, instance: Instance) -> str:
    """The part of a picture about the place of an instance, which is outlined, as a small JPEG in a data URL.

    Raises:
        BadInput: the picture cannot be read.
    """
    return _cut_out(picture, readable(picture).stat().st_mtime_ns, region_of(instance))


@lru_cache(maxsize=4000)
def _cut_out(picture: Path, changed_ns: int, region: Box) -> str:
    with Image.open(picture) as image:
        whole = image.convert("RGB")
    part = grown(region, SURROUNDINGS).to_corners(whole.size)
    left, top = int(part[0]), int(part[1])
    small = whole.crop((left, top, max(round(part[2]), left + 1), max(round(part[3]), top + 1)))
    scale = THUMBNAIL / max(small.size)
    small = small.resize((max(round(small.width * scale), 1), max(round(small.height * scale), 1)))
    x0, y0, x1, y1 = region.to_corners(whole.size)
    outline = [(x0 - left) * scale, (y0 - top) * scale, (x1 - left) * scale, (y1 - top) * scale]
    ImageDraw.Draw(small).rectangle(outline, outline="white", width=2)
    return _jpeg(small)


def _jpeg(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def compare(before: Path, after: Path, left: str, right: str, key: str) -> None:
    """Two pictures over each other; a slider says how much of each is seen.

    Raises:
        BadInput: one of them cannot be read.
    """
    _slider()(data={"before": _address(before), "after": _address(after), "left": left, "right": right}, key=key)


@cache
def _slider():
    return st.components.v2.component("instdiff_compare", html=HTML, css=CSS, js=JS)


def _address(picture: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(readable(picture).read_bytes()).decode()}"
