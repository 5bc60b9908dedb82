"""Small annotation files in the shapes that tools export, all of the same things on the same two pictures."""

from __future__ import annotations

import json
from base64 import b64encode
from io import BytesIO
from typing import NamedTuple
from zlib import compress

import numpy as np
from PIL import Image

from instdiff import rle
from instdiff.formats.brush import encode_brush

STREET = (640, 480)
PARK = (320, 240)
DOG = (64, 48, 256, 192)  # x, y, width, height in pixels
PERSON = (400, 120, 160, 240)
CAT = (32, 24, 160, 120)
RING = [[400, 120], [560, 120], [560, 360], [400, 360]]  # the outline of the person
FLAT = [value for point in RING for value in point]
LINE = [[64, 48], [160, 96], [320, 240]]
SPOT = [320, 120]

Thing = tuple[str, tuple[float, ...] | None, str]  # label, box, other places: mask, point, scribble


class AnnotationFile(NamedTuple):
    """Files of a folder, which of them is read ("" for the folder), and what is on the pictures."""

    form: str
    read: str
    files: dict[str, bytes]
    pictures: dict[str, list[Thing]]


dog: Thing = ("dog", DOG, "")
person: Thing = ("person", PERSON, "mask")
boxed_person: Thing = ("person", PERSON, "")
cat: Thing = ("cat", CAT, "")


def dumped(data: object) -> bytes:
    return json.dumps(data).encode()


def picture(size: tuple[int, int] = STREET, orientation: int = 1) -> bytes:
    """The file of a black picture, as it stands in the file: EXIF may turn it."""
    buffer = BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("L", size).save(buffer, format="JPEG", exif=exif)
    return buffer.getvalue()


def person_mask() -> np.ndarray:
    mask = np.zeros(STREET[::-1], bool)
    mask[120:360, 400:560] = True
    return mask


def cvat(body: str, meta: str = "", declaration: str = '<?xml version="1.0" encoding="utf-8"?>') -> bytes:
    return f"{declaration}\n<annotations>\n<version>1.1</version>{meta}{body}</annotations>".encode()


def image(
    shapes: str, number: int = 0, name: str = "street.jpg", size: tuple[int, int] = STREET, more: str = ""
) -> str:
    return f'<image id="{number}" name="{name}" {more} width="{size[0]}" height="{size[1]}">{shapes}</image>'


DOG_BOX = (
    '<box label="dog" source="manual" occluded="0" xtl="64.00" ytl="48.00" xbr="320.00" ybr="240.00" z_order="0"/>'
)
CAT_BOX = '<box label="cat" occluded="1" xtl="32" ytl="24" xbr="192" ybr="144" z_order="0"></box>'
POLYGON = '<polygon label="person" source="auto" occluded="0" points="400,120;560,120;560,360;400,360" z_order="1"/>'
MASK = (
    '<mask label="person" source="semi-auto" occluded="0" rle="0, 38400" left="400" top="120" width="160" height="240"'
    ' z_order="0"></mask>'
)
TURNED = '<box label="dog" xtl="96" ytl="16" xbr="288" ybr="272" rotation="90.00"/>'  # on its side it is the dog's
ELLIPSE = '<ellipse label="person" cx="480.00" cy="240.00" rx="80.00" ry="120.00" z_order="0"/>'
LINES = '<polyline label="leash" points="64,48;160,96;320,240"/><points label="nose" points="320,120"/>'
META = "<meta><job><id>7</id><labels><label><name>dog</name><attributes/></label></labels></job><dumped/></meta>"
TRACKS = """<track id="0" label="dog" source="manual">
<box frame="0" keyframe="1" outside="0" occluded="0" xtl="64" ytl="48" xbr="320" ybr="240" z_order="0"/>
<box frame="5" keyframe="1" outside="1" occluded="0" xtl="64" ytl="48" xbr="320" ybr="240" z_order="0"/></track>
<track id="1" label="person"><polygon frame="5" keyframe="1" outside="0" points="400,120;560,120;560,360;400,360"/>
</track>"""
VIDEO = "<meta><task><original_size><width>640</width><height>480</height></original_size></task></meta>"
ATTRIBUTES = DOG_BOX.replace("/>", '><attribute name="Caption">a brown dog</attribute></box>')


