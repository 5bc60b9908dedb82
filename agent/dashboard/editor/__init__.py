"""A layout over its picture, edited with the mouse: a Streamlit component in plain JavaScript.

The browser gets the instances as JSON (fractions, xyxy; masks as COCO run lengths) and hands them back in the same
form after every step of the user. What comes back is data from outside, and is read as such.
"""

from __future__ import annotations

import base64
import contextlib
import io
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from agent.dashboard.drafts import Draft, fingerprint
from agent.dashboard.navigation import plain
from instdiff.errors import BadInput
from instdiff.layout import MAX_INSTANCES, Layout

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

MAX_PICTURE_SIDE = 1024  # pixels sent to the browser
MAX_MASK_TEXT = 2_000_000  # characters of run lengths in one edit, all masks together
# one module: each uses those before it
SCRIPTS = ("rle.js", "geometry.js", "zoom.js", "gestures.js", "view.js", "keys.js", "editor.js")


def edit_layout(
    picture: Path | None, layout: Layout, key: str, caption: str = "new instance", draft: Draft | None = None
) -> Layout | None:
    """Show the layout over the picture, to be edited.

    The drawing stays when the page is left and entered again in the same session, and with a draft in every session.
    Another layout or another key starts afresh, and so does the same one after `forget_drawing`.

    Args:
        picture: what to draw over, of the layout's proportions; a grey canvas if None.
        layout: where the edit starts.
        key: the name of this editor on the page.
        caption: of what is drawn next, until it is given another; a draft keeps it.
        draft: keeps what is drawn, and is where the drawing begins.

    Returns:
        The layout as it is drawn; None where that cannot be painted (the reason stands on the page).

    Raises:
        BadInput: the picture cannot be read.
    """
    import streamlit as st

    name = _component_key(key, layout)
    drawings = st.session_state.setdefault(f"drawn-{key}", {})  # what was drawn in this editor
    if name not in st.session_state:  # it was not on the page before: the browser starts from what was drawn last
        drawings["start"] = _drafted(draft, layout) if draft else drawings.get(name)
        drawings[name] = drawings["start"]
    data = {
        "picture": picture and picture_url(picture),
        "width": layout.width,
        "height": layout.height,
        "instances": layout.model_dump(mode="json")["instances"],
        "drawn": drawings.get("start"),
        "maxInstances": MAX_INSTANCES,
        "newCaption": caption,
    }
    shown = _component()(key=name, data=data, on_drawn_change=lambda: None, on_selected_change=lambda: None)
    edit = drawings.get("start") if shown.drawn is None else shown.drawn
    is_new = edit != drawings.get(name)
    drawings[name] = edit
    drawings["selected"] = shown.selected
    try:
        drawn = layout if edit is None else read_edit(edit, layout)
    except BadInput as error:
        st.error(f"What is drawn cannot be painted: {plain(str(error))}", icon=":material/error:")
        return None
    if draft and is_new:  # a window that draws nothing leaves the draft of another one alone
        _keep(draft, layout, drawn, caption)
    return drawn


def _component_key(key: str, layout: Layout) -> str:
    """Another layout is another component, and so is each one that starts afresh."""
    import streamlit as st

    return f"{key}-{st.session_state.get(f'version-{key}', 0)}-{fingerprint(layout)}"


def _drafted(draft: Draft, layout: Layout) -> dict | None:
    """What is kept of an earlier drawing; nothing, and why, where that cannot be drawn."""
    import streamlit as st

    try:
        kept = draft.read(layout)
        edit = kept and {"instances": kept["instances"]}
        return edit if edit and read_edit(edit, layout) else None
    except BadInput as error:
        st.warning(plain(f"The changes that were kept cannot be read: {error}"))
        return None


def _keep(draft: Draft, layout: Layout, drawn: Layout, caption: str) -> None:
    if drawn == layout:
        draft.discard()
    else:
        draft.keep(layout, drawn.model_dump(mode="json")["instances"], caption)


def has_drawing(key: str, layout: Layout, draft: Draft) -> bool:
    """True if something is drawn in the editor of this name, or kept of it."""
    import streamlit as st

    shown = st.session_state.get(_component_key(key, layout))
    instances = layout.model_dump(mode="json")["instances"]
    if shown and shown.get("drawn"):
        return shown["drawn"].get("instances") != instances
    with contextlib.suppress(BadInput):
        return draft.read(layout) is not None
    return False


def selected_thing(key: str, drawn: Layout) -> int | None:
    """The index of what is selected in the editor of this name, among what is drawn there; None where nothing is."""
    import streamlit as st

    index = st.session_state.get(f"drawn-{key}", {}).get("selected")
    return index if type(index) is int and 0 <= index < len(drawn.instances) else None  # a bool is no index


def forget_drawing(key: str, draft: Draft | None = None) -> None:
    """Let the editor of this name start afresh when it is shown again."""
    import streamlit as st

    st.session_state.pop(f"drawn-{key}", None)
    st.session_state[f"version-{key}"] = st.session_state.get(f"version-{key}", 0) + 1
    if draft:
        draft.discard()


def read_edit(edit: object, layout: Layout) -> Layout:
    """The layout with the instances that the browser sent: ``{"instances": [...]}``, each as `Instance` dumps itself.

    Raises:
        BadInput: anything else, too many instances, or masks that are too long.
    """
    if not isinstance(edit, dict) or set(edit) != {"instances"} or not isinstance(edit["instances"], list):
        raise BadInput("edit", 'is no {"instances": [...]}')
    if len(edit["instances"]) > MAX_INSTANCES:
        raise BadInput("instances", f"{len(edit['instances'])} instances; the model has room for {MAX_INSTANCES}")
    length = sum(map(_mask_length, edit["instances"]))
    if length > MAX_MASK_TEXT:  # before the run lengths are read one by one
        raise BadInput("instances", f"the masks take {length} characters of run lengths; at most {MAX_MASK_TEXT}")
    return Layout.parse({**dict(layout), "instances": edit["instances"]})


def picture_url(path: Path) -> str:
    """A picture file as a data URL, at most `MAX_PICTURE_SIDE` pixels wide and high."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            small = ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise BadInput("picture", f"{path.name} cannot be read as a picture ({type(error).__name__})") from error
    small.thumbnail((MAX_PICTURE_SIDE, MAX_PICTURE_SIDE))
    buffer = io.BytesIO()
    small.save(buffer, format="JPEG", quality=92)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


@cache
def _component() -> ComponentRenderer:
    """The component, registered once per process."""
    import streamlit as st

    html, css, script = parts()
    return st.components.v2.component("layout_editor", html=html, css=css, js=f"{script}\n{_asset('mount.js')}")


def parts() -> tuple[str, str, str]:
    """HTML, CSS and JavaScript of the editor, for a component that has one in it; the script exports nothing."""
    return _asset("editor.html"), _asset("editor.css"), "\n".join(map(_asset, SCRIPTS))


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _mask_length(instance: object) -> int:
    """Characters of an unread instance's run lengths; what is not of the right form is for the layout to refuse."""
    mask = instance.get("mask") if isinstance(instance, dict) else None
    counts = mask.get("counts") if isinstance(mask, dict) else None
    return len(counts) if isinstance(counts, str) else 0
