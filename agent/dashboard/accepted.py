"""The export of what a person accepted, from the page of datasets: with what was put right, for trainers."""

from __future__ import annotations

import shutil
from pathlib import Path

import streamlit as st

from agent.dashboard.dataset_pictures import dataset_of, on_picture
from agent.dashboard.navigation import plain
from agent.dataset.export import WRITERS, export_all
from agent.dataset.export.records import ExportOptions
from agent.dataset.review import ACCEPTED, decisions
from evaluators.manifest import Manifest
from instdiff.errors import BadInput, InstDiffError
from instdiff.formats.other_tools import save_annotations

FORMATS = ("coco", "yolo")
OUT = "accepted"  # beside the pictures, or in the dataset's folder


def show_export(folder: Path, manifest: Manifest) -> None:
    """What to write, and a button that writes it; where it lies then is said."""
    with st.expander("Export what is accepted"):
        dataset = dataset_of(folder)
        out = (dataset.path if dataset else folder) / OUT
        st.text(f"The accepted pictures with what was put right go to {out}; an export that is there is replaced.")
        possible = list(WRITERS) if dataset else list(FORMATS)
        formats = st.multiselect("Formats", possible, default=list(FORMATS))
        if dataset:
            words = f"instdiff-agent dataset export {dataset.path} --reviewed --format {','.join(formats)} --out {out}"
            st.code(words, language=None, wrap_lines=True)
        if st.button("Export", icon=":material/download:", disabled=not formats):
            try:
                with st.spinner("Writing"):
                    said = _export(folder, manifest, formats, out)
            except (InstDiffError, OSError) as error:
                st.error(plain(str(error)))
            else:
                st.success(plain(said))


def _export(folder: Path, manifest: Manifest, formats: list[str], out: Path) -> str:
    """Write the formats; how much that was, in a sentence.

    Raises:
        BadInput: nothing is accepted, or ``out`` holds something else.
        ServiceError: a package that a format needs is missing.
    """
    dataset = dataset_of(folder)
    if dataset:
        found = export_all(dataset, out, formats, ExportOptions(reviewed=True))
        pictures, boxes = int(str(found["pictures"])), int(str(found["annotations"]))
    else:
        pictures, boxes = export_pictures(folder, manifest, formats, out)
    return f"{_count(pictures, 'picture')} with {_count(boxes, 'label')} in {out}"


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"


def export_pictures(folder: Path, manifest: Manifest, formats: list[str], out: Path) -> tuple[int, int]:
    """Write accepted pictures of a folder that is no dataset; how many there are, and how many labels.

    Each format has a folder of its own in ``out``: the pictures in ``images``, and ``annotations.json`` of COCO, or
    ``labels`` and ``data.yaml`` of YOLO.

    Raises:
        BadInput: nothing is accepted, or ``out`` holds something else.
    """
    decided = decisions(folder)
    accepted = [picture for picture in manifest.pictures if decided.get(picture.key) == ACCEPTED]
    if not accepted:
        raise BadInput(folder.name, "holds no picture that a person accepted")
    if out.exists() and not {path.name for path in out.iterdir()} <= set(FORMATS):
        raise BadInput("out", f"{out} holds something else than an earlier export")
    named = [(picture.file, on_picture(folder, picture)) for picture in accepted]
    for form in formats:
        shutil.rmtree(out / form, ignore_errors=True)
        (out / form / "images").mkdir(parents=True)
        for name, _ in named:
            shutil.copyfile(folder / name, out / form / "images" / name)
        save_annotations(named, out / form / "annotations.json" if form == "coco" else out / form, form)
    return len(named), sum(len(layout.instances) for _, layout in named)