def cvat_file(body: str, things: list[Thing], **more) -> AnnotationFile:
    return AnnotationFile("cvat", "annotations.xml", {"annotations.xml": cvat(body, **more)}, {"street.jpg": things})


def cvat_files() -> dict[str, AnnotationFile]:
    two = image(DOG_BOX) + image(CAT_BOX, 1, "b/park.jpg", PARK)
    latin = cvat(image(DOG_BOX), declaration='<?xml version="1.0" encoding="ISO-8859-1"?>')
    return {
        "CVAT, boxes of two pictures": AnnotationFile(
            "cvat", "annotations.xml", {"annotations.xml": cvat(two)}, {"street.jpg": [dog], "b/park.jpg": [cat]}
        ),
        "CVAT, polygon": cvat_file(image(POLYGON + DOG_BOX), [person, dog], meta=META),
        "CVAT, mask": cvat_file(image(MASK), [person]),
        "CVAT, turned box and ellipse": cvat_file(image(TURNED + ELLIPSE), [("dog", DOG, "mask"), person]),
        "CVAT, lines and points": cvat_file(image(LINES), [("leash", None, "scribble"), ("nose", None, "point")]),
        "CVAT, group": cvat_file(
            image(
                POLYGON.replace(" z_order", ' group_id="3" z_order')
                + f'<points label="person" group_id="3" points="{SPOT[0]},{SPOT[1]}"/>'
            ),
            [("person", PERSON, "mask point")],
        ),
        "CVAT, attributes and tags of a project": cvat_file(
            image('<tag label="sunny" source="manual"></tag>' + ATTRIBUTES, more='subset="train" task_id="4"'), [dog]
        ),
        "CVAT, video": AnnotationFile(
            "cvat",
            "annotations.xml",
            {"annotations.xml": cvat(TRACKS, VIDEO)},
            {"frame_000000": [dog], "frame_000005": [person]},
        ),
        "CVAT, Latin-1": AnnotationFile("cvat", "a.xml", {"a.xml": latin}, {"street.jpg": [dog]}),
    }


def coco(annotations: list[dict], images: list[dict], names: dict[int, str], **more) -> bytes:
    categories = [{"id": number, "name": name, "supercategory": ""} for number, name in names.items()]
    return dumped(
        {"info": {}, "licenses": [], "images": images, "annotations": annotations, "categories": categories, **more}
    )


