import ast
import inspect
import json
import math
import random
import subprocess
import sys

import numpy as np
import pytest

import instdiff.layout
from instdiff import BadInput, Box, Instance, Layout, Mask, Point, Scribble, layouts_from_coco, load_layout, save_layout
from instdiff.formats import layout_from_json, layout_to_json

BOX = Box(x0=0.25, y0=0.5, x1=0.75, y1=1.0)
DOG = Instance(caption="a dog", category="dog", box=BOX)


def scribble(*pairs) -> Scribble:
    return Scribble(points=tuple(Point(x=x, y=y) for x, y in pairs))


@pytest.mark.parametrize(
    "box, other, iou",
    [
        ((0.0, 0.0, 0.5, 0.5), (0.0, 0.0, 0.5, 0.5), 1.0),
        ((0.0, 0.0, 0.5, 0.5), (0.5, 0.0, 1.0, 0.5), 0.0),
        ((0.0, 0.0, 0.5, 1.0), (0.25, 0.0, 0.75, 1.0), 1 / 3),
        ((0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 0.5, 0.5), 0.25),
    ],
)
def test_iou(box, other, iou):
    box, other = (Box(**dict(zip(("x0", "y0", "x1", "y1"), values, strict=True))) for values in (box, other))
    assert box.iou(other) == other.iou(box) == pytest.approx(iou)


@pytest.mark.parametrize(
    "corners, problem",
    [
        ((0.5, 0.0, 0.5, 1.0), "no area"),
        ((0.6, 0.0, 0.5, 1.0), "no area"),
        ((0.0, 1.0, 0.5, 0.5), "no area"),
        ((-0.1, 0.0, 0.5, 1.0), "greater than or equal to 0"),
        ((0.0, 0.0, 1.1, 1.0), "less than or equal to 1"),
        ((0.0, 0.0, math.nan, 1.0), "finite"),
        ((0.0, 0.0, math.inf, 1.0), "finite"),
        (("left", 0.0, 1.0, 1.0), "valid number"),
    ],
)
def test_boxes_that_are_none(corners, problem):
    with pytest.raises(BadInput, match=problem):
        Box.parse(dict(zip(("x0", "y0", "x1", "y1"), corners, strict=True)))


def test_pixels_of_a_wide_picture():
    box = Box.from_coco([192, 128, 384, 256], (768, 512))
    assert box == Box(x0=0.25, y0=0.25, x1=0.75, y1=0.75) == Box.from_corners([192, 128, 576, 384], (768, 512))
    assert (box.to_coco((768, 512)), box.to_corners((768, 512))) == ([192, 128, 384, 256], [192, 128, 576, 384])


@pytest.mark.parametrize(
    "places, extent",
    [
        ({"box": BOX}, BOX),
        ({"point": Point(x=0.5, y=0.5)}, None),
        ({"scribble": scribble((0.1, 0.2), (0.3, 0.4))}, Box(x0=0.1, y0=0.2, x1=0.3, y1=0.4)),
        ({"scribble": scribble((0.1, 0.2), (0.1, 0.4))}, None),
        ({"mask": Mask.from_array(np.pad(np.ones((2, 3)), ((1, 1), (1, 0))))}, Box(x0=0.25, y0=0.25, x1=1.0, y1=0.75)),
        ({"mask": Mask.from_array(np.zeros((4, 4)))}, None),
        ({"box": BOX, "scribble": scribble((0.1, 0.2), (0.3, 0.4))}, BOX),
    ],
)
def test_extent(places, extent):
    assert Instance(caption="a dog", **places).extent == extent


def test_mask_shape_is_not_transposed():
    array = np.zeros((3, 5), dtype=bool)
    array[2, 1:4] = True
    mask = Mask.from_array(array)
    assert mask.size == (3, 5) and (mask.array == array).all()


