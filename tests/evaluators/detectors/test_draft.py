import io

import numpy as np
import pytest
import torch
from PIL import Image

from evaluators.detectors import check_detector
from evaluators.detectors.draft import CROPS, FOLDERS, WEIGHTS, DraftDetector
from evaluators.questions import Question, questions_of
from instdiff.errors import BadInput
from instdiff.layout import Box, Instance, Layout, Point
from instdiff.model.crop_classifier import CropClassifier
from instdiff.model.detector import DenseDetector
from instdiff.model.int8_weights import FILE, save_int8
from instdiff.training.draft.catalogue import THINGS
from instdiff.training.draft.sprites import drawing_of


@pytest.fixture(scope="module", params=FOLDERS)
def bundled(request):
    return DraftDetector(request.param)


@pytest.mark.parametrize(
    ("words", "category"),
    [
        ("cat", "cat"),
        ("Sofa", "couch"),
        ("sofas", "couch"),
        ("kitten", "cat"),
        ("puppies", "dog"),
        ("people", "person"),
        ("potted_plant", "potted plant"),
        ("teddy bear", "teddy bear"),
        ("bear", "bear"),
        ("a plush red couch", "couch"),
        ("two orange cats", "cat"),
        ("an orange", "orange"),
        ("the dog with a red ball", "dog"),
        ("a bowl of apples", "bowl"),
        ("street lamp", "street lamp"),
        ("floor lamp", "lamp"),
        ("desk calendar", None),  # known, but no desk
        ("kangaroo", None),
        ("kitchen", None),
        ("cat burglar's loot", None),
        ("", None),
        ("the", None),
    ],
)
def test_canonical(bundled, words, category):
    assert bundled.canonical(words) == category
    assert bundled.knows(words) is (category is not None)


def test_every_category_is_its_own_word(bundled):
    assert bundled.categories == tuple(THINGS) and len(THINGS) >= 150
    assert [bundled.canonical(name) for name in bundled.categories] == list(bundled.categories)


@pytest.mark.parametrize("folder", FOLDERS.values())
def test_bundled_weights_are_small_and_plain(folder):
    assert (WEIGHTS / folder / "diffusion_pytorch_model.safetensors").stat().st_size <= 4_500_000
    assert (WEIGHTS / folder / CROPS / FILE).stat().st_size <= 1_800_000


def test_the_judge_is_another_model_and_does_not_steer():
    loop, judge = (DraftDetector(name).stages for name in ("draft", "judge"))
    assert loop.dense.config.channels != judge.dense.config.channels
    assert loop.crops.config.channels != judge.crops.config.channels
    with pytest.raises(BadInput, match="judge scores benchmarks"):
        check_detector("judge")


