"""Annotation files as people bring them: what is odd costs itself, and is counted; what would be wrong is refused."""

import json
import math
import tracemalloc
import warnings

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from instdiff import rle
from instdiff.errors import BadInput
from instdiff.formats import LayoutWarning, layouts_from_coco, layouts_to_coco
from instdiff.formats.coco_file import read_coco
from instdiff.formats.layout_sets import load_layouts
from instdiff.layout import Instance, Layout, Mask, Point

DOG = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [20, 30, 100, 120], "area": 12000, "iscrowd": 0}
BALL = {"id": 2, "image_id": 1, "category_id": 2, "bbox": [200, 100, 60, 60], "area": 3600, "segmentation": []}
RING = [20, 30, 120, 30, 120, 150, 20, 150]
BALL_ALONE = ["ball"]
RUNS = rle.encode(np.pad(np.ones((120, 100), bool), ((30, 90), (20, 200))))  # the dog's box on 320 x 240


def coco(*annos, images=None, categories=None) -> dict:
    """A file of these annotations, on one picture of 320 x 240 pixels."""
    return {
        "images": images or [{"id": 1, "width": 320, "height": 240, "file_name": "a.jpg"}],
        "annotations": list(annos),
        "categories": categories or [{"id": 1, "name": "dog"}, {"id": 2, "name": "ball"}],
    }


def read(data, **options) -> tuple[list[tuple[dict, Layout]], list[str]]:
    """The layouts of a file, and what is said of it."""
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        layouts = list(layouts_from_coco(data, **options))
    assert all(issubclass(warning.category, LayoutWarning) for warning in raised)
    return layouts, [str(warning.message).partition(": ")[2] for warning in raised]


def test_a_file_as_it_should_be():
    [(record, layout)], said = read(coco({**DOG, "segmentation": [RING], "caption": "an old dog"}, BALL))
    assert record["file_name"] == "a.jpg" and layout.size == (320, 240) and said == []
    dog, ball = layout.instances
    assert (dog.caption, dog.category, ball.caption) == ("an old dog", "dog", "ball")
    assert dog.box.xyxy == pytest.approx((20 / 320, 30 / 240, 120 / 320, 150 / 240))
    assert dog.mask.array.sum() == 12000 and dog.mask.box == dog.box and ball.mask is None


