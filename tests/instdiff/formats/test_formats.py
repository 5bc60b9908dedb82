import json
import math
import re
import struct
import subprocess
import sys
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco_mask

from instdiff import BadInput, Box, Instance, Layout, Mask, Point, Scribble
from instdiff.formats import (
    BoxFormatWarning,
    LayoutWarning,
    box_format,
    layout_from_json,
    layout_to_json,
    layouts_from_coco,
    layouts_to_coco,
    load_layout,
    read_png,
    save_layout,
    write_png,
)
from instdiff.formats.png import SIGNATURE

DEMOS = {
    "demo_cat_dog_robin": 4,
    "demo_corgi_kitchen": 13,
    "demo_eagle_left": 4,
    "demo_eagle_right": 4,
    "demo_iterative_r1": 17,
    "demo_iterative_r2": 19,
    "demo_iterative_r3": 19,
    "demo_iterative_r4": 19,
    "demo_iterative_r5": 19,
    "demo_palm_point": 7,
    "demo_rose_garden_painting": 28,
    "demo_teddy_bear_castle": 10,
}
GPT4O = [f"2024-05-19_10-12_{n}" for n in ("001", "011", "029", "049", "069", "097")] + [
    f"2024-05-23_20-51_{n}" for n in ("001", "003")
]
RING = np.pad(np.pad(np.zeros((20, 30), dtype=bool), 10, constant_values=True), ((30, 434), (40, 422)))
DOG = {"bbox": [100, 100, 50, 50], "category_name": "dog", "caption": "a dog"}


def file_with(*annos: dict, **frame) -> dict:
    return {"caption": "a picture", "width": 512, "height": 512, "annos": list(annos), **frame}


def boxed(*bboxes: list) -> list[dict]:
    return [{"bbox": bbox, "category_name": "dog"} for bbox in bboxes]


@pytest.fixture
def full_layout() -> Layout:
    """Every kind of place, alone and mixed, on a picture that is not square."""
    mask = Mask.from_array(RING)
    line = Scribble(points=(Point(x=0.0, y=1.0), Point(x=0.3, y=0.123456789), Point(x=1.0, y=0.0)))
    instances = (
        Instance(
            caption="a dog", category="dog", box=Box(x0=1 / 3, y0=0.1, x1=2 / 3, y1=0.9), point=Point(x=1.0, y=1.0)
        ),
        Instance(caption="“größer”\nals 犬", mask=mask),
        Instance(caption="", category="cat", scribble=line, box=Box(x0=0.0, y0=0.0, x1=1.0, y1=1.0)),
        Instance(caption="a bird", point=Point(x=0.7, y=0.2)),
    )
    return Layout(width=768, height=512, caption="all of them", negative_caption="blurry", instances=instances)


@pytest.mark.parametrize("name, count", DEMOS.items())
def test_demo_files_load_and_write_back_equal_in_meaning(golden, tmp_path, name, count):
    source = json.loads((golden / "demos" / f"{name}.json").read_text())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LayoutWarning)
        layout = load_layout(golden / "demos" / f"{name}.json")
    assert len(layout.instances) == count == len(source["annos"])
    save_layout(layout, tmp_path / "again.json")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_layout(tmp_path / "again.json") == layout
    again = json.loads((tmp_path / "again.json").read_text())
    assert [again[key] for key in ("caption", "width", "height")] == [
        source[key] for key in ("caption", "width", "height")
    ]
    for before, after in zip(source["annos"], again["annos"], strict=True):
        if name == "demo_corgi_kitchen" and before["category_name"] == "kitchen counter":
            before["bbox"] = [0, 228, 512, 125]  # was 763 wide on a canvas of 512
        if before.get("bbox") == [0, 512, 0, 0]:
            before = {**before, "bbox": None, "point": [0, 512]}  # a box without area is a point
        assert [after[key] for key in ("category_name", "caption")] == [
            before[key] for key in ("category_name", "caption")
        ]
        assert (after.get("bbox"), after.get("point")) == (before.get("bbox"), before.get("point"))
        if before.get("mask"):
            assert (coco_mask.decode(after["mask"]) == coco_mask.decode(before["mask"])).all()
        else:
            assert after["mask"] == []


def test_the_wide_box_of_the_kitchen_is_cut_and_said(golden):
    with pytest.warns(
        BoxFormatWarning, match=r'annos\[6\] "kitchen counter" \[0, 228, 763, 125\] is cut .* cannot be corners'
    ):
        layout = load_layout(golden / "demos" / "demo_corgi_kitchen.json")
    assert layout.instances[6].box == Box.from_coco([0, 228, 512, 125], (512, 512))
    assert sum(instance.mask is not None for instance in layout.instances) == 8


