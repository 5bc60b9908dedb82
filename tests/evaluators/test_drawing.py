import numpy as np
import pytest
from PIL import Image

from evaluators.drawing import COLOURS, EXTRA_COLOUR, REGION_COLOUR, draw_report, label
from evaluators.matching import match
from evaluators.report import Detection, VerdictKind
from instdiff.layout import Box, Instance, Layout, Mask, Point, Scribble


def colours_of(image):
    return {tuple(int(value) for value in pixel) for pixel in np.asarray(image).reshape(-1, 3)}


def box(x0, y0, x1, y1):
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


LAYOUT = Layout(
    width=128,
    height=96,
    caption="c",
    instances=(
        Instance(caption="a dog", category="dog", box=box(0.1, 0.1, 0.4, 0.5)),
        Instance(caption="a cat", category="cat", box=box(0.5, 0.1, 0.9, 0.5)),
        Instance(caption="a car", category="car", point=Point(x=0.0, y=1.0)),
        Instance(
            caption="a dragon", category="dragon", scribble=Scribble(points=(Point(x=0.2, y=0.8), Point(x=0.8, y=0.8)))
        ),
        Instance(caption="air", category="air", mask=Mask.from_array(np.zeros((4, 4)))),
    ),
)
SEEN = [
    Detection(category="dog", score=0.9, box=box(0.1, 0.1, 0.4, 0.5)),
    Detection(category="cat", score=0.9, box=box(0.5, 0.6, 0.9, 0.9)),
    Detection(category="dog", score=0.9, box=box(0.45, 0.45, 0.55, 0.6)),
]
REPORT = match(LAYOUT, SEEN, lambda name: name if name in ("dog", "cat", "car") else None)


@pytest.mark.parametrize("size, drawn", [((128, 96), (768, 576)), ((96, 128), (576, 768)), ((1024, 512), (1024, 512))])
def test_small_pictures_are_enlarged(size, drawn):
    assert draw_report(Image.new("RGB", size), LAYOUT, REPORT).size == drawn


def test_every_verdict_has_its_colour():
    kinds = {verdict.kind for verdict in REPORT.verdicts}
    assert kinds == {VerdictKind.FOUND, VerdictKind.MISPLACED, VerdictKind.MISSING, VerdictKind.UNCHECKED}
    grey = Image.new("RGB", (128, 96), (128, 128, 128))
    assert {COLOURS[kind] for kind in kinds} | {EXTRA_COLOUR} <= colours_of(draw_report(grey, LAYOUT, REPORT))


def test_nothing_is_drawn_for_an_empty_plan():
    grey = Image.new("RGB", (128, 96), (128, 128, 128))
    empty = Layout(caption="c")
    assert colours_of(draw_report(grey, empty, match(empty, [], lambda name: name))) == {(128, 128, 128)}


def test_regions_are_outlined_alone_where_nothing_else_is_asked_for():
    grey = Image.new("RGB", (800, 600), (128, 128, 128))
    drawn = np.asarray(draw_report(grey, LAYOUT, REPORT, False, False, [box(0.25, 0.5, 0.5, 1.0)]))
    rows, columns = np.nonzero((drawn == REGION_COLOUR).all(axis=-1))
    assert (columns.min(), rows.min(), columns.max()) == (200, 300, 400)
    assert colours_of(Image.fromarray(drawn)) == {(128, 128, 128), (0, 0, 0), REGION_COLOUR}


def test_the_picture_itself_is_left_as_it_is():
    grey = Image.new("RGB", (800, 600), (128, 128, 128))
    draw_report(grey, LAYOUT, REPORT)
    assert colours_of(grey) == {(128, 128, 128)}


def test_thirty_labels_in_one_place_are_drawn():
    crowd = Layout(
        caption="c", instances=tuple(Instance(caption="x" * 500, box=box(0.4, 0.4, 0.41, 0.41)) for _ in range(30))
    )
    image = draw_report(Image.new("RGB", (64, 64), (128, 128, 128)), crowd, match(crowd, [], lambda name: name))
    assert COLOURS[VerdictKind.MISSING] in colours_of(image)


@pytest.mark.parametrize(
    "index, text",
    [(0, "1 dog: found 1.00"), (1, "2 cat: misplaced 0.00"), (2, "3 car: missing"), (3, "4 dragon: unchecked")],
)
def test_label(index, text):
    assert label(REPORT.verdicts[index]) == text


def test_a_report_draws_itself_and_is_a_table_in_a_notebook():
    grey = Image.new("RGB", (128, 96), (128, 128, 128))
    assert REPORT.draw(grey, LAYOUT).tobytes() == draw_report(grey, LAYOUT, REPORT).tobytes()
    assert REPORT.rows()[0] == ["1", "dog", "found", "1.00"] and REPORT.rows()[-1] == ["", "dog", "extra", ""]
    extra = Detection(category="<b>", score=0.9, box=box(0.1, 0.1, 0.4, 0.5))
    page = REPORT.model_copy(update={"extras": [extra], "detector": "<i>"})._repr_html_()
    assert "1 of 5 found by &lt;i&gt;" in page and "&lt;b&gt;" in page and "<b>" not in page and "<i>" not in page