@pytest.mark.parametrize(
    ("change", "box", "has_mask", "said"),
    [
        ({"bbox": [-3.5, 30, 100, 120]}, (0, 30, 96.5, 150), False, "boxes cut at the border of their picture: 1 ("),
        ({"bbox": [-0.6, 30, 100, 120]}, (0, 30, 99.4, 150), False, ""),  # rounded outwards
        ({"bbox": [230, 30, 95, 120]}, (230, 30, 320, 150), False, "boxes cut at the border of their picture: 1 ("),
        ({"bbox": [200, 100, 260, 160]}, (200, 100, 320, 240), False, "boxes cut at the border"),  # never corners
        ({"bbox": [400, 30, 100, 120]}, None, False, "1 of 2 annotations are used"),
        ({"attributes": {"rotation": 90}}, (10, 40, 130, 140), True, "boxes that are turned"),  # as CVAT exports them
        ({"attributes": {"rotation": 0.0, "occluded": True}}, (20, 30, 120, 150), False, ""),
        ({"attributes": {"rotation": "a lot"}}, (20, 30, 120, 150), False, ""),
        ({"bbox": [20, 30, 0, 120]}, None, False, "1 of 2 annotations are used"),
        ({"bbox": [20, 30, -100, 120]}, None, False, "1 of 2 annotations are used"),
        ({"bbox": None}, None, False, "1 of 2 annotations are used"),
        ({"bbox": [20, 30, 100, 120], "segmentation": [[20, 30, 120, 30]]}, (20, 30, 120, 150), False, "polygons left"),
        ({"segmentation": [RING, [1, 2, 3, 4]]}, (20, 30, 120, 150), True, "polygons left out"),
        ({"segmentation": [[*RING, 5]]}, (20, 30, 120, 150), False, "polygons left out"),
        ({"segmentation": [[*RING[:7], None]]}, (20, 30, 120, 150), False, "polygons left out"),
        ({"segmentation": RING}, (20, 30, 120, 150), True, ""),  # without the outer brackets
        ({"segmentation": [[[20, 30], [120, 30], [120, 150], [20, 150]]]}, (20, 30, 120, 150), True, ""),  # pairs
        ({"segmentation": [[20, 30], [120, 30], [120, 150]]}, (20, 30, 120, 150), True, ""),
        ({"segmentation": "20,30"}, (20, 30, 120, 150), False, "segmentations left out"),
        ({"bbox": None, "segmentation": [RING]}, (20, 30, 120, 150), True, "boxes taken from the outline"),
        ({"bbox": [], "segmentation": [RING]}, (20, 30, 120, 150), True, "boxes taken from the outline"),
        (
            {"bbox": [math.nan, 0, 5, 5], "segmentation": [RING]},
            (20, 30, 120, 150),
            True,
            "boxes taken from the outline",
        ),
        ({"bbox": [0, 0, 0, 0], "segmentation": [RING]}, (20, 30, 120, 150), True, "boxes taken from the outline"),
        ({"bbox": [999, 999, 9, 9], "segmentation": [RING]}, (20, 30, 120, 150), True, "boxes taken from the outline"),
        ({"bbox": [200, 160, 9, 9], "segmentation": [RING]}, (20, 30, 120, 150), True, "which lies elsewhere"),
        ({"bbox": [20, 30, 120, 150], "segmentation": [RING]}, (20, 30, 120, 150), True, "written as corners"),
        (
            {"bbox": None, "segmentation": [[-50, 30, 120, 30, 120, 150, -50, 150]]},
            (0, 30, 120, 150),
            True,
            "boxes taken",
        ),
        ({"bbox": None, "segmentation": {"size": [240, 320], "counts": RUNS}}, (20, 30, 120, 150), True, "boxes taken"),
        (
            {"segmentation": {"size": [240, 320], "counts": RUNS[:-1]}},
            (20, 30, 120, 150),
            False,
            "run lengths left out",
        ),
        ({"segmentation": {"size": [240, 320], "counts": "\x7f"}}, (20, 30, 120, 150), False, "run lengths left out"),
        ({"segmentation": {"size": [320, 240], "counts": [0, 76800]}}, (20, 30, 120, 150), False, "other proportions"),
        (
            {"segmentation": {"size": [120, 160], "counts": [0, 19200]}},
            (20, 30, 120, 150),
            True,
            "",
        ),  # at half the size
        ({"caption": 7}, (20, 30, 120, 150), False, "captions left out"),
        ({"area": None}, (20, 30, 120, 150), False, ""),
        ({"area": "many", "iscrowd": None}, (20, 30, 120, 150), False, ""),
        ({"id": None}, (20, 30, 120, 150), False, ""),
        ({"id": "9e1c", "image_id": "1", "category_id": "1"}, (20, 30, 120, 150), False, ""),
        ({"image_id": 7}, None, False, "1 of 2 annotations are used"),
        ({"image_id": None}, None, False, "1 of 2 annotations are used"),
        ({"category_id": 9}, None, False, "1 of 2 annotations are used"),
        ({"category_id": None}, None, False, "1 of 2 annotations are used"),
        ({"category_id": None, "category_name": "dog"}, (20, 30, 120, 150), False, ""),
        ({"point": [1, "x"]}, (20, 30, 120, 150), False, "points and scribbles left out"),
        ({"bbox": None, "scribble": [[20, 30], [120, 150]]}, "scribble", False, ""),
    ],
)
def test_one_odd_annotation_costs_what_is_odd_in_it(change, box, has_mask, said):
    [(_, layout)], sentences = read(coco({**DOG, **change}, BALL))
    names = [instance.category for instance in layout.instances]
    assert names == (["dog", "ball"] if box else ["ball"])
    if box == "scribble":
        assert layout.instances[0].box is None and len(layout.instances[0].scribble.points) == 2
    elif box:
        assert layout.instances[0].box.xyxy == pytest.approx([v / s for v, s in zip(box, (320, 240) * 2, strict=True)])
    assert bool(layout.instances[0].mask) is has_mask
    assert said in " ".join(sentences) and bool(said) == bool(sentences)
    assert "--" not in " ".join(sentences)  # no option of another command
    if said.startswith("1 of 2"):
        assert len(sentences) == 2 and ": 1 (annotation 1)" in sentences[1]