def coco_files() -> dict[str, AnnotationFile]:
    street = {"id": 1, "file_name": "street.jpg", "width": 640, "height": 480, "license": 0, "date_captured": 0}
    common = {"image_id": 1, "area": 38400.0, "iscrowd": 0}
    one = {**common, "id": 1, "category_id": 1, "bbox": list(DOG), "segmentation": []}
    two = {**common, "id": 2, "category_id": 2, "bbox": list(PERSON), "segmentation": [FLAT]}
    counts = rle.encode(person_mask())
    brush = {**two, "iscrowd": 1, "segmentation": {"size": [480, 640], "counts": counts}}
    names = {1: "dog", 2: "person"}
    both = [dog, person]
    roboflow = {**street, "id": 0, "file_name": "street_jpg.rf.4c0d.jpg", "extra": {"name": "street.jpg"}}
    lvis = {key: street[key] for key in ("id", "width", "height")}
    address = {"coco_url": "http://images.cocodataset.org/val2017/street.jpg", "neg_category_ids": [9]}
    studio = {**street, "id": 0, "file_name": "../../label-studio/media/upload/1/street.jpg"}

    def entry(name: str, picture: str, annotations: list[dict], image: dict, things: list[Thing], numbers=names):
        return AnnotationFile("coco", name, {name: coco(annotations, [image], numbers)}, {picture: things})

    return {
        "CVAT as COCO": entry(
            "instances_default.json",
            "street.jpg",
            [{**one, "attributes": {"occluded": False, "rotation": 0.0}}, two],
            street,
            both,
        ),
        "CVAT as COCO, brush": entry("instances_default.json", "street.jpg", [brush], street, [person]),
        "Roboflow": entry(
            "_annotations.coco.json",
            "street_jpg.rf.4c0d.jpg",
            [{**one, "id": 0, "image_id": 0}, {**two, "id": 1, "image_id": 0}],
            roboflow,
            both,
            {0: "animals", 1: "dog", 2: "person"},
        ),
        "Label Studio as COCO": entry(
            "result.json",
            studio["file_name"],
            [{**one, "id": 0, "image_id": 0, "category_id": 0, "ignore": 0}],
            studio,
            [dog],
            {0: "dog"},
        ),
        "LVIS v1": entry("lvis_v1_val.json", address["coco_url"], [one, two], {**lvis, **address}, both),
        "LVIS v0.5": entry(
            "lvis_v0.5_val.json",
            "COCO_val2014_street.jpg",
            [one, two],
            {**lvis, "file_name": "COCO_val2014_street.jpg"},
            both,
        ),
        "FiftyOne as COCO": entry(
            "labels.json",
            "street.jpg",
            [{**one, "supercategory": "animal"}, {**two, "segmentation": [FLAT]}],
            street,
            both,
        ),
    }


FRAME = {"original_width": 640, "original_height": 480, "image_rotation": 0}
PERCENT_DOG = {"x": 10, "y": 10, "width": 40, "height": 40, "rotation": 0}
PERCENT_RING = {"points": [[62.5, 25], [87.5, 25], [87.5, 75], [62.5, 75]], "closed": True}


def region(kind: str, label: str, value: dict, own: str = "", **more) -> dict:
    named = {"from_name": "label", "to_name": "image", "origin": "manual"}
    return {
        **FRAME,
        **named,
        "id": own or f"{kind[:4]}{label}",
        "type": kind,
        "value": {**value, kind: [label]},
        **more,
    }


def task(*results: dict, **more) -> dict:
    annotation = {"id": 5, "completed_by": 1, "was_cancelled": False, "ground_truth": False, "result": list(results)}
    data = {"image": "/data/upload/1/street.jpg"}
    return {"id": 11, "annotations": [annotation], "predictions": [], "data": data, "meta": {}, "project": 1, **more}


def studio_file(data: object, things: list[Thing]) -> AnnotationFile:
    return AnnotationFile("label-studio", "export.json", {"export.json": dumped(data)}, {"street.jpg": things})


def studio_files() -> dict[str, AnnotationFile]:
    rectangle = region("rectanglelabels", "dog", PERCENT_DOG)
    polygon = region("polygonlabels", "person", PERCENT_RING)
    brush = region("brushlabels", "person", {"format": "rle", "rle": encode_brush(person_mask())})
    # turned by a right angle about its first corner, which is the dog's upper right one
    turned = region("rectanglelabels", "dog", {"x": 50, "y": 10, "width": 30, "height": 160 / 3, "rotation": 90})
    ellipse = region("ellipselabels", "person", {"x": 75, "y": 50, "radiusX": 12.5, "radiusY": 25, "rotation": 0})
    point = region("keypointlabels", "nose", {"x": 50, "y": 25, "width": 0.4})
    path = {"points": [[10, 10], [25, 20], [50, 50]], "closed": False}
    bare = {**rectangle, "id": "one", "type": "rectangle", "value": PERCENT_DOG}
    labels = {**bare, "type": "labels", "value": {**PERCENT_DOG, "labels": ["dog"]}}
    words = {**bare, "type": "textarea", "value": {**PERCENT_DOG, "text": ["a brown dog"]}}
    minimal = {"image": "s3://bucket/street.jpg", "id": 1, "annotator": 1, "annotation_id": 1, "lead_time": 2.5}
    minimal["label"] = [{**PERCENT_DOG, "rectanglelabels": ["dog"], "original_width": 640, "original_height": 480}]
    predicted = {
        **task(),
        "annotations": [],
        "predictions": [{"model_version": "v1", "score": 0.5, "result": [rectangle]}],
    }
    stored = {**task(rectangle)["annotations"][0], "task": {"id": 11, "data": {"image": "gs://bucket/street.jpg?x=1"}}}
    return {
        "Label Studio, rectangle and polygon": studio_file([task(rectangle, polygon)], [dog, person]),
        "Label Studio, brush": studio_file([task(brush)], [person]),
        "Label Studio, turned rectangle and ellipse": studio_file(
            [task(turned, ellipse)], [("dog", DOG, "mask"), person]
        ),
        "Label Studio, key point and open polygon": studio_file(
            [task(point, region("polygonlabels", "leash", path))],
            [("nose", None, "point"), ("leash", None, "scribble")],
        ),
        "Label Studio, labels apart from shapes": studio_file([task(bare, labels, words)], [dog]),
        "Label Studio, JSON-MIN": studio_file([minimal], [dog]),
        "Label Studio, predictions": studio_file([predicted], [dog]),
        "Label Studio, storage": studio_file(stored, [dog]),
    }


