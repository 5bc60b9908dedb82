"""Values as a notebook shows them: a picture inside of the page, and a small table. Every word is escaped."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from instdiff.layout import Instance, Layout

if TYPE_CHECKING:
    from PIL.Image import Image

CELL = "text-align: left; padding: 2px 12px 2px 0; vertical-align: top"


def html(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], picture: Image | None = None) -> str:
    """A picture with its title and a table below it; a cell for each column in a row."""
    image = f'<img alt="" style="max-width: 512px" src="{data_url(picture)}">' if picture else ""
    head = "".join(f'<th style="{CELL}">{escape(column)}</th>' for column in columns)
    body = "".join(
        "<tr>" + "".join(f'<td style="{CELL}">{escape(cell)}</td>' for cell in row) + "</tr>" for row in rows
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if rows else ""
    return f"<div>{image}<p>{escape(title)}</p>{table}</div>"


def data_url(picture: Image) -> str:
    """A picture as an address that holds the picture itself."""
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def layout_html(layout: Layout) -> str:
    """A layout: its drawing, and what each instance is and where."""
    rows = [
        [str(number), instance.name, instance.caption, _places(instance, layout.size)]
        for number, instance in enumerate(layout.instances, 1)
    ]
    title = f"{layout.caption} ({layout.width} x {layout.height})"
    return html(title, ["", "name", "caption", "place in pixels"], rows, layout.draw())


def _places(instance: Instance, size: tuple[int, int]) -> str:
    """Where an instance is, in words."""
    places = []
    if instance.box:
        places.append("box " + ", ".join(f"{value:.0f}" for value in instance.box.to_corners(size)))
    if instance.point:
        places.append(f"point {instance.point.x * size[0]:.0f}, {instance.point.y * size[1]:.0f}")
    if instance.scribble:
        places.append(f"scribble of {len(instance.scribble.points)} points")
    if instance.mask:
        places.append("mask")
    return "; ".join(places)
