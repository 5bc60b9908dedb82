"""Annotations as tools export them: read, counted, and written back without loss of what the format can hold."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from annotation_files import FILES, AnnotationFile

from instdiff import BadInput, Box, Instance, Layout, Mask, Point, Scribble
from instdiff.formats import LayoutWarning, load_layout, save_layout
from instdiff.formats.files import read_bytes
from instdiff.formats.other_tools import FORMS, read_annotations, read_folder, save_annotations


def put(folder: Path, file: AnnotationFile) -> Path:
    for name, content in file.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder / file.read if file.read else folder


def read(path: Path) -> list[tuple[str, Layout]]:
    found = read_folder(path) if path.is_dir() else read_annotations(path, read_bytes(path))
    assert found is not None
    return list(found)


def places(instance: Instance) -> str:
    return " ".join(kind for kind in ("mask", "point", "scribble") if getattr(instance, kind))


def assert_same(found: Instance, expected: Instance, size: tuple[int, int], within_px: float = 1.0) -> None:
    """Equal but for boxes, which masks may round to whole pixels."""
    assert (found.category, found.caption) == (expected.category, expected.caption)
    assert (found.mask is None) == (expected.mask is None) and (found.scribble is None) == (expected.scribble is None)
    assert found.mask is None or (found.mask.array == expected.mask.array).all()
    for one, other in ((found.point, expected.point), *zip(dots(found), dots(expected), strict=True)):
        assert one == other or (one.x, one.y) == pytest.approx((other.x, other.y), abs=1e-6)
    assert (found.box is None) == (expected.box is None)
    if found.box:
        assert found.box.to_corners(size) == pytest.approx(expected.box.to_corners(size), abs=within_px)


def dots(instance: Instance) -> tuple[Point, ...]:
    return instance.scribble.points if instance.scribble else ()


@pytest.mark.filterwarnings("ignore::instdiff.formats.LayoutWarning")
@pytest.mark.parametrize("name", FILES)
def test_files_of_tools_are_read_and_written_back(tmp_path, name):
    file = FILES[name]
    found = read(put(tmp_path / "theirs", file))
    assert [picture for picture, _ in found] == list(file.pictures)
    for (_, layout), things in zip(found, file.pictures.values(), strict=True):
        assert [(one.category, places(one)) for one in layout.instances] == [
            (label, kinds) for label, _, kinds in things
        ]
        for instance, (_, box, _) in zip(layout.instances, things, strict=True):
            assert (instance.box is None) == (box is None)
            assert box is None or instance.box.to_coco(layout.size) == pytest.approx(box, abs=0.5)
    if any(instance.extent is None for _, layout in found for instance in layout.instances) and file.form == "coco":
        return
    out = (
        tmp_path
        / "ours"
        / ("" if file.form == "yolo" or (file.form == "labelme" and not file.read) else Path(file.read or "x").name)
    )
    out.parent.mkdir(exist_ok=True)
    save_annotations(found, out, file.form)
    for path, content in file.files.items():  # the pictures, which YOLO's files need beside them
        if path.endswith(".jpg") and file.form == "yolo":
            (out / "images").mkdir(exist_ok=True)
            (out / "images" / Path(path).name).write_bytes(content)
    again = read(out)
    assert [picture for picture, _ in again] == [picture for picture, _ in found]
    for (_, before), (_, after) in zip(found, again, strict=True):
        assert (after.size, after.caption) == (before.size, before.caption)
        for one, other in zip(after.instances, before.instances, strict=True):
            assert_same(one, other, before.size)


def test_there_are_files_of_every_kind():
    assert len(FILES) >= 40 and {file.form for file in FILES.values()} == set(FORMS)


@pytest.mark.filterwarnings("ignore::instdiff.formats.LayoutWarning")
@pytest.mark.parametrize(
    "name, caption",
    [
        ("CVAT, attributes and tags of a project", "a brown dog"),
        ("Label Studio, labels apart from shapes", "a brown dog"),
        ("labelme, rectangle and polygon", "a brown dog"),
        ("CVAT, mask", "person"),
    ],
)
def test_what_people_write_about_a_thing_is_its_caption(tmp_path, name, caption):
    [(_, layout)] = read(put(tmp_path, FILES[name]))
    assert layout.instances[0].caption == caption


@pytest.fixture
def full_layout() -> Layout:
    """All that a layout can hold."""
    y, x = np.mgrid[:300, :400]
    ring = (np.hypot(y - 150, x - 200) < 80) & ~(np.hypot(y - 150, x - 200) < 30)
    parts = ((y > 20) & (y < 60) & (x > 300) & (x < 390)) | ((y > 200) & (x < 50))
    line = Scribble(points=(Point(x=0.1, y=0.1), Point(x=0.5, y=0.3), Point(x=0.9, y=0.1)))
    instances = (
        Instance(caption="a grey cat", category="cat", box=Box(x0=0.1, y0=0.2, x1=0.5, y1=0.8)),
        Instance(caption="“größer” & <犬>", category="ring", mask=Mask.from_array(ring), box=Mask.from_array(ring).box),
        Instance(caption="parts", category="parts", mask=Mask.from_array(parts), box=Box(x0=0, y0=0, x1=1, y1=1)),
        Instance(caption="a bird", category="bird", point=Point(x=0.7, y=0.2), box=Box(x0=0.5, y0=0, x1=1, y1=0.5)),
        Instance(caption="a snake", category="snake", scribble=line, box=Box(x0=0, y0=0, x1=1, y1=0.5)),
    )
    return Layout(width=400, height=300, caption='a "scene"', negative_caption="blurry", instances=instances)


ENDS = {"cvat": ".xml", "yolo": ""}
KEEPS_NEGATIVE = ("cvat", "fiftyone", "label-studio", "labelme")


@pytest.mark.parametrize("form", [form for form in FORMS if form not in ("yolo", "coco")])
def test_every_kind_of_place_both_ways(full_layout, tmp_path, form):
    path = tmp_path / f"x{ENDS.get(form, '.json')}"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_layout(full_layout, path, form)
        again = load_layout(path)
    assert (again.size, again.caption) == (full_layout.size, full_layout.caption)
    assert again.negative_caption == (full_layout.negative_caption if form in KEEPS_NEGATIVE else "")
    for found, expected in zip(again.instances, full_layout.instances, strict=True):
        assert_same(found, expected, full_layout.size, within_px=1e-3)


def test_yolo_holds_boxes_or_outlines(full_layout, tmp_path):
    save_layout(full_layout, tmp_path / "boxes", "yolo")
    with pytest.warns(LayoutWarning, match=r"512 x 512 is taken.*: 1 \(picture\)"):
        boxes = load_layout(tmp_path / "boxes")
    assert [one.category for one in boxes.instances] == ["cat", "ring", "parts", "bird", "snake"]
    for found, expected in zip(boxes.instances, full_layout.instances, strict=True):
        assert found.mask is None and found.box.xyxy == pytest.approx(expected.box.xyxy, abs=1e-6)
    masked = full_layout.with_instances(list(full_layout.instances[1:3])).with_size(512, 512)
    save_layout(masked, tmp_path / "outlines", "yolo")
    with pytest.warns(LayoutWarning):
        outlines = load_layout(tmp_path / "outlines")
    for found, expected in zip(outlines.instances, masked.instances, strict=True):
        shrunk = np.array(Mask(size=found.mask.size, counts=found.mask.counts).array)[::2, ::2]
        rows = (np.arange(256) * 2 + 0.5) / 512 * 300
        columns = (np.arange(256) * 2 + 0.5) / 512 * 400
        wanted = expected.mask.array[np.ix_(rows.astype(int), columns.astype(int))]
        assert (shrunk != wanted).mean() < 0.005  # holes and parts, too


@pytest.mark.parametrize("form", ["yolo", "coco"])
def test_a_bare_point_has_no_place_in_boxes(tmp_path, form):
    layout = Layout(caption="x", instances=(Instance(caption="a bird", point=Point(x=0.5, y=0.5)),))
    with pytest.raises(BadInput, match="bare point"):
        save_layout(layout, tmp_path / "x", form)


def test_forms_that_are_not_known(tmp_path):
    with pytest.raises(BadInput, match='"voc" is not known; choose from labelme, label-studio, cvat'):
        save_layout(Layout(caption="x"), tmp_path / "x", "voc")


@pytest.mark.parametrize("form", ["labelme", "yolo"])
def test_two_pictures_of_one_name_are_not_written_over_each_other(tmp_path, form):
    thing = Instance(caption="a dog", box=Box(x0=0, y0=0, x1=1, y1=1))
    layout = Layout(caption="x", instances=(thing,))
    with pytest.raises(BadInput, match="would have one file with train/a.jpg"):
        save_annotations([("train/a.jpg", layout), ("val\\a.png", layout)], tmp_path / "x", form)
    save_annotations([("train/a.jpg", layout), ("what\0.png", layout)], tmp_path / "y", form)
    assert {"a", "what_"} <= {path.stem for path in (tmp_path / "y").rglob("*.*")}