BOX_LINE = "0 0.300000 0.300000 0.400000 0.400000\n"
RING_LINE = "1 0.625 0.25 0.875 0.25 0.875 0.75 0.625 0.75\n"
BOXES = BOX_LINE + "1 0.75 0.5 0.25 0.5\n"


def yolo_files() -> dict[str, AnnotationFile]:
    def entry(read: str, label: str, lines: str, things: list[Thing], image: str, **names: bytes) -> AnnotationFile:
        files = {
            label: lines.encode(),
            image: picture(),
            **{name.replace("__", "."): text for name, text in names.items()},
        }
        return AnnotationFile("yolo", read, files, {"street": things})

    listed = b"path: ../datasets/x\ntrain: images\nval: images\nnc: 2\nnames: ['dog', 'person']\n"
    numbered = b"train: images/train\nval: images/val\nnames:\n  0: dog\n  1: person\n"
    pose = listed + b"kpt_shape: [2, 3]\n"
    key_points = BOX_LINE.strip() + " 0.2 0.2 2 0.3 0.3 1\n"
    both = [dog, boxed_person]
    place, image = "labels/street.txt", "images/street.jpg"
    return {
        "YOLO, a file beside its classes": entry(
            "street.txt", "street.txt", BOXES, both, "street.jpg", classes__txt=b"dog\nperson\n"
        ),
        "YOLO, names in a list": entry("", place, BOXES, both, image, data__yaml=listed),
        "YOLO, names by number": entry(
            "", "labels/train/street.txt", BOXES, both, "images/train/street.jpg", data__yaml=numbered
        ),
        "YOLO, outlines": entry("", place, RING_LINE, [person], image, data__yaml=listed),
        "YOLO, sure ones": entry("", place, BOX_LINE.strip() + " 0.91\n", [dog], image, data__yaml=listed),
        "YOLO, key points": entry("", place, key_points, [dog], image, data__yaml=pose),
        "Roboflow as YOLO": AnnotationFile(
            "yolo",
            "",
            {"train/labels/street.txt": BOXES.encode(), "train/images/street.jpg": picture(), "data.yaml": listed},
            {"street": both},
        ),
        "Darknet": AnnotationFile(
            "yolo",
            "",
            {
                "obj_train_data/street.txt": BOXES.encode(),
                "obj_train_data/street.jpg": picture(),
                "obj.names": b"dog\nperson",
                "train.txt": b"data/obj_train_data/street.jpg",
            },
            {"street": both},
        ),
        "Label Studio as YOLO": entry(
            "",
            place,
            BOXES,
            both,
            image,
            notes__json=dumped({"categories": [{"id": 0, "name": "dog"}, {"id": 1, "name": "person"}]}),
        ),
        "YOLO, a turned photograph": AnnotationFile(
            "yolo",
            "",
            {place: BOX_LINE.encode(), image: picture(STREET[::-1], orientation=6), "classes.txt": b"dog"},
            {"street": [dog]},
        ),
    }


