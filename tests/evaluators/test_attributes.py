"""Words by annotation, and who tells them: a detector's own heads, and a real CLIP, tiny and random."""

import numpy as np
import pytest
from PIL import Image
from tiny_clip import write_clip

from evaluators import attributes
from evaluators.attributes import WORDS, by_clip, by_detector, clip_figures, own_word, tellable, word_of
from evaluators.clip import ClipModel
from evaluators.report import Detection
from instdiff.layout import Box, Instance, Layout

LEFT = Box(x0=0, y0=0, x1=0.5, y1=1)
RIGHT = Box(x0=0.5, y0=0, x1=1, y1=1)


def test_words_go_by_the_id():
    assert [len(words) for words in WORDS.values()] == [8, 8] and WORDS["colours"][2] == "red"
    colour = word_of("colours")
    texture = word_of("textures")
    assert [colour({"id": number}) for number in (0, 7, 8, 1002)] == ["black", "purple", "black", "red"]
    assert [texture({"id": number}) for number in (0, 7, 8, 1002)] == ["rubber", "glass", "rubber", "metallic"]


@pytest.mark.parametrize(
    ("anno", "kind", "word"),
    [
        ({"attributes": {"colour": "red", "texture": "metal"}}, "colours", "red"),
        ({"attributes": {"colour": "red", "texture": "metal"}}, "textures", "metallic"),
        ({"attributes": {"colour": "orange"}}, "colours", None),  # none of the eight
        ({"attributes": {"texture": ["wooden"]}}, "textures", None),
        ({"attributes": "red"}, "colours", None),
        ({}, "colours", None),
    ],
)
def test_own_words(anno, kind, word):
    assert own_word(anno, kind) == word


def test_what_a_detector_tells_apart():
    assert tellable("textures", ("plain", "striped", "wooden", "metal")) == ("metallic", "wooden")
    assert tellable("colours", ("red", "orange", "pink")) == ("red", "pink")


def layout(*things: tuple[str, Box]) -> Layout:
    return Layout(
        width=64,
        height=64,
        caption="",
        instances=tuple(Instance(caption=name, category=name, box=box) for name, box in things),
    )


def test_by_detector():
    """Of four things that are asked for a known word three are found, one with the right colour."""
    truths = [layout(("cat", LEFT), ("dog", RIGHT)), layout(("cat", LEFT), ("cat", RIGHT), ("dog", LEFT))]
    asked = [["red", "blue"], ["red", "red", None]]
    seen = [
        [
            Detection(category="cat", score=1, box=LEFT, colour="red"),
            Detection(category="dog", score=1, box=RIGHT, colour="green"),
        ],
        [Detection(category="cat", score=1, box=RIGHT), Detection(category="dog", score=1, box=LEFT, colour="red")],
    ]
    result = by_detector(truths, asked, seen, lambda name: name, "colours", WORDS["colours"])
    assert result == {"asked": 4, "found": 3, "of_all": 1 / 4, "of_found": 1 / 3}
    only_red = by_detector(truths, asked, seen, lambda name: name, "colours", ("red",))
    assert only_red == {"asked": 3, "found": 2, "of_all": 1 / 3, "of_found": 1 / 2}
    nothing = by_detector([layout()], [[]], [[]], lambda name: name, "colours", WORDS["colours"])
    assert nothing == {"asked": 0, "found": 0, "of_all": None, "of_found": None}


def test_textures_by_the_detectors_word():
    seen = [[Detection(category="cat", score=1, box=LEFT, texture="metal")]]
    result = by_detector([layout(("cat", LEFT))], [["metallic"]], seen, lambda name: name, "textures", ("metallic",))
    assert result["of_all"] == 1


@pytest.fixture(scope="module")
def clip(golden, tmp_path_factory):
    return ClipModel.load(write_clip(golden, tmp_path_factory.mktemp("clip")))


def noise(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (64, 96, 3), dtype=np.uint8))


def test_by_clip(clip):
    """The same as CLIP asked by hand: cuts at the boxes against the eight prompts, and the thing's own words."""
    picture = noise(1)
    truth = layout(("cat", LEFT), ("dog", RIGHT), ("cup", LEFT))
    asked = ["red", None, "blue"]
    [(right, scores)] = by_clip(clip, [picture], [truth], [asked], "colours")
    cut = clip.images([picture.crop((0, 0, 48, 64))])[0]
    similar = [float(cut @ text) for text in clip.texts([f"a {word} object" for word in WORDS["colours"]])]
    best = WORDS["colours"][int(np.argmax(similar))]
    assert right == [best == "red", best == "blue"]
    assert scores == pytest.approx([float(cut @ clip.texts([words])[0]) for words in ("red cat", "blue cup")], abs=1e-5)
    [(all_right, _)] = by_clip(clip, [picture], [layout(*[("cat", LEFT)] * 8)], [WORDS["colours"]], "colours")
    assert sum(all_right) == 1  # of eight words for the same cut one is right
    assert by_clip(clip, [picture], [layout()], [[]], "colours") == [([], [])]


def test_clip_figures_are_means_over_pictures():
    figures = clip_figures([([True, False], [0.2, 0.4]), ([], []), ([True], [0.5])])
    assert figures == {"asked": 3, "accuracy": pytest.approx(0.75), "score": pytest.approx(0.4)}
    assert clip_figures([([], [])]) == {"asked": 0, "accuracy": None, "score": None}


def test_a_cut_has_pixels():
    thin = Box(x0=0.9999, y0=0.9999, x1=1, y1=1)
    assert attributes._cut(noise(0), thin).size == (1, 1)
    assert attributes._cut(noise(0), RIGHT).size == (48, 64)