@pytest.mark.parametrize("odd", [None, 7, "dog", [1]])
@pytest.mark.parametrize("part", ["images", "annotations", "categories"])
def test_records_that_are_none_cost_themselves(part, odd):
    data = coco(DOG, BALL)
    data[part].insert(0, odd)
    [(_, layout)], sentences = read(data)
    assert [instance.category for instance in layout.instances] == ["dog", "ball"]
    assert f"records left out, as they are no objects: 1 ({part}[0])" in sentences


def test_sizes_as_text():
    [(_, layout)], said = read(coco(DOG, images=[{"id": 1, "width": "320", "height": "240"}]))
    assert layout.size == (320, 240) and said == []


@pytest.mark.parametrize(
    ("records", "sentence"),
    [
        ([{"id": None, "width": 9, "height": 9}], "images left out, as they have no id: 1 (images[1])"),
        (
            [{"id": 2, "width": 0, "height": 9}],
            "images left out, as they have no width and height in pixels: 1 (image 2)",
        ),
        ([{"id": 2, "width": "9"}], "images left out, as they have no width and height in pixels: 1 (image 2)"),
        ([{"id": 2, "width": 90, "height": 90, "caption": [1]}], "captions left out, .*: 1 (image 2)"),
    ],
)
def test_odd_images(records, sentence):
    data = coco(DOG, {**BALL, "image_id": 2})
    data["images"] += records
    _, sentences = read(data)
    first, _, last = sentence.partition(".*")
    assert any(one.startswith(first) and one.endswith(last) for one in sentences)