@pytest.mark.parametrize(
    "data, field, problem",
    [
        ({}, "caption", "required"),
        ({"caption": "x", "width": 63}, "width", "64"),
        ({"caption": "x", "height": 4097}, "height", "4096"),
        ({"caption": "x", "colour": "red"}, "colour", "not permitted"),
        ({"caption": "x", "instances": [{"caption": "dog"}]}, "instances.0", '"dog" has no place'),
        ({"caption": "x", "instances": [{"caption": "", "box": dict(BOX)}]}, "instances.0", "caption or a category"),
        ({"caption": "x", "instances": [{"caption": "dog", "box": dict(BOX)}] * 31}, "instances", "31 instances"),
        (
            {"caption": "x", "instances": [{"caption": "a", "mask": {"size": [9, 9], "counts": "1"}}]},
            "instances.0.mask",
            "add up to 1",
        ),
    ],
)
def test_refusals_name_field_and_reason(data, field, problem):
    with pytest.raises(BadInput) as caught:
        Layout.parse(data)
    assert caught.value.field == field and problem in caught.value.reason and "\n" not in str(caught.value)


def test_layouts_do_not_change():
    layout = Layout(caption="x")
    with pytest.raises(ValueError, match="frozen"):
        layout.caption = "y"
    assert layout.with_size(640, 384).size == (640, 384) and layout.size == (512, 512)


def test_control_characters_in_words_become_spaces():
    """Words are shown on terminals, where an escape sequence could do anything."""
    layout = Layout(caption="a\x1b[2Jcat\n", instances=[Instance(caption="a \x07cat", point=Point(x=0.5, y=0.5))])
    assert layout.caption == "a [2Jcat\n"
    assert layout.instances[0].caption == "a  cat"


@pytest.mark.parametrize(
    "make, field, problem",
    [
        (lambda: Box(x0=0.5, y0=0, x1=0.2, y1=1), "box", "no area"),
        (lambda: Point(x=2, y=0), "x", "less than or equal to 1"),
        (lambda: Layout(), "caption", "required"),
        (lambda: Layout(caption="x", colour="red"), "colour", "not permitted"),
        (lambda: Layout(caption="x", instances=[{"caption": "dog"}]), "instances.0", '"dog" has no place'),
        (lambda: Layout(caption="x", instances=[BOX]), "instances.0", "instance of Instance"),
        (lambda: Instance(caption="dog"), "instance", '"dog" has no place'),
        (lambda: Scribble(points=[]), "points", "at least 1"),
        (lambda: Mask(size=(9, 9), counts="1"), "mask", "add up to 1"),
        (lambda: Layout(caption="x").model_copy(update={"width": 7}), "width", "64"),
        (lambda: Layout(caption="x").model_copy(update={"instances": [DOG] * 31}), "instances", "31 instances"),
        (lambda: DOG.model_copy(update={"box": None}), "instance", '"dog" has no place'),
        (lambda: DOG.model_copy(update={"place": BOX}), "place", "not permitted"),
        (lambda: BOX.model_copy(update={"x1": 0.1}), "box", "no area"),
    ],
)
def test_constructors_and_copies_refuse_as_files_do(make, field, problem):
    with pytest.raises(BadInput) as caught:
        make()
    assert caught.value.field == field and problem in caught.value.reason and "\n" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None  # nothing else is shown with it


def test_copies_with_changes_are_values_of_their_own():
    mask = Mask.from_array(np.eye(3))
    assert mask.array.sum() == 3
    changed = mask.model_copy(update={"counts": Mask.from_array(np.ones((3, 3))).counts})
    assert changed.array.all() and mask.array.sum() == 3
    layout = Layout(caption="x", width=640).model_copy(update={"instances": [DOG]})
    assert layout == Layout(caption="x", width=640, instances=(DOG,)) and hash(layout)
    assert layout.model_fields_set == {"caption", "width", "instances"}
    assert layout.model_copy() == layout.model_copy(deep=True) == layout


def random_instance(rng: random.Random) -> Instance:
    """Some places, with all the digits that a number has."""
    places: dict = {}
    while not places:
        if rng.random() < 0.6:
            (x0, x1), (y0, y1) = (sorted((rng.random(), rng.random())) for _ in range(2))
            places["box"] = Box(x0=x0, y0=y0, x1=x1, y1=y1)
        if rng.random() < 0.3:
            places["point"] = Point(x=rng.random(), y=rng.random())
        if rng.random() < 0.3:
            places["scribble"] = scribble(*((rng.random(), rng.random()) for _ in range(rng.randint(1, 20))))
        if rng.random() < 0.3:
            places["mask"] = Mask.from_array(np.random.default_rng(rng.randint(0, 99)).random((13, 17)) > 0.5)
    return Instance(caption="a dog", category=rng.choice(["", "dog"]), **places)