@pytest.mark.parametrize("name", GPT4O)
def test_corner_boxes_of_gpt4o_are_recognised(golden, name):
    source = json.loads((golden / "gpt4o" / f"{name}.json").read_text())
    with pytest.warns(BoxFormatWarning, match="read as corners: .* leave the 512 x 512 canvas"):
        layout = load_layout(golden / "gpt4o" / f"{name}.json")
    assert [instance.box.to_corners(layout.size) for instance in layout.instances] == [
        anno["bbox"] for anno in source["annos"]
    ]


@pytest.mark.parametrize("name", GPT4O)
def test_known_failure_corners_read_as_width_and_height(golden, name):
    with pytest.raises(BadInput, match="past the canvas .* say --box-format corners"):
        load_layout(golden / "gpt4o" / f"{name}.json", boxes="xywh")


@pytest.mark.parametrize(
    "bboxes, format, evidence",
    [
        ([], "xywh", "which is what the format says"),
        ([[10, 10, 50, 60]], "xywh", "which is what the format says"),
        ([[400, 400, 112.9, 112.9]], "xywh", "which is what the format says"),  # within the tolerance for rounding
        ([[300, 300, 400, 400]], "corners", "1 of 1 boxes leave the 512 x 512 canvas"),
        ([[300, 300, 400, 400], [10, 10, 20, 20]], "corners", '1 of 2 boxes leave .* annos\\[0\\] "dog"'),
        ([[0, 228, 763, 125], [300, 20, 40, 40]], "xywh", "2 cannot be corners"),
    ],
)
def test_box_format(bboxes, format, evidence):

    meaning = box_format(boxed(*bboxes), (512, 512))
    assert meaning.format == format and re.search(evidence, meaning.evidence)


@pytest.mark.parametrize(
    "bboxes, boxes, message",
    [
        (
            [[10, 10, 50, 50]] * 3 + [[100, 10, 440, 50]],
            "xywh",
            (
                'annos[3] "dog": x + width = 540 is past the canvas width 512; boxes are [x, y, width, height] in'
                " pixels (if these are corners, say --box-format corners to make)"
            ),
        ),
        ([[10, 400, 500, 450]], "xywh", "y + height = 850 is past the canvas height 512"),
        ([[100, 10, 50, 60]], "corners", 'annos[0] "dog": x1 = 50 is not above x0 = 100; boxes are corners'),
        ([[10, 60, 50, 60]], "corners", "y1 = 60 is not above y0 = 60"),
        ([[10, 10, 600, 60]], "corners", "x1 = 600 is past the canvas width 512"),
        ([[10, 10, 600, 60]], "auto", "x1 = 600 is past the canvas width 512"),
        ([[-20, 10, 60, 60]], "auto", "x = -20 is before the canvas"),
        ([[100, 100, -5, 20]], "auto", "width = -5 is negative"),
        ([[600, 100, 20, 20]], "auto", "lies outside the 512 x 512 canvas"),
        ([[300, 300, 400, 400]] * 3 + [[300, 300, 40, 40]], "auto", "3 of 4 boxes leave the 512 x 512 canvas"),
        ([[10, 10, 50, 50]], "yolo", "box-format: 'yolo' is unknown"),
    ],
)
def test_boxes_that_do_not_fit(bboxes, boxes, message):
    with pytest.raises(BadInput) as caught:
        layout_from_json(file_with(*boxed(*bboxes)), boxes)
    assert message in str(caught.value)


def test_a_stated_format_is_taken_without_a_word():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        corners, xywh = (
            layout_from_json(file_with(DOG, {**DOG, "bbox": [1, 2, 30, 40]}), boxes) for boxes in ("auto", "xywh")
        )
        assert corners == xywh
        box = layout_from_json(file_with(*boxed([100, 100, 150, 180])), "corners").instances[0].box
    assert box.to_coco((512, 512)) == [100, 100, 50, 80]


def test_known_failure_an_instance_without_a_point_among_others_with_one():
    data = file_with(
        {"point": [1, 2], "category_name": "a"},
        DOG,
        {"point": [512, 512], "category_name": "c"},
        {**DOG, "scribble": [5, 6, 7, 8]},
    )
    first, second, third, fourth = layout_from_json(data).instances
    assert (first.point, second.point, third.point, fourth.point) == (
        Point(x=1 / 512, y=2 / 512),
        None,
        Point(x=1, y=1),
        None,
    )
    assert first.box is None and second.box == fourth.box == Box.from_coco([100, 100, 50, 50], (512, 512))
    assert second.scribble is None and fourth.scribble.points == (
        Point(x=5 / 512, y=6 / 512),
        Point(x=7 / 512, y=8 / 512),
    )