@pytest.mark.parametrize("size", [(8000, 6000), (6000, 8000), (12000, 300), (48, 32), (7, 900), (4096, 4096)])
def test_pictures_of_any_size(size):
    """Places are fractions; the canvas is the nearest that a layout can have, of the same proportions where it can."""
    width, height = size
    corners = [0, 0, width / 2, 0, width / 2, height / 4, 0, height / 4]
    runs = [0] + [height // 2, height - height // 2] * width
    data = coco(
        {**DOG, "bbox": [width / 4, height / 4, width / 2, height / 2]},
        {**BALL, "bbox": [0, 0, width / 2, height / 4], "segmentation": [corners]},
        {**BALL, "id": 3, "bbox": [0, 0, width, height / 2], "segmentation": {"size": [height, width], "counts": runs}},
        images=[{"id": 1, "width": width, "height": height}],
    )
    [(record, layout)], sentences = read(data)
    assert (record["width"], record["height"]) == size and not sentences
    assert min(layout.size) >= 64 and max(layout.size) <= 4096
    if 64 / 4096 <= width / height <= 4096 / 64:
        assert layout.width / layout.height == pytest.approx(width / height, rel=0.02)
    dog, ball, half = layout.instances
    assert dog.box.xyxy == pytest.approx((0.25, 0.25, 0.75, 0.75))
    assert ball.mask.box.xyxy == pytest.approx((0, 0, 0.5, 0.25), abs=0.02)
    assert half.mask.box.xyxy == pytest.approx((0, 0, 1, (height // 2) / height), abs=0.02)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (coco(DOG, images=[{"id": 4, "width": 9, "height": 9}] * 2), "images[1].id: 4 is the id of images[0] too"),
        (
            coco(DOG, images=[{"id": 1, "width": 9, "height": 9}, {"id": "1"}]),
            "images[1].id: 1 is the id of images[0] too",
        ),
        (coco(DOG, categories=[{"id": 3, "name": "a"}, {"id": 3, "name": "b"}]), "categories[1].id: 3 is the id of"),
        (coco(DOG, BALL, {**BALL, "id": 1}), "annotations[2].id: 1 is the id of annotations[0] too; give each its own"),
        (coco({**DOG, "id": "a"}, {**BALL, "id": "a"}), 'annotations[1].id: "a" is the id of annotations[0] too'),
        (
            coco({**DOG, "image_id": 9}),
            "0 of 1 annotations can be used; annotations left out, as their image is not in",
        ),
        (coco({**DOG, "bbox": None}), "0 of 1 annotations can be used"),
        (
            coco({**DOG, "iscrowd": 1, "segmentation": [RING]}),
            "0 of 1 annotations can be used; crowd regions (iscrowd)",
        ),
        (coco({**DOG, "bbox": [0.1, 0.1, 0.4, 0.5]}, {**BALL, "bbox": [0, 0, 1, 1]}), "all 2 boxes lie within 0..1"),
        ({**coco(DOG), "categories": None}, "0 of 1 annotations can be used; annotations left out, as nothing names"),
        ({**coco(DOG), "annotations": None}, "annotations: must be a list, not null"),
        ({**coco(DOG), "images": {}}, "images: must be a list, not an object"),
        ({}, "images: must be a list, and there is none"),
        ([], "must be an object"),
    ],
)
def test_what_is_refused(tmp_path, data, message):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(data))
    for source in (path, data) if isinstance(data, dict) else (path,):
        with pytest.raises(BadInput) as caught:
            layouts_from_coco(source)
        assert message in str(caught.value)


BRUSH = {**DOG, "iscrowd": 1, "segmentation": {"size": [240, 320], "counts": RUNS}}
RUNS_OF_ONE = {"size": [240, 320], "counts": [0, 76800]}


@pytest.mark.parametrize(
    ("annos", "crowd", "names", "said"),
    [
        ((BRUSH, {**BRUSH, "id": 2, "category_id": 2}), "auto", ["dog", "ball"], "as CVAT writes brushes: 2"),
        ((BRUSH, BALL), "auto", ["dog", "ball"], "as CVAT writes brushes: 1"),  # a brush's mask beside a plain box
        ((BRUSH, {**BALL, "iscrowd": True}), "auto", ["dog", "ball"], "as CVAT writes brushes: 2"),
        ((BRUSH, {**BALL, "segmentation": [[200, 100, 260, 100, 260, 160]]}), "auto", ["ball"], "no single things: 1"),
        ((BRUSH, {**BALL, "segmentation": RUNS_OF_ONE}), "auto", ["ball"], "no single things: 1"),
        (({**DOG, "iscrowd": 1}, BALL), "auto", ["ball"], "no single things: 1"),
        ((BRUSH, BALL), "regions", ["ball"], "no single things: 1"),
        ((BRUSH, {**BALL, "segmentation": RUNS_OF_ONE}), "instances", ["dog", "ball"], "as is asked for: 1"),
    ],
)
def test_crowds_are_things_where_a_brush_drew_them_or_when_asked(annos, crowd, names, said):
    [(_, layout)], sentences = read(coco(*annos), crowd=crowd)
    assert [instance.category for instance in layout.instances] == names
    assert any(said in sentence for sentence in sentences)


def test_the_30_largest_are_kept_in_their_order():
    many = [{**DOG, "id": side, "bbox": [0, 0, 4 + side, 4 + side], "area": None} for side in range(33)]
    [(_, layout)], [said] = read(coco(*many))
    assert [round(instance.box.width * 320) for instance in layout.instances] == list(range(7, 37))
    assert said == "image 1 has 33 annotations; the 30 largest are kept"


def test_lvis_in_both_versions():
    first = {"id": 1268, "width": 640, "height": 427, "file_name": "COCO_val2014_000000001268.jpg"}
    first |= {"coco_url": "http://images.cocodataset.org/val2017/000000001268.jpg", "not_exhaustive_category_ids": [1]}
    second = {"id": 397133, "width": 640, "height": 427, "neg_category_ids": [3], "license": 1}
    second |= {"coco_url": "http://images.cocodataset.org/val2017/000000397133.jpg"}
    categories = [
        {"id": 1, "name": "aerosol_can", "synset": "aerosol.n.02", "synonyms": ["spray_can"], "frequency": "c"}
    ]
    anno = {"bbox": [10, 10, 50, 40], "area": 1500.5, "category_id": 1, "segmentation": [[10, 10, 60, 10, 60, 50]]}
    annos = [{**anno, "id": 1, "image_id": 1268}, {**anno, "id": 2, "image_id": 397133}]
    layouts, said = read(coco(*annos, images=[first, second], categories=categories))
    assert said == [] and [layout.instances[0].category for _, layout in layouts] == ["aerosol_can"] * 2
    assert layouts[1][0]["coco_url"] == second["coco_url"] and layouts[0][1].instances[0].mask.array.any()


@pytest.mark.parametrize(
    "order", [("images", "annotations", "categories"), ("categories", "annotations", "info", "images")]
)
def test_files_in_any_order_and_with_numbers_that_are_none(tmp_path, order):
    data = coco({**DOG, "area": math.nan, "segmentation": [RING]}, {**BALL, "bbox": [1, 1, math.inf, 4]}) | {"info": {}}
    path = tmp_path / "x.json"
    path.write_text("\ufeff" + json.dumps({key: data[key] for key in order}, indent=1))
    [(_, layout)], said = read(path)
    assert [instance.category for instance in layout.instances] == ["dog"] and len(said) == 2


def test_a_few_of_many_are_made_alone(tmp_path):
    """Outlines of pictures that are not asked for are never drawn."""
    images = [{"id": number, "width": 320, "height": 240} for number in range(1, 401)]
    annos = [{**DOG, "id": n, "image_id": n, "segmentation": [RING]} for n in range(1, 401)]
    (tmp_path / "many.json").write_text(json.dumps(coco(*annos, images=images)))
    layouts = layouts_from_coco(tmp_path / "many.json")
    drawn = []
    original = coco_mask.merge
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coco_mask, "merge", lambda *args: drawn.append(1) or original(*args))
        part = layouts[10:13]
        last = layouts[-1]
        assert len(drawn) == 4
        assert [len(layout.instances) for layout in load_layouts(tmp_path / "many.json")[:2]] == [1, 1]
        assert len(drawn) == 6
    assert len(layouts) == 400 and [record["id"] for record, _ in part] == [11, 12, 13] and last[0]["id"] == 400
    assert all(layout.instances[0].mask for _, layout in part)
    with pytest.raises(IndexError):
        layouts[400]


