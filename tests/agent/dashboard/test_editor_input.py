"""What the editor of a layout takes from the browser, and the picture that it sends there."""

import json

import pytest
from PIL import Image

from agent.dashboard.editor import MAX_MASK_TEXT, picture_url, read_edit
from instdiff.errors import BadInput
from instdiff.layout import MAX_INSTANCES
from tests.agent.editor_page import LAYOUT

DOG = {"caption": "a dog", "box": {"x0": 0.1, "y0": 0.1, "x1": 0.5, "y1": 0.5}}


def test_an_edit_that_changes_nothing_gives_the_same_layout():
    edit = json.loads(json.dumps({"instances": LAYOUT.model_dump(mode="json")["instances"]}))
    assert read_edit(edit, LAYOUT) == LAYOUT


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        ("text", "edit"),
        ({}, "edit"),
        ({"instances": [], "caption": "another"}, "edit"),
        ({"instances": {"0": DOG}}, "edit"),
        ({"instances": [DOG] * (MAX_INSTANCES + 1)}, "instances"),
        ({"instances": ["dog"]}, "instances.0"),
        ({"instances": [DOG, {**DOG, "colour": "red"}]}, "instances.1.colour"),
        ({"instances": [{**DOG, "caption": "x" * 2001}]}, "instances.0.caption"),
        ({"instances": [{**DOG, "caption": ""}]}, "instances.0"),
        ({"instances": [{"caption": "a dog"}]}, "instances.0"),
        ({"instances": [{**DOG, "box": {**DOG["box"], "x1": 1.1}}]}, "instances.0.box.x1"),
        ({"instances": [{**DOG, "box": {**DOG["box"], "x1": 0.1}}]}, "instances.0.box"),
        ({"instances": [{**DOG, "point": {"x": None, "y": 0.5}}]}, "instances.0.point.x"),
        (
            {"instances": [{**DOG, "scribble": {"points": [{"x": 0.5, "y": 0.5}] * 1001}}]},
            "instances.0.scribble.points",
        ),
        ({"instances": [{**DOG, "mask": {"size": [4, 4], "counts": "1"}}]}, "instances.0.mask"),
        ({"instances": [{**DOG, "mask": {"size": [10**6, 10**6], "counts": "1"}}]}, "instances.0.mask"),
        ({"instances": [{**DOG, "mask": {"size": [4, 4], "counts": 7}}]}, "instances.0.mask.counts"),
        ({"instances": [{**DOG, "mask": {"size": [4, 4], "counts": "0" * (MAX_MASK_TEXT // 2 + 1)}}] * 2}, "instances"),
    ],
)
def test_a_bad_edit_is_refused_with_its_place(edit, field):
    with pytest.raises(BadInput) as error:
        read_edit(edit, LAYOUT)
    assert error.value.field == field
    assert "\n" not in str(error.value)


def test_a_picture_is_made_small_and_a_broken_one_refused(tmp_path):
    Image.new("RGBA", (3000, 1500), "red").save(tmp_path / "large.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    url = picture_url(tmp_path / "large.png")
    assert url.startswith("data:image/jpeg;base64,") and len(url) < 50_000
    for name in ("broken.png", "missing.png"):
        with pytest.raises(BadInput, match=name):
            picture_url(tmp_path / name)
