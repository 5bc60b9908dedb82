"""Boxes and detections of other libraries as layouts. Stand-ins have the attributes of those libraries' own objects."""

import subprocess
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from instdiff import BadInput, Box, Layout
from instdiff.detections import caption_of
from instdiff.formats import BoxFormatWarning, LayoutWarning

SIZE = (640, 480)
CORNERS = [[64, 48, 320, 240], [320.0, 240.0, 640.0, 480.0]]
LABELS = ["dog", "cat"]
PLACES = (Box(x0=0.1, y0=0.1, x1=0.5, y1=0.5), Box(x0=0.5, y0=0.5, x1=1, y1=1))
MASKS = np.zeros((2, 480, 640), bool)
MASKS[0, 100:200, 100:300] = True
FORMS = {
    "xyxy": CORNERS,
    "xywh": [[64, 48, 256, 192], [320, 240, 320, 240]],
    "cxcywh": [[192, 144, 256, 192], [480, 360, 320, 240]],
}


@pytest.fixture(autouse=True)
def every_warning_is_expected():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("box_format, boxes", FORMS.items())
@pytest.mark.parametrize(
    "kind", [list, np.array, lambda b: np.float32(b), torch.tensor, lambda b: [torch.tensor(one) for one in b]]
)
def test_boxes_in_every_form_and_kind_of_array(box_format, boxes, kind):
    layout = Layout.from_boxes(kind(boxes), LABELS, SIZE, box_format=box_format)
    assert tuple(instance.box for instance in layout.instances) == PLACES
    assert (layout.size, layout.caption) == (SIZE, "a dog and a cat")
    assert [(instance.caption, instance.category) for instance in layout.instances] == [("dog", "dog"), ("cat", "cat")]
    shares = np.array(boxes) / np.array(SIZE * 2)
    again = Layout.from_boxes(kind(shares.tolist()), LABELS, SIZE, box_format=box_format, normalized=True)
    assert [i.box.xyxy for i in again.instances] == [pytest.approx(place.xyxy, abs=1e-7) for place in PLACES]


def test_fractions_that_nobody_stated_are_told():
    shares = [place.xyxy for place in PLACES]
    with pytest.warns(BoxFormatWarning, match="normalized=True") as told:
        layout = Layout.from_boxes(shares, LABELS, SIZE)
    assert tuple(instance.box for instance in layout.instances) == PLACES
    assert told[0].filename == __file__


def test_captions_of_things_and_of_the_picture():
    layout = Layout.from_boxes(CORNERS, LABELS, SIZE, ["a big dog", "the cat"], caption="in a park")
    assert layout.caption == "in a park"
    assert [(i.caption, i.category) for i in layout.instances] == [("a big dog", "dog"), ("the cat", "cat")]
    assert Layout.from_boxes([], [], SIZE).instances == ()


@pytest.mark.parametrize(
    "phrases, caption",
    [
        ([], ""),
        (["apple"], "an apple"),
        (["dog", "cat", "dog"], "two dogs and a cat"),
        (["a dog", "red car", "person", "person", "person"], "a dog, a red car and three people"),
        (["a dog", "a dog"], "two dogs"),
    ],
)
def test_caption_of(phrases, caption):
    assert caption_of(phrases) == caption


@pytest.mark.parametrize(
    "changed, field, reason",
    [
        ({"boxes": FORMS["xywh"][1:], "labels": ["cat"]}, 'boxes[0] "cat"', "x1 = 320 is not above x0 = 320; .*xywh"),
        ({"box_format": "xywh"}, 'boxes[1] "cat"', "x1 = 960 is off the picture, 0..640; boxes are read as xywh"),
        ({"size": (480, 640)}, 'boxes[1] "cat"', "x1 = 640 is off the picture, 0..480"),
        ({"box_format": "coco"}, "box_format", "'coco' is unknown; say xyxy, xywh, cxcywh"),
        ({"boxes": [1, 2, 3, 4]}, "boxes", r"the shape \(4,\); give \(N, 4\)"),
        ({"boxes": [[1, 2, 3], [1, 2, 3, 4]]}, "boxes", "as many in each row"),
        ({"boxes": [[1, 2, np.nan, 4]] * 2}, "boxes", "NaN"),
        ({"labels": ["dog"]}, "labels", "1 of them for 2 boxes"),
        ({"labels": "dog"}, "labels", "is one text"),
        ({"labels": [0, 1]}, "labels[0]", "is the number 0; give words"),
        ({"captions": "a dog and a cat"}, "captions", "caption= is that of the picture"),
        ({"captions": ["a dog"]}, "captions", "1 of them for 2 boxes"),
        ({"size": (480, 640, 3)}, "size", r"\(width, height\)"),
        ({"boxes": CORNERS[:1] * 31, "labels": ["dog"] * 31}, "boxes", "31 boxes; the model has room for 30"),
    ],
)
def test_boxes_that_cannot_be_used(changed, field, reason):
    with pytest.raises(BadInput, match=reason) as caught:
        Layout.from_boxes(**{"boxes": CORNERS, "labels": LABELS, "size": SIZE, **changed})
    assert caught.value.field == field


def supervision_detections(**changed):
    parts = {"xyxy": np.float32(CORNERS), "class_id": np.array([17, 16]), "confidence": np.float32([0.9, 0.8])}
    parts |= {"mask": MASKS, "tracker_id": None, "data": {"class_name": np.array(LABELS)}, "metadata": {}}
    return SimpleNamespace(**{**parts, **changed})


