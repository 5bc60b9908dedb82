"""What a run tells while it works. The loop hands each event to ``on_event``; doors show them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.critic import Finding
from agent.planners.plan import Plan
from agent.runs import Round, Run
from evaluators.report import Report
from instdiff.layout import Layout

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Started:
    """The run has its folder; ``resumed`` is true if it goes on where it was."""

    folder: Path
    resumed: bool


@dataclass(frozen=True)
class Loading:
    """A planner, engine or verifier is about to be loaded, which may take seconds; ``what`` says which of the three."""

    what: str
    name: str


@dataclass(frozen=True)
class Planned:
    """The plan of a round is made: the first one, or one revised after a report."""

    round: int
    plan: Plan


@dataclass(frozen=True)
class Criticised:
    """The critic found something in a plan; ``plan`` is what will be painted, with what could be repaired."""

    round: int
    plan: Plan
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Step:
    """One denoising step of a picture is done; ``step`` counts from 1 to ``steps``, ``image`` from 0."""

    round: int
    image: int
    images: int
    step: int
    steps: int


@dataclass(frozen=True)
class Preview:
    """A picture as far as it is denoised; told only where previews are asked for."""

    round: int
    image: int
    picture: Image


@dataclass(frozen=True)
class Judged:
    """The pictures of a round were looked at; the report is about the best of them."""

    round: int
    layout: Layout
    report: Report
    result: Round


@dataclass(frozen=True)
class Waiting:
    """The plan is made, and a person is to say whether it is painted; the process ends here, `Agent.resume` takes the
    answer.
    """

    run: Run


@dataclass(frozen=True)
class Done:
    """The run is over."""

    run: Run


Event = Started | Loading | Planned | Criticised | Step | Preview | Judged | Waiting | Done
