"""Our files as the tools' own libraries read them, and theirs as we do.

``data/annotations/ours`` was written by this project. Out of it datumaro 1.13.12, supervision 0.31.2 and
label-studio-sdk 2.1.2 (its converter) made ``data/annotations/theirs``: each read one of our files and wrote another.
The libraries are no dependencies: together they take a gigabyte.
"""

from pathlib import Path

import numpy as np
import pytest
from annotation_files import picture

from instdiff import Box, Instance, Layout, Mask, Point, Scribble
from instdiff.formats import label_studio
from instdiff.formats.files import read_bytes
from instdiff.formats.other_tools import read_annotations, read_folder, save_annotations

FOLDER = Path(__file__).parents[2] / "data" / "annotations"
ROWS, COLUMNS = np.mgrid[:64, :96]
RING = (np.hypot(ROWS - 32, COLUMNS - 48) < 20) & ~(np.hypot(ROWS - 32, COLUMNS - 48) < 8)
CAT = ("cat", [10, 20, 40, 30])
RING_BOX = ("ring", [29, 13, 39, 39])
SNAKE = ("snake", [8, 6, 70, 50])
WHOLE = ("cat", [0, 0, 80, 80])


def layouts() -> list[tuple[str, Layout]]:
    """What the files of ``ours`` are of."""
    line = Scribble(points=(Point(x=0.125, y=0.125), Point(x=0.5, y=0.25), Point(x=0.75, y=0.5)))
    mask = Mask.from_array(RING)
    first = (
        Instance(caption="a grey cat", category="cat", box=Box.from_coco(CAT[1], (96, 64))),
        Instance(caption="a red ring", category="ring", mask=mask, box=mask.box),
        Instance(caption="snake", category="snake", box=Box.from_coco(SNAKE[1], (96, 64)), scribble=line),
    )
    second = (
        Instance(caption="a bird", category="bird", point=Point(x=0.25, y=0.5)),
        Instance(caption="cat", category="cat", box=Box.from_coco(WHOLE[1], (80, 80))),
    )
    frame = {"width": 96, "height": 64, "caption": 'a cat in a "garden" & more', "negative_caption": "blurry"}
    return [
        ("a.png", Layout(**frame, instances=first)),
        ("b.png", Layout(width=80, height=80, caption="birds", instances=second)),
    ]


def boxed() -> list[tuple[str, Layout]]:
    return [(name, one.with_instances([thing for thing in one.instances if thing.extent])) for name, one in layouts()]


def read(path: Path) -> list[tuple[str, Layout]]:
    found = read_folder(path) if path.is_dir() else read_annotations(path, read_bytes(path))
    assert found is not None
    return list(found)


@pytest.mark.parametrize(
    "name, form, ours",
    [
        ("cvat.xml", "cvat", layouts()),
        ("datumaro.json", "datumaro", layouts()),
        ("label-studio.json", "label-studio", layouts()),
        ("coco.json", "coco", boxed()),
        ("yolo", "yolo", boxed()),
        ("yolo-outlines", "yolo", [("a.png", layouts()[0][1].with_instances([layouts()[0][1].instances[1]]))]),
    ],
)
def test_what_the_libraries_were_given_is_what_is_written(tmp_path, name, form, ours):
    save_annotations(ours, tmp_path / name, form)
    given = FOLDER / "ours" / name
    files = sorted(given.rglob("*.*")) if given.is_dir() else [given]
    for file in files:
        assert file.read_bytes() == (tmp_path / file.relative_to(given.parent)).read_bytes()


@pytest.mark.filterwarnings("ignore::instdiff.formats.LayoutWarning")
@pytest.mark.parametrize("name, form", [("labelme", "labelme"), ("fiftyone.json", "fiftyone")])
def test_what_holds_compressed_masks_is_the_same_when_it_is_read(tmp_path, name, form):
    save_annotations(layouts(), tmp_path / name, form)
    assert read(tmp_path / name) == read(FOLDER / "ours" / name)


def test_the_labelling_interface_is_the_one_that_the_converter_was_given():
    assert label_studio.config(layouts()[:1]) == (FOLDER / "ours" / "label-studio.xml").read_text()


THEIRS = {
    "datumaro.json": [[CAT, RING_BOX, SNAKE], [("bird", None), WHOLE]],
    "datumaro-cvat.xml": [[CAT, RING_BOX, SNAKE], [("bird", None), WHOLE]],
    "datumaro-yolo": [[CAT, SNAKE], [WHOLE]],  # of masks it writes nothing
    "supervision-labelme": [[CAT, RING_BOX, SNAKE], [WHOLE]],
    "supervision-yolo": [[CAT, RING_BOX, SNAKE], [WHOLE]],
    "supervision-coco.json": [[CAT, RING_BOX, SNAKE], [WHOLE]],
    "label-studio-min.json": [[CAT, SNAKE, RING_BOX, ("snake", None)], [WHOLE]],  # it was given no key points
    "label-studio-coco.json": [[CAT, SNAKE, ("snake", [12, 8, 60, 24])], [WHOLE]],  # it closes the open line
    "label-studio-yolo": [[CAT, SNAKE, ("snake", [12, 8, 60, 24])], [WHOLE]],
    "label-studio-from-yolo.json": [[CAT, RING_BOX, SNAKE], [WHOLE]],
}
EXACT_MASKS = ("datumaro.json", "datumaro-cvat.xml", "label-studio-min.json")


@pytest.mark.filterwarnings("ignore::instdiff.formats.LayoutWarning")
@pytest.mark.parametrize("name", THEIRS)
def test_what_the_libraries_write_is_read(tmp_path, name):
    source = FOLDER / "theirs" / name
    if source.is_dir() and "yolo" in name:  # whose label files lie beside pictures
        for file in source.rglob("*.*"):
            (tmp_path / file.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file.relative_to(source)).write_bytes(file.read_bytes())
            if file.parent != source:
                size = (96, 64) if file.stem == "a" else (80, 80)
                (tmp_path / file.relative_to(source)).with_suffix(".jpg").write_bytes(picture(size))
        source = tmp_path
    found = read(source)
    assert [layout.size for _, layout in found] == [(96, 64), (80, 80)]
    for (_, layout), expected in zip(found, THEIRS[name], strict=True):
        assert [instance.category for instance in layout.instances] == [label for label, _ in expected]
        for instance, (_, box) in zip(layout.instances, expected, strict=True):
            assert (instance.box is None) == (box is None)
            assert box is None or instance.box.to_coco(layout.size) == pytest.approx(box, abs=1.01)
    masks = [instance.mask.array for instance in found[0][1].instances if instance.mask and instance.category == "ring"]
    if name in EXACT_MASKS:
        assert len(masks) == 1 and (masks[0] == RING).all()
    assert all((mask ^ RING).mean() < 0.1 for mask in masks)


def test_captions_come_through_datumaro():
    [(_, first), (_, second)] = read(FOLDER / "theirs" / "datumaro-cvat.xml")
    assert [one.caption for one in first.instances] == ["a grey cat", "a red ring", "snake"]
    assert (first.caption, second.caption, first.negative_caption) == ('a cat in a "garden" & more', "birds", "blurry")
    assert first.instances[2].scribble == layouts()[0][1].instances[2].scribble