TORCHVISION = {
    "boxes": torch.tensor(CORNERS),
    "labels": torch.tensor([17, 16]),
    "scores": torch.tensor([0.9, 0.8]),
    "masks": torch.from_numpy(MASKS[:, None]) * 0.9,
}
TRANSFORMERS = {
    "scores": torch.tensor([0.9, 0.8], dtype=torch.bfloat16, requires_grad=True),
    "labels": torch.tensor([17, 16]),
    "boxes": torch.tensor(CORNERS, requires_grad=True),
}
NAMES = {16: "cat", 17: "dog"}


@pytest.mark.parametrize(
    "detections, names, has_masks",
    [
        (supervision_detections(), None, True),
        (supervision_detections(data={}, mask=None, confidence=None), NAMES, False),
        (TORCHVISION, ["-"] * 16 + ["cat", "dog"], True),
        (TRANSFORMERS, NAMES, False),
        ({**TRANSFORMERS, "text_labels": LABELS}, None, False),  # Grounding DINO, OWLv2
        ({**TRANSFORMERS, "labels": LABELS}, None, False),  # Grounding DINO before transformers 4.51
        ({**TRANSFORMERS, "boxes": torch.tensor([place.xyxy for place in PLACES])}, NAMES, False),  # no target_sizes
    ],
)
def test_detections_of_other_libraries(detections, names, has_masks):
    layout = Layout.from_detections(detections, SIZE, names)
    assert [i.box.xyxy for i in layout.instances] == [pytest.approx(place.xyxy, abs=1e-7) for place in PLACES]
    assert [instance.caption for instance in layout.instances] == LABELS and layout.caption == "a dog and a cat"
    masks = [instance.mask for instance in layout.instances]
    assert masks[1] is None  # nothing is in it
    assert (masks[0] is not None and (masks[0].array == MASKS[0]).all()) if has_masks else masks[0] is None


def test_the_best_of_many_detections_are_kept_in_their_order():
    rng = np.random.default_rng(0)
    scores = rng.permutation(40) / 40
    corners = [[0, 0, 10 + index, 10] for index in range(40)]
    found = {"boxes": corners, "labels": [f"thing {index}" for index in range(40)], "scores": scores}
    with pytest.warns(LayoutWarning, match="40 detections; the 30 best are kept, with scores from 0.25 on") as told:
        layout = Layout.from_detections(found, SIZE)
    assert [i.category for i in layout.instances] == [f"thing {i}" for i in range(40) if scores[i] >= 0.25]
    assert told[0].filename == __file__
    with pytest.warns(LayoutWarning, match="the 30 largest are kept"):
        layout = Layout.from_detections({**found, "scores": None}, SIZE)
    assert [i.category for i in layout.instances] == [f"thing {i}" for i in range(10, 40)]


def test_what_a_detector_puts_over_the_border_is_cut_and_what_is_no_place_is_left_out():
    found = {"boxes": [[-20, -0.5, 320, 240], [5, 5, 5, 9], [9, 9, 99, 99]], "labels": ["dog", "cat", ""]}
    with pytest.warns(LayoutWarning) as told:
        layout = Layout.from_detections(found, SIZE)
    assert layout.instances[0].box == Box(x0=0, y0=0, x1=0.5, y1=0.5) and len(layout.instances) == 1
    assert [str(one.message) for one in told] == [
        "1 of 3 boxes are cut at the border of the 640 x 480 picture, given as (width, height)",
        "2 of 3 detections have no area or no label and are left out",
    ]


@pytest.mark.parametrize(
    "detections, names, field, reason",
    [
        ([TORCHVISION], NAMES, "detections", r"is a list of 1; .*results\[0\]"),
        (np.zeros((2, 4)), None, "detections", "is ndarray; give supervision.Detections"),
        ({"scores": [0.1]}, None, "detections", "has no boxes; it has scores"),
        (supervision_detections(class_id=None, data={}), None, "detections", "has no labels"),
        (TORCHVISION, None, "labels[0]", "is the number 17; .*id2label"),
        (TORCHVISION, {17: "dog"}, "names", "has no name for class 16; it has 1 names"),
        ({**TORCHVISION, "masks": MASKS.transpose(0, 2, 1)}, NAMES, "masks[0]", r"\(640, 480\); .*picture, 480, 640"),
        ({**TORCHVISION, "scores": [0.5]}, NAMES, "scores", "1 of them for 2 boxes"),
    ],
)
def test_detections_that_cannot_be_used(detections, names, field, reason):
    with pytest.raises(BadInput, match=reason) as caught:
        Layout.from_detections(detections, SIZE, names)
    assert caught.value.field == field


def test_pictures_larger_than_any_layout_keep_their_proportions():
    found = {"boxes": [[0, 0, 4000, 3000]], "labels": ["dog"], "scores": [1]}
    layout = Layout.from_detections(found, (8000, 6000))
    assert (layout.size, layout.instances[0].box) == ((4096, 3072), Box(x0=0, y0=0, x1=0.5, y1=0.5))


def test_none_of_those_libraries_is_imported():
    code = "import sys; from instdiff import Layout; Layout.from_boxes([[0, 0, 9, 9]], ['dog'], (64, 64)); "
    code += "Layout.from_detections({'boxes': [[0, 0, 9, 9]], 'labels': ['dog']}, (64, 64)); "
    code += "print({'torch', 'diffusers', 'transformers', 'supervision', 'PIL'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"
