"""Datasets: pictures with a manifest, their boxes and statistics; each can be accepted or rejected."""

from __future__ import annotations

import contextlib
from collections import Counter
from functools import lru_cache
from pathlib import Path

import streamlit as st

from agent.dashboard import pictures
from agent.dashboard.navigation import plain, shortened, telling
from agent.dashboard.run_index import folders_with
from agent.runs import write_json
from evaluators.layout_statistics import Statistics, statistics
from evaluators.manifest import FILE, Manifest, Picture, read_manifest
from instdiff.errors import BadInput
from instdiff.formats import layouts_from_coco, read_png
from instdiff.formats.files import parse_json, read_bytes
from instdiff.layout import Layout
from instdiff.settings import outputs_folder

REVIEW = "review.json"
ANNOTATIONS = "annotations.json"
DECISIONS = ("accepted", "rejected")
SHOWN = ("all", "undecided", *DECISIONS)
PER_PAGE = 12
PER_ROW = 4


def show() -> None:
    """One folder: its figures, then its pictures page by page."""
    st.header("Datasets")
    root = outputs_folder()
    folders = {str(folder.relative_to(root)): folder for folder in folders_with(FILE)}
    if not folders:
        st.text(f"There are no pictures with a manifest in {root}; make some with: python -m agent.dataset --help")
        return
    names = list(folders)
    asked = st.query_params.get("folder")
    name = st.selectbox("Folder", names, index=names.index(asked) if asked in names else 0)
    st.query_params["folder"] = name
    folder = folders[name]
    manifest = read_manifest(folder)
    if not manifest.pictures:
        st.text("The folder holds no pictures yet.")
        return
    layouts = _layouts(folder, manifest)
    with telling():
        _figures(manifest, layouts, decisions(folder))
    _items(folder, manifest, layouts)


def decisions(folder: Path) -> dict[str, str]:
    """What was decided of the pictures, by key.

    Raises:
        BadInput: the file holds something else.
    """
    path = folder / REVIEW
    by_key = parse_json(read_bytes(path), str(path)) if path.exists() else {}
    if not isinstance(by_key, dict) or not set(map(str, by_key.values())) <= set(DECISIONS):
        raise BadInput(REVIEW, f"{path} holds something else than decisions")
    return by_key


def decide(folder: Path, key: str, decision: str | None) -> None:
    """Keep a decision, or take it back."""
    by_key = {**decisions(folder), key: decision}
    write_json(folder / REVIEW, {name: by_key[name] for name in sorted(by_key) if by_key[name]})


def _layouts(folder: Path, manifest: Manifest) -> dict[str, Layout]:
    """The layout of each picture: its annotations where the folder has them, else what it was painted from.

    Pictures that cannot be read are left out, and say so in their places.
    """
    path = folder / ANNOTATIONS
    annotated = _annotated(path, path.stat().st_mtime_ns) if path.exists() else {}
    layouts = {}
    for picture in manifest.pictures:
        with contextlib.suppress(BadInput):
            layouts[picture.key] = annotated.get(picture.file) or _painted_from(folder / picture.file, picture.sha256)
    return layouts


@lru_cache(maxsize=4)
def _annotated(path: Path, changed_ns: int) -> dict[str, Layout]:
    return {Path(str(record.get("file_name", ""))).name: layout for record, layout in layouts_from_coco(path)}


@lru_cache(maxsize=20_000)
def _painted_from(path: Path, sha256: str) -> Layout:
    return read_png(path)[0]


def _figures(manifest: Manifest, layouts: dict[str, Layout], decided: dict[str, str]) -> None:
    """How much there is, and what it looks like as numbers."""
    counts = Counter(decided.values())
    figures = st.columns(4)
    figures[0].metric("pictures", len(manifest.pictures))
    figures[1].metric("boxes", sum(len(layout.instances) for layout in layouts.values()))
    figures[2].metric("accepted", counts["accepted"])
    figures[3].metric("rejected", counts["rejected"])
    with st.expander("Statistics"):
        table, plot = st.columns(2)
        measured = statistics(list(layouts.values()))
        fields = Statistics.model_fields.items()
        values = [(field.description or key, getattr(measured, key)) for key, field in fields]
        table.dataframe([{"figure": name, "value": f"{value:.3g}"} for name, value in values])
        table.dataframe([{"painted with": key, "value": str(value)} for key, value in manifest.painted_with.items()])
        names = Counter(instance.name for layout in layouts.values() for instance in layout.instances)
        bars = [{"category": name, "boxes": count} for name, count in names.most_common(25)]
        plot.bar_chart(bars, x="category", y="boxes", horizontal=True, sort="-boxes")


def _items(folder: Path, manifest: Manifest, layouts: dict[str, Layout]) -> None:
    """The pictures that are asked for, one page of them."""
    bar = st.container(horizontal=True, vertical_alignment="bottom")
    which = bar.segmented_control("Show", SHOWN, default="all", required=True)
    word = bar.text_input("With", placeholder="a category", width=240)
    boxes = bar.toggle("Boxes", value=True)
    decided = decisions(folder)
    every = manifest.pictures
    matching = [picture for picture in every if _asked_for(picture, layouts.get(picture.key), decided, which, word)]
    pages = max(-(-len(matching) // PER_PAGE), 1)
    number = bar.number_input(f"Page, of {pages}", 1, pages, 1, width=160) if pages > 1 else 1
    st.text(f"{len(matching)} of {len(every)} pictures" if matching else "No picture is like that.")
    shown = matching[(number - 1) * PER_PAGE : number * PER_PAGE]
    for first in range(0, len(shown), PER_ROW):
        for picture, column in zip(shown[first : first + PER_ROW], st.columns(PER_ROW), strict=False):
            with column, telling():
                layout = layouts.get(picture.key) or _painted_from(folder / picture.file, picture.sha256)
                _item(folder, picture, layout, decided.get(picture.key), boxes)


def _asked_for(picture: Picture, layout: Layout | None, decided: dict[str, str], which: str, word: str) -> bool:
    is_shown = which in ("all", decided.get(picture.key, "undecided"))
    names = [instance.name.lower() for instance in layout.instances] if layout else []
    return is_shown and (not word or any(word.lower() in name for name in names))


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
        decide(folder, picture.key, st.session_state[state])

    label = f"Decision on {picture.key}"
    st.segmented_control(label, DECISIONS, key=state, on_change=keep, label_visibility="collapsed")
