import numpy as np
import pytest
from PIL import Image

from evaluators.detectors import Detector
from evaluators.eye.answers import Answers, KnownPicture, Outcome
from evaluators.eye.calibration import found_score_at, most_similar
from evaluators.eye.figures import Alone, alone_figures, answer_figures, plan_figures, spoiled_figures
from evaluators.questions import Sighting
from evaluators.report import Detection
from instdiff.layout import Box, Instance, Layout

NAMES = ["cat", "dog", "cup", "ball"]


def box(x, side):
    return Box(x0=x, y0=0.0, x1=x + side, y1=side)


class Recorded(Detector):
    """Answers with the scores that it was given, by the true category of the place and the asked one."""

    name = "recorded"
    threshold = found_score = 0.5

    def __init__(self, scores):
        self.scores = scores

    def canonical(self, category):
        return {"kitten": "cat", "chair": None}.get(category, category)

    def ask(self, images, questions, iou_threshold=0.5):
        return [Sighting(tuple(self._answer(q) for q in asked), ()) for asked in questions]

    def _answer(self, question):
        score, colour = self.scores[question.boxes[0].xyxy].get(question.category, (None, ""))
        if score is None:
            return None
        return Detection(category=question.category, score=score, box=question.boxes[0], colour=colour)


@pytest.fixture
def answers():
    """Three things on two pictures, and a chair that the detector does not know."""
    cat, dog, cup = box(0.0, 0.1), box(0.2, 0.2), box(0.5, 0.5)
    scores = {
        cat.xyxy: {"cat": (0.9, ""), "cup": (0.2, ""), "ball": (0.6, ""), "dog": (0.95, "")},
        dog.xyxy: {"dog": (0.7, "red"), "cup": (0.1, "")},
        cup.xyxy: {"cup": (0.3, "red"), "cat": (0.4, "")},
    }
    first = [
        Instance(caption="kitten", category="kitten", box=cat),
        Instance(caption="a red dog", category="dog", box=dog),
    ]
    second = [Instance(caption="a blue cup", category="cup", box=cup), Instance(caption="chair", box=cup)]
    blank = Image.new("RGB", (8, 8))
    pictures = [KnownPicture.of(blank, Layout(caption="", instances=tuple(things))) for things in (first, second)]
    detector = Recorded(scores)
    answers = Answers.to(detector, ["cat", "kitten", "dog", "cup", "ball", "chair"])
    assert answers.names == NAMES
    answers.ask(detector, pictures[:1])
    answers.ask(detector, pictures[1:])
    return answers


def test_answers_stand_in_a_table(answers):
    assert answers.unknown == 1
    assert answers.own.tolist() == [0, 1, 2]
    assert answers.scores.tolist() == [[0.9, 0.95, 0.2, 0.6], [0.0, 0.7, 0.1, 0.0], [0.4, 0.0, 0.3, 0.0]]
    first = [False, False, True, True]
    assert answers.absent.tolist() == [first, first, [True, True, False, True]]  # the chair is none of them
    assert [(thing.category, thing.beside, thing.colour, thing.colour_seen) for thing in answers.things] == [
        ("cat", 2, None, ""),
        ("dog", 2, "red", "red"),
        ("cup", 2, "blue", "red"),
    ]


def test_figures_at_a_bar(answers):
    similar = most_similar(answers)
    assert similar == {"cat": "ball", "dog": "cup", "cup": "cat"}
    figures = answer_figures(answers, 0.5, similar)
    assert figures["hits"] == 2 / 3 and figures["false_yes"] == 1 / 7 and figures["false_yes_most_similar"] == 1 / 3
    assert figures["first"] == 2 / 3  # the dog beside the cat is no rival; for the cup a cat is
    assert figures["colour_right"] == 1.0 and figures["coloured_things"] == 1
    assert figures["hits_by_size"] == {"small": 1.0, "medium": 1.0, "large": 0.0}
    assert figures["hits_by_number"] == {"1-2 things": 2 / 3, "3-4 things": None, "5 or more": None}
    assert next(iter(figures["categories"].items())) == ("cup", {"things": 1, "hits": 0.0, "most_similar": "cat"})
    lower = answer_figures(answers, 0.3, similar)
    assert lower["hits"] == 1 and lower["false_yes"] == 2 / 7 and lower["colour_right"] == 0.5
    assert answer_figures(Answers.to(Recorded({}), NAMES), 0.5, {})["hits"] is None


@pytest.mark.parametrize(
    ("false_yes", "allowed"),
    [(0.01, 0), (1 / 7, 1), (2 / 7, 2), (0.99, 6)],
)
def test_the_bar_lets_so_many_false_answers_pass_and_no_more(answers, false_yes, allowed):
    bar = found_score_at(answers, false_yes)
    others = answers.scores[answers.absent]
    passed = int((others >= bar).sum())
    assert passed <= allowed
    lower = np.sort(others[others < bar])
    assert not len(lower) or (others >= lower[-1]).sum() > allowed  # the next lower one would let too many pass


def test_no_bar_without_other_categories(answers):
    only = Answers(["cat"], ["cat"], answers.things[:1], 0, [[0.9]], [[False]])
    assert found_score_at(only, 0.01) is None and most_similar(only) == {}
    sure = Answers(["cat", "dog"], ["cat", "dog"], answers.things[:1], 0, [[0.9, 1.0]], [[False, True]])
    assert found_score_at(sure, 0.01) == 1.0  # as sure as can be: no bar keeps it out


def test_figures_of_plans():
    outcomes = [
        Outcome("", 2, 2, True, 1, None, None),
        Outcome("", 6, 4, False, 0, None, None),
        Outcome("", 4, 3, False, 2, None, None),
    ]
    figures = plan_figures(outcomes)
    assert figures == {"pictures": 3, "verified": 1 / 3, "verified_few_things": 0.5, "found": 9 / 12, "extras": 1.0}
    assert plan_figures([])["verified"] is None
    swapped = [Outcome("swapped", 2, 2, True, 0, True, None), Outcome("swapped", 2, 1, False, 0, False, None)]
    assert spoiled_figures(swapped) == {"pictures": 2, "verified": 0.5, "accepted": 0.5, "extra_told": None}


def test_figures_of_things_alone():
    things = [
        Alone("cat", False, True, False),
        Alone("cat", True, True, True),
        Alone("cat", True, False, False),
        Alone("tv", False, False, False),
    ]
    figures = alone_figures(things)
    assert figures["hits"] == 0.5 and figures["plain"] == 1.0 and figures["coloured"] == 0.5
    assert figures["colour_right"] == 1.0
    assert list(figures["categories"]) == ["tv", "cat"] and figures["categories"]["tv"]["coloured"] is None