def test_known_failure_the_mask_of_a_single_instance_keeps_its_shape():
    mask = coco_mask.encode(np.asfortranarray(RING.astype(np.uint8)))
    layout = layout_from_json(
        file_with({"mask": {"size": mask["size"], "counts": mask["counts"].decode()}, "caption": "a ring"})
    )
    assert layout.instances[0].mask.array.shape == (504, 512) and (layout.instances[0].mask.array == RING).all()


@pytest.mark.parametrize(
    "mask",
    [
        {"size": [64, 100], "counts": [100 * 64 - 64, 64]},
        [[99, 0, 100, 0, 100, 64, 99, 64]],
        [[99, 0, 100, 0, 100, 40, 99, 40], [99, 30, 100, 30, 100, 64, 99, 64]],
    ],
    ids=["uncompressed", "polygon", "two polygons"],
)
def test_other_ways_to_write_a_mask(mask):
    layout = layout_from_json(file_with({"mask": mask, "category_name": "wall"}, width=100, height=64))
    assert layout.instances[0].extent == Box(x0=0.99, y0=0.0, x1=1.0, y1=1.0)


@given(st.lists(st.tuples(st.floats(0, 90), st.floats(0, 70)), min_size=3, max_size=8))
def test_polygons_cover_what_pycocotools_covers(corners):
    flat = [value for corner in corners for value in corner]
    ours = (
        layout_from_json(file_with({"mask": [flat], "bbox": [0, 0, 9, 9], "caption": "x"}, width=90, height=70))
        .instances[0]
        .mask
    )
    theirs = coco_mask.decode(coco_mask.frPyObjects([flat], 70, 90))[..., 0].astype(bool)
    different = theirs if ours is None else theirs ^ ours.array
    outline = sum(math.dist(corners[i - 1], corners[i]) for i in range(len(corners)))
    assert different.sum() <= 4 + outline / 2  # pixels that the outline crosses may fall on either side


def test_masks_and_boxes_of_nothing():
    empty = {"size": [512, 512], "counts": [512 * 512]}
    with pytest.warns(LayoutWarning, match=r"\[0, 512, 0, 0\] has no area and is read as a point"):
        layout = layout_from_json(
            file_with({**DOG, "mask": empty, "point": None, "scribble": []}, {**DOG, "bbox": [0, 512, 0, 0]})
        )
    assert layout.instances[0].mask is layout.instances[0].point is layout.instances[0].scribble is None
    assert layout.instances[1].point == Point(x=0, y=1) and layout.instances[1].box is None


def test_every_kind_of_place_both_ways(full_layout, tmp_path):
    save_layout(full_layout, tmp_path / "layout.json")
    again = load_layout(tmp_path / "layout.json")
    assert [instance.mask for instance in again.instances] == [instance.mask for instance in full_layout.instances]
    assert again.instances[1].caption == "“größer”\nals 犬" and again.negative_caption == "blurry"
    assert [path.name for path in tmp_path.iterdir()] == ["layout.json"]
    for before, after in zip(full_layout.instances, again.instances, strict=True):
        assert numbers_of(after) == pytest.approx(numbers_of(before), rel=1e-14)
    assert layout_from_json(layout_to_json(again)) == again


def numbers_of(instance: Instance) -> list[float]:
    points = [instance.point] * bool(instance.point) + list(instance.scribble.points if instance.scribble else ())
    return [*(instance.box.xyxy if instance.box else ()), *(value for point in points for value in (point.x, point.y))]


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4, unique=True))
def test_any_box_comes_back_to_the_last_digit_that_matters(values):
    x0, x1 = sorted(values[:2])
    y0, y1 = sorted(values[2:])
    if x1 - x0 < 1e-6 or y1 - y0 < 1e-6:
        return
    layout = Layout(caption="x", instances=(Instance(caption="a", box=Box(x0=x0, y0=y0, x1=x1, y1=y1)),))
    assert layout_from_json(layout_to_json(layout)).instances[0].box.xyxy == pytest.approx(
        (x0, y0, x1, y1), rel=0, abs=1e-11
    )