def test_both_ways(tmp_path):
    ring = np.zeros((48, 64), bool)
    ring[10:40, 10:50] = True
    ring[20:30, 20:30] = False
    things = [
        Instance(caption="a red box", category="box", box={"x0": 0.1, "y0": 0.2, "x1": 0.5, "y1": 0.9}),
        Instance(caption="a ring", mask=Mask.from_array(ring), point=Point(x=0.5, y=0.5)),
    ]
    before = Layout(width=128, height=96, caption="things", instances=things)
    path = tmp_path / "x.json"
    path.write_text(json.dumps(layouts_to_coco([Layout(caption="empty"), before])))
    [(_, empty), (_, after)], said = read(path)
    assert empty == Layout(caption="empty") and after.caption == "things" and not said
    for one, again in zip(things, after.instances, strict=True):
        assert again.extent.iou(one.extent) > 0.999 and again.caption == one.caption and again.point == one.point
    assert (after.instances[1].mask.array[::2, ::2] == ring).all()


def test_memory_of_a_file_of_bombs(tmp_path):
    """Hundreds of masks of 16 megapixels in a file of some kilobytes: none is drawn until it is needed."""
    bomb = {"size": [4096, 4096], "counts": rle.counts_to_string([5, 4096 * 4096 - 5])}
    annos = [{**DOG, "id": number, "segmentation": bomb} for number in range(300)]
    path = tmp_path / "x.json"
    path.write_text(json.dumps(coco(*annos, images=[{"id": 1, "width": 4096, "height": 4096}])))
    tracemalloc.start()
    try:
        file = read_coco(path)
        layouts = [layout for _, layout in read(path)[0]]
        layouts_to_coco(layouts)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert file.count == 300 and len(layouts[0].instances) == 30
    assert peak < 50 * path.stat().st_size + 200 * 2**20