def labelme(*shapes: dict, **more) -> bytes:
    frame = {"imagePath": "..\\pictures\\street.jpg", "imageData": None, "imageHeight": 480, "imageWidth": 640}
    return dumped({"version": "5.4.1", "flags": {}, "shapes": list(shapes), **frame, **more})


def shape(label: str, kind: str | None, points: list, **more) -> dict:
    return {
        "label": label,
        "points": points,
        "group_id": None,
        "description": "",
        "shape_type": kind,
        "flags": {},
        **more,
    }


def png(mask: np.ndarray) -> str:
    buffer = BytesIO()
    Image.fromarray(mask.astype(np.uint8)).save(buffer, format="PNG")
    return b64encode(buffer.getvalue()).decode()


def labelme_files() -> dict[str, AnnotationFile]:
    def entry(content: bytes, things: list[Thing]) -> AnnotationFile:
        return AnnotationFile("labelme", "street.json", {"street.json": content}, {"street.jpg": things})

    rectangle = shape("dog", "rectangle", [[320, 240], [64, 48]], description="a brown dog")
    polygon = shape("person", "polygon", RING)
    circle = shape("ball", "circle", [[200, 200], [230, 240]])
    mask = shape("person", "mask", [[400, 120], [559, 359]], mask=png(np.ones((240, 160))))
    old = [{"label": "person", "points": RING, "line_color": None, "fill_color": None}]
    halves = [
        shape("person", "polygon", [[400, 120], [480, 120], [480, 360], [400, 360]], group_id=4),
        shape("person", "polygon", [[480, 120], [560, 120], [560, 360], [480, 360]], group_id=4),
    ]
    turned = shape("dog", "rotation", [[64, 48], [320, 48], [320, 240], [64, 240]], direction=0.0, difficult=False)
    embedded = labelme(rectangle, imageData=b64encode(picture()).decode(), imageWidth=None)
    return {
        "labelme, rectangle and polygon": entry(labelme(rectangle, polygon), [dog, person]),
        "labelme, circle": entry(labelme(circle), [("ball", (150, 150, 100, 100), "mask")]),
        "labelme, mask": entry(labelme(mask), [person]),
        "labelme, lines and points": entry(
            labelme(shape("leash", "linestrip", LINE), shape("nose", "point", [SPOT])),
            [("leash", None, "scribble"), ("nose", None, "point")],
        ),
        "labelme 3": entry(
            dumped(
                {"version": "3.2.1", "shapes": old, "imagePath": "street.jpg", "imageWidth": 640, "imageHeight": 480}
            ),
            [person],
        ),
        "labelme, a thing in two parts": entry(labelme(*halves), [person]),
        "labelme, the picture inside": entry(embedded, [dog]),
        "X-AnyLabeling": entry(labelme(turned, version="2.3.5"), [("dog", DOG, "mask")]),
        "labelme, a folder": AnnotationFile(
            "labelme",
            "",
            {
                "street.json": labelme(rectangle),
                "park.json": labelme(
                    shape("cat", "rectangle", [[32, 24], [192, 144]]),
                    imagePath="park.jpg",
                    imageHeight=240,
                    imageWidth=320,
                ),
            },
            {"park.jpg": [cat], "street.jpg": [dog]},
        ),
    }


