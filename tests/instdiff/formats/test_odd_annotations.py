"""Odd records in files of other tools cost themselves and are counted; what asks for too much is refused."""

import json
import os
import tracemalloc
from base64 import b64encode
from io import BytesIO
from pathlib import Path
from zlib import compress

import annotation_files as files
import numpy as np
import pytest
from PIL import Image

from instdiff import BadInput, Layout
from instdiff.formats import LayoutWarning, load_layout
from instdiff.formats.brush import decode_brush, encode_brush
from instdiff.formats.layout_sets import load_layouts
from instdiff.formats.places import mask_place
from instdiff.rle import decode

RECTANGLE = files.region("rectanglelabels", "dog", files.PERCENT_DOG)
LABELME_DOG = files.shape("dog", "rectangle", [[64, 48], [320, 240]])


def write(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def labelme(*shapes: object, **more) -> bytes:
    return files.labelme(*shapes, **more)  # type: ignore[arg-type]


def cvat(*shapes: str) -> bytes:
    return files.cvat(files.image(files.DOG_BOX + "".join(shapes)))


def studio(*values: dict, kind: str = "rectanglelabels") -> bytes:
    odd = [files.region(kind, f"odd{number}", value) for number, value in enumerate(values)]
    return files.dumped([files.task(RECTANGLE, *odd)])


ODD = {
    "no label": ("x.json", labelme(LABELME_DOG, {"points": files.RING}, "no shape"), "they have no label: 2"),
    "no numbers": (
        "x.json",
        labelme(LABELME_DOG, *(files.shape("cat", "polygon", points) for points in ([], [[1, "a"]], None, [[1], [2]]))),
        "coordinates cannot be read: 4",
    ),
    "two points": (
        "x.json",
        labelme(LABELME_DOG, files.shape("cat", "polygon", [[1, 1], [9, 9]])),
        "cannot be read: 1",
    ),
    "a kind to come": (
        "x.json",
        labelme(LABELME_DOG, files.shape("cat", "spline", files.RING)),
        "none that is read: 1",
    ),
    "off the picture": (
        "x.json",
        labelme(LABELME_DOG, files.shape("cat", "rectangle", [[700, 500], [900, 900]])),
        "no box or outline on their picture: 1",
    ),
    "no PNG": (
        "x.json",
        labelme(LABELME_DOG, files.shape("cat", "mask", [[0, 0], [9, 9]], mask="AAAA")),
        "masks left out, as they cannot be read or are too large: 1",
    ),
    "CVAT, no number": (
        "x.xml",
        cvat(files.DOG_BOX.replace("64.00", "nan"), files.DOG_BOX.replace("xtl", "x")),
        ": 2 (",
    ),
    "CVAT, runs": (
        "x.xml",
        cvat(*(files.MASK.replace("0, 38400", runs) for runs in ("0, 38401", "-1, 38401", "", "1e9", "a"))),
        "masks left out, as they cannot be read or are too large: 5",
    ),
    "CVAT, skeleton": (
        "x.xml",
        cvat(
            '<skeleton label="cat"><points label="1" points="1,2"><attribute name="a">b</attribute></points></skeleton>'
        ),
        "none that is read: 1",
    ),
    "CVAT, cuboid": ("x.xml", cvat('<cuboid label="box" xtl1="1" ytl1="2"/>'), "none that is read: 1"),
    "Label Studio, no numbers": ("x.json", studio({"x": "a"}, {"x": 1, "y": 2}, {"x": None, "y": {}}), "be read: 3"),
    "Label Studio, no bytes": (
        "x.json",
        studio({"rle": [300]}, {"rle": "abc"}, {"rle": []}, {"rle": [0] * 40}, kind="brushlabels"),
        "masks left out, as they cannot be read or are too large: 4",
    ),
    "Label Studio, a turned picture": (
        "x.json",
        files.dumped([files.task(RECTANGLE, {**RECTANGLE, "id": "b", "image_rotation": 90})]),
        "drawn on a turned picture: 1",
    ),
    "Label Studio, two annotators": (
        "x.json",
        files.dumped([{**files.task(RECTANGLE), "annotations": files.task(RECTANGLE)["annotations"] * 2}]),
        "annotations of further annotators left out",
    ),
    "NaN": (
        "x.json",
        labelme(LABELME_DOG, files.shape("cat", "point", [[0.5, 0.5]])).replace(b"0.5, ", b"NaN, "),
        "be read: 1",
    ),
    "YOLO": (
        "labels/x.txt",
        files.BOX_LINE + "7 0.5 0.5 0.1 0.1\n0 0.5\n0 320 240 64 48\n0 a b c d\n0 0.5 0.5 0.1 nan\n",
        "their class has no name: 1",
    ),
    "YOLO, a class below none": (
        "labels/x.txt",
        files.BOX_LINE + "-1 0.5 0.5 0.1 0.1\n-2.5 0.5 0.5 0.1 0.1\n",
        "their class has no name: 2",
    ),
    "YOLO, how sure it is before the box": (
        "labels/x.txt",
        files.BOX_LINE + "0 0.93 0.5 0.5 0.2 0.2\n",
        "no fractions of the picture: 1",
    ),
    "Label Studio, pixels": (
        "x.json",
        studio({"x": 64, "y": 48, "width": 256, "height": 192}),
        "Label Studio counts in percent: 1",
    ),
    "Datumaro": (
        "x.json",
        files.FILES["Datumaro, box and polygon"].files["default.json"].replace(b'"label_id": 1', b'"label_id": 99'),
        "they have no label: 1",
    ),
    "FiftyOne": (
        "x.json",
        files.FILES["FiftyOne, masks"].files["samples.json"].replace(b'"base64": "', b'"base64": "AAAA'),
        "masks left out, as they cannot be read or are too large: 1",
    ),
}


@pytest.mark.filterwarnings("ignore::instdiff.formats.LayoutWarning")
@pytest.mark.parametrize("name", ODD)
def test_one_odd_record_costs_itself_and_is_counted(tmp_path, name):
    file, content, problem = ODD[name]
    write(tmp_path / "classes.txt", "dog")
    write(tmp_path / "images" / "x.jpg", files.picture())
    with pytest.warns(LayoutWarning) as said:
        layout = load_layout(write(tmp_path / file, content))
    assert [instance.category for instance in layout.instances][:1] == ["dog"]
    assert layout.instances[0].box.to_coco(layout.size) == pytest.approx(files.DOG, abs=0.5)
    assert any(problem in str(one.message) for one in said), [str(one.message) for one in said]


@pytest.mark.parametrize(
    "file, content, problem",
    [
        (
            "x.json",
            labelme({"points": files.RING}),
            "0 of 1 shapes can be used; shapes left out, as they have no label: 1",
        ),
        ("x.json", labelme(LABELME_DOG, imageWidth=None), "imageWidth: is missing, and the picture is not there"),
        ("x.json", labelme(files.shape("a", "rectangle", [[900, 900], [901, 901]])), "0 of 1 annotations can be used"),
        ("x.json", files.dumped([files.task(files.region("rectanglelabels", "a", {"x": 1}))]), "0 of 1 shapes"),
        ("x.json", files.dumped([files.task()]), "holds no pictures"),
        (
            "x.json",
            files.dumped([{"bbox": [1, 2, 3, 4], "image_id": 1, "score": 1}]),
            "detections without their pictures",
        ),
        ("x.json", b'{"shapes": null, "imagePath": "a.jpg"}', "shapes: must be a list beside"),
        ("x.json", b'{"annotations": [{"id": 1}], "categories": []}', "images: must be a list beside"),
        (
            "x.json",
            studio({"x": 0.1, "y": 0.1, "width": 0.4, "height": 0.4}).replace(
                files.dumped(files.PERCENT_DOG)[1:-1], b'"x": 0.1, "y": 0.1, "width": 0.3, "height": 0.3'
            ),
            "all 2 regions lie within 0..1, and Label Studio counts in percent",
        ),
        (
            "x.json",
            labelme(files.shape("a", "rectangle", [[0.1, 0.1], [0.4, 0.9]])),
            "boxes lie within 0..1 and pixels are expected",
        ),
        (
            "labels/x.txt",
            b"0 0.6 0.6 0.9 0.9\n0 0.5 0.6 0.8 0.9\n",
            "2 of 2 boxes leave the picture, and all fit as corners",
        ),
        ("x.json", b"[1, 2]", "layout: must be an object"),
        ("x.json", b'{"shapes": []} x', "something follows"),
        ("x.txt", files.BOX_LINE.encode(), "nothing names the classes"),
        ("labels/x.txt", b"0 .5 .5 .1 .1\n" * 100_001, "has 100001 lines"),
        ("x.xml", b"<annotation><object/></annotation>", "Pascal VOC, which is not read"),
        ("x.xml", b"<html></html>", "begins with <html>"),
        ("x.xml", b"<annotations><image></annotations>", "is not XML: line 1, column 23: mismatched tag"),
        ("x.xml", b'<?xml version="1.0" encoding="klingon"?><annotations/>', "is not XML"),
        ("x.xml", b"", "is not XML"),
        ("x.xml", files.cvat(files.image("")), "x.xml: holds no"),
        ("x.zip", b"PK\x03\x04rest", "is a zip archive; unpack it"),
    ],
)
@pytest.mark.filterwarnings("ignore::instdiff.formats.LayoutWarning")
def test_files_without_anything_to_use_say_why(tmp_path, file, content, problem):
    path = write(tmp_path / file, content)
    if path.parent.name == "labels":
        write(tmp_path / "classes.txt", "dog")
    if problem.endswith("holds no"):  # a picture without shapes is one
        assert load_layout(path).instances == ()
        return
    with pytest.raises(BadInput) as caught:
        load_layout(path)
    assert problem in str(caught.value)


ENTITY = "a" * 1000
LAUGHS = "".join(f'<!ENTITY {name} "{10 * f"&{inner};"}">' for inner, name in zip("abcdefgh", "bcdefghi", strict=True))


@pytest.mark.parametrize(
    "declaration",
    [
        f'<!DOCTYPE annotations [<!ENTITY a "{ENTITY}">{LAUGHS}]>',
        '<!DOCTYPE annotations [<!ENTITY i SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE annotations SYSTEM "http://localhost:1/a.dtd">',
        "<!DOCTYPE annotations>",
    ],
    ids=["laughs", "file", "network", "empty"],
)
def test_no_entity_of_xml_is_unfolded_or_fetched(tmp_path, declaration):
    body = files.image(files.DOG_BOX.replace("dog", "&i;") if "ENTITY" in declaration else files.DOG_BOX)
    path = write(tmp_path / "x.xml", files.cvat(body, declaration=declaration))
    with pytest.raises(BadInput, match="has a document type"):
        load_layout(path)


def test_deep_xml_is_no_trouble(tmp_path):
    deep = "<a>" * 50_000 + "</a>" * 50_000
    assert len(load_layout(write(tmp_path / "x.xml", cvat(deep))).instances) == 1


def zeros_as_png(side: int) -> str:
    buffer = BytesIO()
    Image.new("1", (side, side)).save(buffer, format="PNG")
    return b64encode(buffer.getvalue()).decode()


def array_of(shape: tuple[int, ...], data: bytes) -> dict:
    head = str({"descr": "|b1", "fortran_order": False, "shape": shape}).encode() + b"\n"
    array = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + data
    return {"$binary": {"base64": b64encode(compress(array)).decode(), "subType": "00"}}


def bombs() -> dict[str, tuple[str, bytes]]:
    png = files.shape("cat", "mask", [[0, 0], [9, 9]], mask=zeros_as_png(12_000))
    huge = files.MASK.replace("0, 38400", "0, 90000000000").replace('"160"', '"300000"').replace('"240"', '"300000"')
    runs = [*(4 * 9_000 * 9_000).to_bytes(4, "big"), *encode_brush(np.ones((9, 9)))[4:]]
    brush = files.region("brushlabels", "cat", {"format": "rle", "rle": runs})
    brush |= {"original_width": 9_000, "original_height": 9_000}
    sample = json.loads(files.FILES["FiftyOne, masks"].files["samples.json"])
    boxes = sample["samples"][0]["ground_truth"]["detections"]
    boxes[1]["mask"] = array_of((10**5, 10**5), bytes(10**7))
    boxes.append({**boxes[1], "mask": array_of((1, 2), bytes(10**7))})
    return {
        "a PNG of zeros": ("x.json", labelme(LABELME_DOG, png)),
        "runs without end": ("x.xml", cvat(huge)),
        "a brush on a wall": ("x.json", files.dumped([files.task(RECTANGLE, brush)])),
        "an array that says it is large": ("x.json", files.dumped(sample)),
    }


@pytest.mark.filterwarnings("ignore::instdiff.formats.LayoutWarning")
@pytest.mark.parametrize("name", bombs())
def test_small_files_do_not_unfold_into_large_memory(tmp_path, name):
    file, content = bombs()[name]
    path = write(tmp_path / file, content)
    tracemalloc.start()
    try:
        layout = load_layout(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert layout.instances[0].category == "dog" and peak < 50 * len(content) + 100 * 2**20


def test_names_that_lead_out_of_the_folder_are_not_followed(tmp_path):
    write(tmp_path / "secret.jpg", files.picture((100, 200)))
    (tmp_path / "in").mkdir()
    for name in ("../secret.jpg", str(tmp_path / "secret.jpg"), "..\\secret.jpg"):
        with pytest.raises(BadInput, match="the picture is not there"):
            load_layout(write(tmp_path / "in" / "x.json", labelme(LABELME_DOG, imagePath=name, imageWidth=None)))
        sample = {"filepath": name, "ground_truth": {"_cls": "Detections", "detections": []}}
        with pytest.warns(LayoutWarning, match="not there to ask for their size"):
            layout = load_layout(write(tmp_path / "in" / "s.json", files.dumped({"samples": [sample]})))
        assert layout.size == (512, 512)


@pytest.mark.parametrize("size, canvas", [((9000, 6000), (4096, 2731)), ((40, 30), (85, 64))])
def test_pictures_of_any_size(tmp_path, size, canvas):
    width, height = size
    points = [[width / 4, height / 4], [width / 2, height / 2]]
    content = labelme(files.shape("dog", "rectangle", points), imageWidth=width, imageHeight=height)
    layout = load_layout(write(tmp_path / "x.json", content))
    assert layout.size == canvas and layout.instances[0].box.xyxy == pytest.approx((0.25, 0.25, 0.5, 0.5))


@pytest.fixture
def two(tmp_path) -> Path:
    file = files.FILES["CVAT, boxes of two pictures"]
    return write(tmp_path / "two.xml", file.files["annotations.xml"])


def test_a_picture_of_many_is_named(two):
    for name in ("b/park.jpg", "park.jpg", "park", "2"):
        assert load_layout(two, picture=name).instances[0].category == "cat"
    with pytest.raises(BadInput, match=r"two.xml: holds 2 pictures: street.jpg, b/park.jpg; name one with --picture"):
        load_layout(two)
    with pytest.raises(BadInput, match='picture: "sky" is not in .*, which holds street.jpg, b/park.jpg'):
        load_layout(two, picture="sky")
    assert [layout.instances[0].category for layout in load_layouts(two)] == ["dog", "cat"]


def test_a_name_that_fits_two_pictures_is_refused(tmp_path):
    both = "".join(files.image(files.DOG_BOX, number, f"{number}/a.jpg") for number in range(2))
    path = write(tmp_path / "x.xml", files.cvat(both))
    with pytest.raises(BadInput, match=r'"a" may be 2 pictures of .*: 0/a.jpg, 1/a.jpg'):
        load_layout(path, picture="a")
    assert load_layout(path, picture="1/a.jpg").size == files.STREET


def test_a_layout_of_one_picture_needs_no_name(tmp_path, golden):
    demo = golden / "demos" / "demo_eagle_left.json"
    with pytest.raises(BadInput, match="is the layout of one picture"):
        load_layout(demo, picture="x")
    one = write(tmp_path / "x.json", labelme(LABELME_DOG))
    assert load_layout(one) == load_layout(one, picture="street")


def test_a_folder_of_nothing(tmp_path):
    (tmp_path / "notes.txt").write_text("0 0.5 0.5 0.1 0.1")
    with pytest.raises(BadInput, match="is a folder without annotations of labelme or YOLO"):
        load_layout(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="symbolic links")
def test_a_link_to_a_folder_above_is_no_endless_way(tmp_path):
    write(tmp_path / "labels" / "x.txt", files.BOX_LINE)
    write(tmp_path / "classes.txt", "dog")
    (tmp_path / "labels" / "up").symlink_to(tmp_path)
    with pytest.warns(LayoutWarning):
        assert len(load_layouts(tmp_path)) >= 1


@pytest.mark.parametrize("left, top", [(0, 0), (3, 2), (-2, -1), (6, 4)])
@pytest.mark.parametrize("rows, columns", [(1, 1), (3, 4), (8, 9)])
def test_masks_of_a_part_of_the_picture(left, top, rows, columns):
    crop = np.random.default_rng(0).random((rows, columns)) < 0.6
    crop[rows // 2, columns // 2] = True
    whole = np.zeros((8 + 20, 9 + 20), bool)
    whole[10 + top : 10 + top + rows, 10 + left : 10 + left + columns] = crop
    expected = whole[10:18, 10:19]
    if not expected.any():
        with pytest.raises(ValueError, match="empty"):
            mask_place(crop, left, top, (9, 8))
        return
    place = mask_place(crop, left, top, (9, 8))
    assert (decode(place["segmentation"]["counts"], 8, 9) == expected).all()
    x, y, width, height = place["around"]
    assert expected[y : y + height, x : x + width].sum() == expected.sum()
    assert (
        expected[:, x].any()
        and expected[y].any()
        and expected[:, x + width - 1].any()
        and expected[y + height - 1].any()
    )


@pytest.mark.parametrize("density", [0.0, 0.02, 0.5, 1.0])
def test_brushes_come_back(density):
    mask = np.random.default_rng(1).random((37, 53)) < density
    assert (decode_brush(encode_brush(mask), (53, 37)) == mask).all()
    with pytest.raises(ValueError):
        decode_brush(encode_brush(mask)[:-3], (53, 37))


def test_a_brush_of_different_numbers_is_read():
    """Label Studio's own painter leaves soft borders: colours and alpha differ from number to number."""
    numbers = [10, 20, 30, 0, 10, 20, 30, 128, 1, 2, 3, 255]  # red, green, blue, alpha of three pixels
    bits = f"{12:032b}" + "00111" + "".join(f"{width - 1:04b}" for width in (3, 4, 8, 16))
    bits += "0" + "01" + f"{11:04b}" + "".join(f"{number:08b}" for number in numbers)
    bits += "0" * (-len(bits) % 8)
    stream = [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]
    assert decode_brush(stream, (3, 1)).tolist() == [[False, True, True]]


def test_layouts_of_tools_have_no_caption_of_their_own(two):
    assert load_layout(two, picture="park") == Layout(
        width=320, height=240, caption="", instances=load_layout(two, picture="park").instances
    )