def test_layouts_are_read_as_they_are_written(tmp_path):
    """Of 300 such layouts 257 came back with other last digits, when fractions had more digits than pixels can say."""
    path = tmp_path / "layout.json"
    for seed in range(300):
        rng = random.Random(seed)
        sides = {"width": rng.choice([512, 640, 768, rng.randint(64, 4096)]), "height": rng.randint(64, 4096)}
        layout = Layout(caption="dogs", instances=[random_instance(rng) for _ in range(rng.randint(1, 6))], **sides)
        save_layout(layout, path)
        assert load_layout(path) == layout
        assert Layout.model_validate_json(layout.model_dump_json()) == layout


def test_written_numbers_are_as_short_as_they_can_be():
    boxes = [Box.from_coco([100, 33.5, 51, 0.125], (768, 300)), Box(x0=1 / 3, y0=0.1, x1=2 / 3, y1=1)]
    layout = Layout(width=768, height=300, caption="x", instances=[Instance(caption="a", box=box) for box in boxes])
    written = [anno["bbox"] for anno in layout_to_json(layout)["annos"]]
    assert written == [[100, 33.5, 51, 0.125], [256, 30, 256, 270]]


def test_a_box_as_thin_as_a_rounding_stays_a_box():
    thin = Box(x0=0.5, y0=0, x1=math.nextafter(0.5, 1), y1=1)
    assert 0 < thin.width < 1e-12 and Box.parse(thin.model_dump()) == thin


COCO = {
    "images": [{"id": number, "width": 640, "height": 480, "file_name": f"{number}.jpg"} for number in (1, 2)],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [64, 48, 64, 48]}],
    "categories": [{"id": 1, "name": "dog"}],
}


def test_the_error_for_a_file_of_many_pictures_names_its_reader(tmp_path):
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(COCO))
    with pytest.raises(BadInput, match="holds 2 pictures: .*picture=.*instdiff.layouts_from_coco"):
        load_layout(path)
    with pytest.raises(BadInput, match="instdiff.layouts_from_coco"):
        layout_from_json(COCO)
    with path.open("r+b") as file:
        file.truncate(64 * 2**20 + 1)
    with pytest.raises(BadInput, match="limit of 64 MiB.*instdiff.layouts_from_coco"):
        load_layout(path)


def test_short_ways_to_files(tmp_path):
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(COCO))
    found = Layout.from_file(path, picture="1.jpg")
    assert next(layout for _, layout in layouts_from_coco(path)) == found
    assert found.instances[0].box == Box(x0=0.1, y0=0.1, x1=0.2, y1=0.2)


USER = """
from instdiff import Box, Instance, Layout, Mask, Point, Scribble
box = Box.from_corners([0, 0, 9, 9], (64, 64))
line = Scribble(points=[Point(x=0.1, y=0.2), Point(x=0.3, y=0.4)])
things = [Instance(caption="a dog", box=box, scribble=line, mask=Mask(size=[2, 2], counts="4"))]
layout = Layout(caption="x", instances=things)
first: tuple[Instance, ...] = layout.instances
drawn = Layout.from_boxes([[0, 0, 9, 9]], ["dog"], (64, 64), captions=["a dog"], box_format="xywh").draw().size
"""


@pytest.mark.slow
def test_a_users_script_with_lists_passes_the_type_checker(tmp_path):
    (tmp_path / "script.py").write_text(USER)
    flags = ["--strict", "--follow-imports=silent", "--ignore-missing-imports", "--cache-dir", str(tmp_path / "cache")]
    done = subprocess.run([sys.executable, "-m", "mypy", *flags, str(tmp_path / "script.py")], capture_output=True)
    assert done.returncode == 0, done.stdout.decode()


def test_what_checkers_are_told_are_the_fields():
    """The arguments that checkers see of these classes are written by hand."""
    source = ast.parse(inspect.getsource(instdiff.layout))
    for model in (Layout, Scribble, Mask):
        body = next(node for node in source.body if getattr(node, "name", "") == model.__name__)
        written = next(n for n in ast.walk(body) if isinstance(n, ast.FunctionDef) and n.name == "__init__").args
        defaults = dict(zip([one.arg for one in written.kwonlyargs], written.kw_defaults, strict=True))
        assert defaults.keys() == model.model_fields.keys()
        assert [name for name, default in defaults.items() if default is None] == [
            name for name, field in model.model_fields.items() if field.is_required()
        ]