def datumaro_files() -> dict[str, AnnotationFile]:
    labels = [{"name": name, "parent": "", "attributes": []} for name in ("dog", "person", "leash", "nose")]

    def entry(*annotations: dict, things: list[Thing]) -> AnnotationFile:
        common = {"attributes": {"occluded": False}, "group": 0, "z_order": 0}
        item = {
            "id": "street",
            "annotations": [{"id": number, **common, **one} for number, one in enumerate(annotations)],
            "image": {"path": "street.jpg", "size": [480, 640]},
        }
        data = {"info": {}, "categories": {"label": {"labels": labels}}, "items": [item]}
        return AnnotationFile("datumaro", "default.json", {"default.json": dumped(data)}, {"street.jpg": things})

    box = {"type": "bbox", "label_id": 0, "bbox": [64.0, 48.0, 256.0, 192.0]}
    counts = rle.counts_to_string(rle.encode(person_mask()))
    mask = {"type": "mask", "label_id": 1, "rle": {"counts": counts, "size": [480, 640]}}
    line = {"type": "polyline", "label_id": 2, "points": [value for point in LINE for value in point]}
    spot = {"type": "points", "label_id": 3, "points": SPOT, "visibility": [2]}
    oval = {"type": "ellipse", "label_id": 1, "points": [400, 120, 560, 360]}
    words = {"type": "caption", "caption": "a street"}
    return {
        "Datumaro, box and polygon": entry(
            box, {"type": "polygon", "label_id": 1, "points": FLAT}, things=[dog, person]
        ),
        "Datumaro, mask": entry(mask, words, {"type": "label", "label_id": 2}, things=[person]),
        "Datumaro, line, point and ellipse": entry(
            line, spot, oval, things=[("leash", None, "scribble"), ("nose", None, "point"), person]
        ),
    }


def fiftyone_files() -> dict[str, AnnotationFile]:
    def entry(things: list[Thing], **fields: dict) -> AnnotationFile:
        sample = {"_id": {"$oid": "1"}, "filepath": "data/street.jpg", "tags": [], "metadata": metadata, **fields}
        content = dumped({"samples": [sample]})
        return AnnotationFile("fiftyone", "samples.json", {"samples.json": content}, {"street.jpg": things})

    metadata = {"_cls": "ImageMetadata", "width": 640, "height": 480, "num_channels": 3}
    box = {"_cls": "Detection", "label": "dog", "bounding_box": [0.1, 0.1, 0.4, 0.4], "attributes": {}}
    found = {"_cls": "Detections", "detections": [box]}
    buffer = BytesIO()
    np.save(buffer, np.ones((240, 160), bool))
    array = {"$binary": {"base64": b64encode(compress(buffer.getvalue())).decode(), "subType": "00"}}
    masked = {"_cls": "Detection", "label": "person", "bounding_box": [0.625, 0.25, 0.25, 0.5], "mask": array}
    ring = [[x / 640, y / 480] for x, y in RING]
    closed = {"_cls": "Polyline", "label": "person", "points": [ring], "closed": True, "filled": True}
    line = {"_cls": "Polyline", "label": "leash", "points": [[[x / 640, y / 480] for x, y in LINE]], "closed": False}
    spot = {"_cls": "Keypoint", "label": "nose", "points": [[0.5, 0.25]]}
    labels = {
        "classes": ["dog"],
        "labels": {"street": [{"label": 0, "bounding_box": [0.1, 0.1, 0.4, 0.4]}], "park": None},
    }
    return {
        "FiftyOne, detections": entry([dog], ground_truth=found, predictions={**found, "detections": [box, box]}),
        "FiftyOne, masks": entry([dog, person], ground_truth={**found, "detections": [box, masked]}),
        "FiftyOne, polylines and key points": entry(
            [person, ("leash", None, "scribble"), ("nose", None, "point")],
            outlines={"_cls": "Polylines", "polylines": [closed, line]},
            points={"_cls": "Keypoints", "keypoints": [spot]},
        ),
        "FiftyOne, labels.json": AnnotationFile(
            "fiftyone",
            "labels.json",
            {"labels.json": dumped(labels), "data/street.jpg": picture(), "data/park.jpg": picture(PARK)},
            {"street.jpg": [dog], "park.jpg": []},
        ),
    }


FILES = {
    **cvat_files(),
    **coco_files(),
    **studio_files(),
    **yolo_files(),
    **labelme_files(),
    **datumaro_files(),
    **fiftyone_files(),
}
