"""Datasets: pictures with a manifest, their boxes and statistics; each can be accepted, rejected and put right."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path

import streamlit as st

from agent.dashboard import pictures
from agent.dashboard.accepted import show_export
from agent.dashboard.dataset_pictures import manifest_of, may_have, on_picture
from agent.dashboard.navigation import plain, shortened, telling
from agent.dashboard.review import show_review
from agent.dashboard.run_index import folders_with
from agent.dataset.review import DECISIONS, decide, decisions
from evaluators.layout_statistics import Statistics, statistics
from evaluators.manifest import FILE, Manifest, Picture
from instdiff.errors import BadInput
from instdiff.layout import Layout
from instdiff.settings import outputs_folder

GRID = "side by side"
ONE = "one by one"
VIEWS = (GRID, ONE)
SHOWN = ("all", "undecided", *DECISIONS)
PER_PAGE = 12
PER_ROW = 4
FIELDS = ("folder", "view", "show", "with")  # all of them stand in the address
FIELD = "datasets-{}".format  # the state of a field
WRITTEN = "datasets-address"  # the address as this page knows it
CHOICE = "review-choice"  # in the session: the pictures that are looked at one by one


def show() -> None:
    """One folder: its pictures page by page with their figures, or one by one with keys."""
    st.header("Datasets")
    root = outputs_folder()
    folders = {str(folder.relative_to(root)): folder for folder in folders_with(FILE)}
    if not folders:
        st.text(f"There are no pictures with a manifest in {root}; make some with: instdiff-agent dataset make --help")
        return
    bar = st.container(horizontal=True, vertical_alignment="bottom")
    folder, view = _choose(bar, folders)
    manifest = manifest_of(folder)
    if not manifest.pictures:
        st.text("The folder holds no pictures yet.")
        return
    if view == GRID:
        st.session_state.pop(CHOICE, None)
        _grid(folder, manifest)
    else:
        _one_by_one(bar, folder, manifest)
    show_export(folder, manifest)


def _choose(bar, folders: dict[str, Path]) -> tuple[Path, str]:
    """The folder, and how its pictures are shown; the address keeps both."""
    choices = {"folder": tuple(folders), "view": VIEWS, "show": SHOWN}
    _read_address(choices)
    name = bar.selectbox("Folder", list(folders), key=FIELD("folder"), width=320)
    view = bar.segmented_control("Pictures", VIEWS, key=FIELD("view"), required=True)
    return folders[name], view


def _read_address(choices: dict[str, tuple[str, ...]]) -> None:
    """Fill the fields where the page is entered, also by the back button; what is no choice is passed over."""
    given = {name: st.query_params.get(name, "") for name in FIELDS}
    is_filled = all(FIELD(name) in st.session_state for name in FIELDS)  # Streamlit forgets those of a page left
    if is_filled and given == st.session_state.get(WRITTEN):
        return
    for name, word in given.items():
        known = choices.get(name)
        st.session_state[FIELD(name)] = word if known is None or word in known else known[0]
    st.session_state[WRITTEN] = given


def _write_address() -> None:
    """Where the fields hold something else than the address, it follows."""
    asked = {name: st.session_state[FIELD(name)] for name in FIELDS}
    if asked != {name: st.query_params.get(name, "") for name in FIELDS}:
        st.query_params.from_dict({name: word for name, word in asked.items() if word})
    st.session_state[WRITTEN] = asked


def _one_by_one(bar, folder: Path, manifest: Manifest) -> None:
    """The pictures that are asked for, each large; they stay the same until something else is asked for."""
    which, word = _filters(bar)
    asked = (str(folder), which, word, manifest.pictures[-1].key)
    choice = st.session_state.get(CHOICE)
    if choice is None or choice["asked"] != asked:
        keys = {picture.key for picture in _matching(folder, manifest, which, word)}
        number = choice["number"] + 1 if choice else 0
        st.session_state[CHOICE] = choice = {"asked": asked, "keys": keys, "number": number}
    chosen = [picture for picture in manifest.pictures if picture.key in choice["keys"]]
    if not chosen:
        st.text("No picture is like that.")
        return
    with telling():
        _review(folder, chosen, f"{choice['number']}: {asked}")


@st.fragment
def _review(folder: Path, chosen: list[Picture], name: str) -> None:
    with telling():
        show_review(folder, chosen, name)


def _filters(bar) -> tuple[str, str]:
    """Which pictures are asked for: by their decision, and by a category."""
    which = bar.segmented_control("Show", SHOWN, key=FIELD("show"), required=True)
    word = bar.text_input("With", key=FIELD("with"), placeholder="a category", width=200)
    _write_address()
    return which, word.strip()


def _matching(folder: Path, manifest: Manifest, which: str, word: str) -> list[Picture]:
    """The pictures that are asked for; what cannot be read has no category."""
    decided = decisions(folder)
    shown = [one for one in manifest.pictures if which in ("all", decided.get(one.key, "undecided"))]
    if not word:
        return shown
    with st.spinner("Looking"):
        return [one for one in shown if _has(folder, one, word.lower())]


def _has(folder: Path, picture: Picture, word: str) -> bool:
    with contextlib.suppress(BadInput, OSError):
        return may_have(folder, picture, word) and any(
            word in instance.name.lower() for instance in on_picture(folder, picture).instances
        )
    return False


def _grid(folder: Path, manifest: Manifest) -> None:
    """The figures, then the pictures that are asked for, one page of them."""
    with telling():
        _figures(folder, manifest)
    bar = st.container(horizontal=True, vertical_alignment="bottom")
    which, word = _filters(bar)
    boxes = bar.toggle("Boxes", value=True)
    matching = _matching(folder, manifest, which, word)
    pages = max(-(-len(matching) // PER_PAGE), 1)
    number = bar.number_input(f"Page, of {pages}", 1, pages, 1, width=160) if pages > 1 else 1
    st.text(f"{len(matching)} of {len(manifest.pictures)} pictures" if matching else "No picture is like that.")
    shown = matching[(number - 1) * PER_PAGE : number * PER_PAGE]
    decided = decisions(folder)
    for first in range(0, len(shown), PER_ROW):
        for picture, column in zip(shown[first : first + PER_ROW], st.columns(PER_ROW), strict=False):
            with column, telling():
                _item(folder, picture, on_picture(folder, picture), decided.get(picture.key), boxes)


def _figures(folder: Path, manifest: Manifest) -> None:
    """How many pictures there are, and, where that is asked for, what is on all of them as numbers."""
    counts = Counter(decisions(folder).values())
    figures = st.columns(4, vertical_alignment="center")
    figures[0].metric("pictures", len(manifest.pictures))
    figures[1].metric("accepted", counts["accepted"])
    figures[2].metric("rejected", counts["rejected"])
    if not figures[3].toggle("Statistics", help="Every picture's labels are read for them."):
        return
    layouts = []
    with st.spinner("Reading"):
        for picture in manifest.pictures:  # those that cannot be read say so in their places
            with contextlib.suppress(BadInput, OSError):
                layouts.append(on_picture(folder, picture))
    table, plot = st.columns(2)
    measured = statistics(layouts)
    names = Counter(instance.name for layout in layouts for instance in layout.instances)
    fields = Statistics.model_fields.items()
    rows = [("boxes", str(names.total()))]
    rows += [(field.description or key, f"{getattr(measured, key):.3g}") for key, field in fields]
    table.dataframe([{"figure": name, "value": value} for name, value in rows])
    table.dataframe([{"painted with": key, "value": str(value)} for key, value in manifest.painted_with.items()])
    bars = [{"category": name, "boxes": count} for name, count in names.most_common(25)]
    plot.bar_chart(bars, x="category", y="boxes", horizontal=True, sort="-boxes")


def _item(folder: Path, picture: Picture, layout: Layout, decision: str | None, boxes: bool) -> None:
    path = folder / picture.file
    state = f"decision-{folder}-{picture.key}"
    st.image(
        pictures.boxed(path, layout) if boxes else str(pictures.readable(path)),
        width="stretch",
        alt=shortened(layout.caption, 100),
    )
    st.caption(plain(f"{picture.key}: {shortened(layout.caption, 80)}"))
    st.session_state[state] = decision  # the folder holds the truth, which another tab may have changed

    def keep() -> None:
        decide(folder, {picture.key: st.session_state[state]})

    label = f"Decision on {picture.key}"
    st.segmented_control(label, DECISIONS, key=state, on_change=keep, label_visibility="collapsed")
