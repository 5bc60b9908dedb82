"""Pictures one by one, large, in the editor: accepted or rejected with a key, boxes put right in their places.

The browser gets the pictures around the one that is looked at, and shows the next one without asking. What it says back
is data from outside: every decision and every drawing that was not kept yet, so that none is lost however fast they
come. Both are kept in the folder, see `agent.dataset.review`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.dashboard.dataset_pictures import OnPicture, as_made, corrected
from agent.dashboard.editor import parts, picture_url, read_edit
from agent.dataset.review import correct, decide, decisions
from evaluators.manifest import Picture
from instdiff.errors import BadInput, printable
from instdiff.layout import MAX_INSTANCES, Layout

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

AHEAD = 6  # pictures that are handed in before they are looked at
BEHIND = 1
STATE = "review-said"  # in the session: what was kept last
COMPONENT = "review"


def show_review(folder: Path, pictures: Sequence[Picture], name: str) -> None:
    """The pictures of a folder, beginning with the first that is not decided.

    Args:
        folder: holds them.
        pictures: those to look at, in order; at least one.
        name: of this choice of pictures; another one begins anew.
    """
    import streamlit as st

    kept = st.session_state.setdefault(STATE, {"number": 0, "problem": ""})
    by_key = {picture.key: picture for picture in pictures}
    shown = st.session_state.get(COMPONENT)
    said = read_said(shown.get("said") if shown else None)
    if said["folder"] == str(folder) and said["number"] > kept["number"]:
        kept |= {"number": said["number"], "problem": keep_said(folder, by_key, said)}
    decided = decisions(folder)
    keys = list(by_key)
    start = next((key for key in keys if key not in decided), keys[0])
    at = said["at"] if said["list"] == name and said["at"] in by_key else start
    held = said["held"] if said["list"] == name else ()
    place = keys.index(at)
    near = keys[max(place - BEHIND, 0) : place + AHEAD]
    data = {
        "folder": str(folder),
        "list": name,
        "keys": keys,
        "start": start,
        "number": kept["number"],
        "decided": {key: decided[key] for key in keys if key in decided},
        "pictures": {key: _on_screen(folder, by_key[key]) for key in near if key not in held},
        "problem": kept["problem"],
        "room": MAX_INSTANCES,
    }
    _component()(key=COMPONENT, data=data, on_said_change=lambda: None)


def read_said(said: object) -> dict[str, Any]:
    """What the browser said, each part of the kind that it has to be, else empty."""
    given = said if isinstance(said, Mapping) else {}
    number = given.get("number")
    held = given.get("held")
    return {
        "number": number if type(number) is int else 0,
        "folder": given.get("folder"),
        "list": given.get("list"),
        "at": given.get("at") if isinstance(given.get("at"), str) else None,
        "held": [key for key in held if isinstance(key, str)] if isinstance(held, list) else [],
        "decided": given["decided"] if isinstance(given.get("decided"), Mapping) else {},
        "drawn": given["drawn"] if isinstance(given.get("drawn"), Mapping) else {},
    }


def keep_said(folder: Path, by_key: Mapping[str, Picture], said: Mapping[str, Any]) -> str:
    """Write down what was said; what of it cannot be kept, and why."""
    try:
        decide(folder, {key: decision for key, decision in said["decided"].items() if key in by_key})
        for key, drawn in said["drawn"].items():
            if key in by_key:
                picture = by_key[key]
                layout = as_made(folder, picture).layout
                instances = None if drawn is None else read_edit(drawn, layout).instances
                correct(folder, key, picture.sha256, instances)
    except (BadInput, OSError) as error:
        return printable(f"Not kept: {error}")
    return ""


def _on_screen(folder: Path, picture: Picture) -> dict[str, Any]:
    """A picture with what is on it, for the editor; where it cannot be read, a grey ground that says why."""
    try:
        made = as_made(folder, picture)
        instances = corrected(folder, picture)
        path = folder / picture.file
        url = _picture(path, path.stat().st_mtime_ns)
    except (BadInput, OSError) as error:
        return _item("", OnPicture(Layout(caption="")), None, f" cannot be read: {error}")
    note = f"; {made.beyond} boxes more are not shown, and are lost if this is changed" if made.beyond else ""
    note += "; dashed is what nobody knows: trainers ignore it" if made.regions else ""
    return _item(url, made, instances, note)


def _item(url: str, made: OnPicture, instances: Sequence | None, note: str) -> dict[str, Any]:
    layout = made.layout
    drawn = [instance.model_dump(mode="json") for instance in instances] if instances is not None else None
    return {
        "picture": url,
        "width": layout.width,
        "height": layout.height,
        "caption": layout.caption,
        "note": printable(note),
        "regions": [{"name": name, "box": box.model_dump()} for name, box in made.regions],
        "instances": layout.model_dump(mode="json")["instances"],
        "drawn": None if drawn is None else {"instances": drawn},
    }


@lru_cache(maxsize=100)
def _picture(path: Path, changed_ns: int) -> str:
    return picture_url(path)


@cache
def _component() -> ComponentRenderer:
    import streamlit as st

    html, css, script = parts()
    html = f'<div class="review">{_asset("review.html")}{html}</div>'
    css = f"{css}\n{_asset('review.css')}"
    return st.components.v2.component("review", html=html, css=css, js=f"{script}\n{_asset('review.js')}")


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