def red_disc(size=(256, 256), centre=(0.4, 0.6), radius=0.2):
    """A red ball with a highlight on a pale ground."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    x = (x + 0.5) / width - centre[0]
    y = (y + 0.5) / height - centre[1]
    image = np.full((height, width, 3), (205, 222, 235), np.uint8)
    image[x**2 + y**2 <= radius**2] = (214, 34, 40)
    image[(x + radius / 3) ** 2 + (y + radius / 3) ** 2 <= (radius / 5) ** 2] = (250, 225, 225)
    return Image.fromarray(image)


def test_pictures_of_any_size_give_fractions(bundled):
    """What is seen on a picture is seen at the same fractions when it is stretched."""
    vocabulary = list(bundled.categories)
    square, wide = bundled.detect([red_disc(), red_disc((640, 320)).convert("RGBA")], vocabulary)
    assert square and wide and square[0].category == wide[0].category
    assert square[0].box.iou(wide[0].box) > 0.8
    assert square[0].box.iou(type(square[0].box)(x0=0.2, y0=0.4, x1=0.6, y1=0.8)) > 0.5
    assert [one.score for one in square] == sorted((one.score for one in square), reverse=True)


def test_only_what_is_asked_for(bundled):
    seen = bundled.detect([red_disc()], list(bundled.categories))[0]
    assert seen
    first = seen[0].category
    others = [name for name in bundled.categories if name != first]
    assert bundled.detect([red_disc()], [f"a big {first}"])[0] == [one for one in seen if one.category == first]
    assert first not in {one.category for one in bundled.detect([red_disc()], others)[0]}
    assert bundled.detect([red_disc()], []) == [[]]
    assert bundled.detect([], [first]) == []


PLACE = Box(x0=0.3, y0=0.3, x1=0.6, y1=0.75)


@pytest.fixture(scope="module")
def hydrant_picture():
    """A fire hydrant of our own drawings, on a plain ground."""
    resvg = pytest.importorskip("resvg_py")
    svg = drawing_of("fire hydrant").read_text(encoding="utf-8")
    drawn = Image.open(io.BytesIO(bytes(resvg.svg_to_bytes(svg_string=svg, width=512)))).convert("RGBA")
    drawn = drawn.crop(drawn.getbbox())
    x0, y0, x1, y1 = (round(512 * side) for side in PLACE.xyxy)
    picture = Image.new("RGB", (512, 512), (190, 205, 170))
    drawn = drawn.resize((x1 - x0, y1 - y0))
    picture.paste(drawn, (x0, y0), drawn)
    return picture


def hydrant(category="fire hydrant", box=PLACE):
    return Question(category, (box,))


def test_a_thing_is_found_where_it_is_and_no_other_thing_and_nowhere_else(bundled, hydrant_picture):
    elsewhere = Box(x0=0.65, y0=0.3, x1=0.95, y1=0.75)
    questions = [hydrant(), hydrant("red hydrants"), hydrant("horse"), hydrant("kangaroo"), hydrant(box=elsewhere)]
    [sighting] = bundled.ask([hydrant_picture], [questions])
    there, too, other, unknown, nowhere = sighting.answers
    assert there.score >= bundled.found_score and there.box.iou(PLACE) > 0.8 and there.category == "fire hydrant"
    assert too == there and unknown is None
    assert other is None or other.score < bundled.found_score
    assert nowhere is None or nowhere.score < bundled.found_score
    assert there.mask is not None and there.colour == "red"


def test_a_thing_that_lies_half_outside_of_its_place_is_not_in_it(bundled, hydrant_picture):
    for across, down in ((0.15, 0), (-0.15, 0), (0, 0.22), (0, -0.22)):
        box = Box(x0=0.3 + across, y0=0.3 + down, x1=0.6 + across, y1=0.75 + down)
        [sighting] = bundled.ask([hydrant_picture], [[hydrant(box=box)]])
        [answer] = sighting.answers
        assert answer is None or answer.score < bundled.found_score


def test_answers_do_not_depend_on_other_questions_nor_on_other_pictures(bundled, hydrant_picture):
    names = ["fire hydrant", "bottle", "horse"]
    [together] = bundled.ask([hydrant_picture], [[hydrant(name) for name in names]])
    for name, answer in zip(names, together.answers, strict=True):
        pictures = [Image.new("RGB", (256, 256)), hydrant_picture]
        _, alone = bundled.ask(pictures, [[hydrant()], [hydrant(name)]])
        assert alone.answers[0].score == pytest.approx(answer.score, abs=1e-4)


def test_a_point_asks_for_what_is_seen_around_it(bundled, hydrant_picture):
    instance = Instance(caption="a red hydrant", category="fire hydrant", point=Point(x=0.45, y=0.5))
    questions = questions_of(Layout(caption="a hydrant", instances=(instance,)))
    [sighting] = bundled.ask([hydrant_picture], [questions])
    [answer] = sighting.answers
    assert answer and answer.box.iou(PLACE) > 0.5
    assert bundled.ask([], []) == []


def untrained(folder):
    """Detector files of a single category, for questions of form alone."""
    channels = (4, 4, 8, 8, 8)
    torch.manual_seed(0)
    dense = DenseDetector(categories=("ball",), channels=channels, head_channels=8)
    for head in dense.heads:
        torch.nn.init.constant_(head[-1].bias[-1:], 0.0)  # it takes every cell for a ball
    dense.save_pretrained(folder)
    save_int8(CropClassifier(("ball",), channels=channels, score_threshold=0.0), folder / CROPS)
    return DraftDetector(folder=folder)


def test_more_pictures_than_a_batch(tmp_path):
    detector = untrained(tmp_path)
    seen = detector.detect([red_disc()] * 17 + [Image.new("RGB", (60, 40))], ["balls"])
    assert len(seen) == 18 and seen[0]
    # Arithmetic in batches of other sizes may round differently.
    first, last = (torch.tensor([[one.score, *one.box.xyxy] for one in found]) for found in (seen[0], seen[16]))
    assert torch.allclose(first, last, atol=1e-4)
