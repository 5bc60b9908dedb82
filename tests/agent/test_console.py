"""What the terminal says while a run works and when it is over."""

import io
from pathlib import Path

from rich.console import Console

from agent.console import Display, next_command, outcome
from agent.events import Step
from agent.request import Request
from agent.runs import Run
from evaluators.report import Detection, Report, Verdict, VerdictKind
from instdiff.cli import program
from instdiff.layout import Box

VERDICTS = (
    Verdict(instance=0, name="dog", kind=VerdictKind.FOUND, iou=0.9, sure=0.8),
    Verdict(instance=1, name="lamp 1", kind=VerdictKind.MISSING, sure=0.01),
    Verdict(instance=2, name="cup", kind=VerdictKind.MISPLACED, iou=0.2),
    Verdict(instance=3, name="car", kind=VerdictKind.WRONG_ATTRIBUTE, iou=0.7),
    Verdict(instance=4, name="gnu", kind=VerdictKind.UNCHECKED),
)
CAT = Detection(category="cat", score=0.5, box=Box(x0=0, y0=0, x1=1, y1=1))


def report(*verdicts, **about):
    return Report(detector="draft", iou_threshold=0.5, verdicts=verdicts, **about)


def test_what_was_found_and_what_was_not_and_why():
    assert outcome(report(*VERDICTS, extras=(CAT,), found_score=0.03)) == [
        "found: dog (1 of 5)",
        "missing: lamp 1: draft is 0.01 sure that it is in its place, and must be 0.03",
        "misplaced: cup: it is seen elsewhere; its box and the planned one have an IoU of 0.20",
        "wrong attribute: car: it is in its place, and does not look as it should",
        "unchecked: gnu: draft does not know this name",
        "extra: cat: one more than planned",
    ]
    assert outcome(report()) == ["found: nothing (0 of 0)"]


def test_the_next_command_mends_what_failed_or_changes_something():
    run = Run(folder=Path("outputs/a b"), request=Request(prompt="a dog"))
    assert next_command(run, report(*VERDICTS)) == f"{program()} repair 'outputs/a b'"
    assert next_command(run, report(VERDICTS[4])) == f"{program()} edit 'outputs/a b' 'make the gnu larger'"
    verified = run.model_copy(update={"verified": True})
    assert next_command(verified, report(VERDICTS[0])) == f"{program()} edit 'outputs/a b' 'make the dog larger'"


def test_the_bar_has_the_time_left_and_is_for_terminals_alone():
    shown = {}
    for is_terminal in (True, False):
        file = io.StringIO()
        with Display(Console(file=file, force_terminal=is_terminal, width=120)) as display:
            for step in (1, 2, 3, 4):
                display(Step(round=0, image=1, images=2, step=step, steps=4))
        shown[is_terminal] = file.getvalue()
    assert "painting round 0, picture 2 of 2" in shown[True] and "4/4" in shown[True] and "left:" in shown[True]
    assert shown[False] == ""