BAD_FILES = {
    "not an object": ([1, 2], "layout"),
    "nothing in it": ({}, "width"),
    "width is text": (file_with(width="512"), "width"),
    "width is true": (file_with(width=True), "width"),
    "half a pixel": (file_with(width=512.5), "width"),
    "a huge canvas": (file_with(width=10**9), "width"),
    "a number beyond all floats": (file_with(width=10**400), "width"),
    "caption is a number": (file_with(caption=7), "caption"),
    "caption with half a character": (file_with(caption="\ud800"), "caption"),
    "caption without end": (file_with(caption="x" * 9000), "caption"),
    "no annos": ({"caption": "x", "width": 512, "height": 512}, "annos"),
    "31 annos": (file_with(*[DOG] * 31), "annos"),
    "an anno that is text": (file_with("dog"), "annos[0]"),
    "an anno without a place": (file_with({"caption": "a\ndog"}), "annos[0]"),
    "an anno without a name": (file_with({"bbox": [1, 2, 3, 4]}), "annos[0]"),
    "a box of three": (file_with({"bbox": [1, 2, 3], "caption": "x"}), "annos[0].bbox"),
    "a box of text": (file_with({"bbox": ["1", 2, 3, 4], "caption": "x"}), "annos[0].bbox[0]"),
    "a box with infinity": (file_with({"bbox": [1, 2, float("inf"), 4], "caption": "x"}), "annos[0].bbox[2]"),
    "a box with NaN": (file_with({"bbox": [1, float("nan"), 3, 4], "caption": "x"}), "annos[0].bbox[1]"),
    "a point off the canvas": (file_with({**DOG, "point": [600, 10]}), "annos[0].point"),
    "a point of three": (file_with({**DOG, "point": [1, 2, 3]}), "annos[0].point"),
    "a scribble of an odd number": (file_with({**DOG, "scribble": [1, 2, 3]}), "annos[0].scribble"),
    "a scribble of 1001 points": (file_with({**DOG, "scribble": [[1, 2]] * 1001}), "annos[0].scribble.points"),
    "a scribble of text": (file_with({**DOG, "scribble": "line"}), "annos[0].scribble"),
    "a mask that is text": (file_with({**DOG, "mask": "all"}), "annos[0].mask"),
    "a mask without size": (file_with({**DOG, "mask": {"counts": "0"}}), "annos[0].mask.size"),
    "a mask with three sides": (file_with({**DOG, "mask": {"size": [1, 1, 1], "counts": [1]}}), "annos[0].mask.size"),
    "a bomb of run lengths": (
        file_with({**DOG, "mask": {"size": [10**6, 10**6], "counts": [0, 10**12]}}),
        "annos[0].mask.size",
    ),
    "runs longer than the mask": (
        file_with({**DOG, "mask": {"size": [8, 8], "counts": [0, 10**12]}}),
        "annos[0].mask.counts",
    ),
    "runs below zero": (file_with({**DOG, "mask": {"size": [8, 8], "counts": [-1, 65]}}), "annos[0].mask.counts"),
    "runs that are cut short": (file_with({**DOG, "mask": {"size": [8, 8], "counts": "o"}}), "annos[0].mask.counts"),
    "no run lengths": (file_with({**DOG, "mask": {"size": [8, 8], "counts": "\x00"}}), "annos[0].mask.counts"),
    "257 polygons": (file_with({**DOG, "mask": [[1, 1, 2, 1, 2, 2]] * 257}), "annos[0].mask"),
    "a polygon of two points": (file_with({**DOG, "mask": [[1, 1, 2, 2]]}), "annos[0].mask[0]"),
    "a polygon off the canvas": (file_with({**DOG, "mask": [[1, 1, 1e300, 1, 2, 2]]}), "annos[0].mask[0]"),
}


@pytest.mark.parametrize("data, field", BAD_FILES.values(), ids=BAD_FILES.keys())
def test_bad_layouts_are_refused_in_one_line(data, field):
    with pytest.raises(BadInput) as caught:
        layout_from_json(data)
    assert caught.value.field.split(' "')[0] == field
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


BAD_CONTENT = {
    "deep.json": (b"[" * 10**6, "nested too deeply"),
    "nan.json": (b'{"width": NaN}', "NaN is no JSON number"),
    "infinite.json": (b'{"width": -Infinity}', "-Infinity is no JSON number"),
    "overflow.json": (b'{"caption": "x", "height": 512, "width": 1e999, "annos": []}', "no finite number"),
    "digits.json": (b'{"width": ' + b"9" * 5000 + b"}", "a number that is too long"),
    "broken.json": (b'{"caption": "x",\n "width": }', "line 2, column 11"),
    "empty.json": (b"", "line 1, column 1"),
    "binary.json": (b"\xff\xfe\x00", "not UTF-8"),
    "large.json": (b" " * (64 * 2**20 + 1), "larger than the limit of 64 MiB"),
    "text.png": (b"no picture", "is no PNG picture"),
    "short.png": (SIGNATURE + b"\0\0", "cut short"),
    "claims-much.png": (SIGNATURE + struct.pack(">I4s", 2**31 - 1, b"iTXt") + b"layout\0", "cut short"),
    "claims-less.json": (SIGNATURE, "cut short"),
}


