"""Labels against what another detector sees."""

from PIL import Image, ImageDraw

from agent.dataset.export.labels import Label
from agent.dataset.judging import judge_labels
from instdiff.layout import Box
from tests.agent.doubles import COLOURS, ColourDetector

PLACES = {"dog": (0.0, 0.0, 0.4, 0.4), "cat": (0.5, 0.0, 0.9, 0.4), "car": (0.0, 0.5, 0.4, 0.9)}


def a_label(name, place, ignore=False):
    x0, y0, x1, y1 = place
    box = Box(x0=x0, y0=y0, x1=x1, y1=y1)
    return Label(name=name, caption=f"a {name}", box=box, source="plan", verdict="found", ignore=ignore)


def test_things_are_labelled_ignored_or_neither_and_labels_have_their_things(tmp_path):
    image = Image.new("RGB", (100, 100), (100, 100, 100))
    for name, place in PLACES.items():
        x0, y0, x1, y1 = (100 * side for side in place)
        ImageDraw.Draw(image).rectangle([x0, y0, x1 - 1, y1 - 1], fill=COLOURS[name])
    image.save(tmp_path / "picture.png")
    labels = [a_label("dog", PLACES["dog"]), a_label("cat", PLACES["cat"], ignore=True)]
    labels += [a_label("tree", (0.6, 0.6, 0.9, 0.9))]
    found = judge_labels([(tmp_path / "picture.png", labels)] * 2, ColourDetector(), list(COLOURS))
    assert (found["pictures"], found["things"], found["labels"]) == (2, 6, 4)
    assert found["labelled"] == found["ignored"] == found["neither"] == 0.3333
    assert found["labels not seen"] == 0.5 and found["median IoU"] == 1.0