@pytest.mark.parametrize("name", BAD_CONTENT)
def test_bad_files_are_refused_in_one_line(tmp_path, name):
    content, problem = BAD_CONTENT[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput) as caught:
        load_layout(tmp_path / name)
    assert problem in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name, problem", [("missing.json", "No such file"), ("", "is a folder without annotations"), ("a\0b", "null byte")]
)
def test_paths_that_are_no_files(tmp_path, name, problem):
    with pytest.raises(BadInput, match=problem):
        load_layout(tmp_path / name)
    with pytest.raises(BadInput, match="cannot be written"):
        save_layout(Layout(caption="x"), tmp_path / "no folder" / "x.json")


def test_png_carries_layout_and_settings(full_layout, tmp_path):
    settings = {"seed": 7, "guidance_scale": 7.5, "model": "größe"}
    write_png(Image.new("RGB", (64, 48), "red"), tmp_path / "picture.png", full_layout, settings)
    layout, found = read_png(tmp_path / "picture.png")
    assert found == settings and layout == layout_from_json(layout_to_json(full_layout)) == load_layout(
        tmp_path / "picture.png"
    )
    with Image.open(tmp_path / "picture.png") as image:
        assert image.size == (64, 48) and image.getpixel((0, 0)) == (255, 0, 0)
        assert json.loads(image.text["layout"]) == layout_to_json(full_layout)


def png_of(*chunks: tuple[bytes, bytes], damage: bool = False) -> bytes:
    body = b""
    for kind, data in (*chunks, (b"IEND", b"")):
        body += struct.pack(">I4s", len(data), kind) + data + (zlib.crc32(kind + data) ^ damage).to_bytes(4, "big")
    return SIGNATURE + body


@pytest.mark.parametrize(
    "content, problem",
    [
        (png_of(), "carries no layout"),
        (png_of((b"iTXt", b"layout\0\1\0\0\0" + zlib.compress(b" " * 10**7))), "carries no layout"),
        (png_of((b"zTXt", b"layout\0\0" + zlib.compress(b" " * 10**7))), "carries no layout"),
        (png_of((b"tEXt", b"layout\0{}"), damage=True), "damaged text chunk"),
        (png_of((b"tEXt", b"layout\0" + b" " * (16 * 2**20 + 200))), "at most 16 MiB"),
        (png_of((b"tEXt", b"layout\0[]")), "must be an object"),
        (
            png_of((b"tEXt", b"layout\0" + json.dumps(file_with(DOG)).encode()), (b"tEXt", b"settings\0[]")),
            "must be an object",
        ),
    ],
    ids=["no text", "compressed iTXt", "compressed zTXt", "damaged", "large", "no layout", "settings of another type"],
)
def test_png_files_of_others(tmp_path, content, problem):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(BadInput, match=problem):
        read_png(tmp_path / "x.png")


def test_coco_both_ways(full_layout, tmp_path):
    layout = full_layout.with_instances([instance for instance in full_layout.instances if instance.extent])
    data = layouts_to_coco([Layout(caption="empty"), layout])
    assert [anno["image_id"] for anno in data["annotations"]] == [2, 2, 2]
    assert data["annotations"][1]["segmentation"]["size"] == [512, 768]
    assert data["annotations"][1]["area"] == pytest.approx(RING.mean() * 768 * 512, rel=0.03)
    (tmp_path / "instances.json").write_text(json.dumps(data))
    (_, empty), (record, again) = layouts_from_coco(tmp_path / "instances.json")
    assert empty == Layout(caption="empty") and record["id"] == 2
    for before, after in zip(layout.instances, again.instances, strict=True):
        assert after.category == before.name and after.caption == (before.caption or before.category)
        assert after.extent.iou(before.extent) > 0.98 and (after.scribble is None) == (before.scribble is None)
    with pytest.raises(BadInput, match="bare point"):
        layouts_to_coco([full_layout])


def test_reading_layouts_imports_neither_torch_nor_pillow(golden):
    code = (
        "import sys, instdiff; instdiff.load_layout(sys.argv[1]); print(sorted({'torch', 'PIL', 'diffusers'} &"
        " set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(golden / "demos" / "demo_eagle_left.json")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"
