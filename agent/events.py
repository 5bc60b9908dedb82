"""What happens while a run works: the loop hands each event to ``on_event``, and a job writes them as lines of JSON."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

from PIL import Image
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, field_serializer

from agent.critic.findings import Finding
from agent.planners.plan import Plan
from agent.repair.records import RepairRecord
from agent.runs import Round, Run
from evaluators.report import Report
from instdiff.errors import BadInput
from instdiff.formats.files import parse_json
from instdiff.layout import Layout
from instdiff.values import Value


class _Event(Value):
    """``time`` is when it happened, in seconds since 1970."""

    time: float = Field(default_factory=lambda: round(time.time(), 2))


class Starting(_Event):
    """A process begins to work on the run."""

    kind: Literal["starting"] = "starting"


class Started(_Event):
    """The run has its folder; ``resumed`` is true if it goes on where it was."""

    kind: Literal["started"] = "started"
    folder: Path
    resumed: bool


class Loading(_Event):
    """An engine or a verifier is about to be loaded, which may take seconds."""

    kind: Literal["loading"] = "loading"
    part: Literal["engine", "verifier"]
    name: str


class PlanReady(_Event):
    """The plan of a round is made: the first one, or one revised after a report."""

    kind: Literal["plan ready"] = "plan ready"
    round: int
    plan: Plan


class Criticised(_Event):
    """The critic found something in a plan; ``plan`` is what will be painted, with what could be repaired."""

    kind: Literal["criticised"] = "criticised"
    round: int
    plan: Plan
    findings: tuple[Finding, ...]


class Repairing(_Event):
    """What failed is about to be mended in these ways; ``layouts`` are what each of them plans to be seen."""

    kind: Literal["repairing"] = "repairing"
    round: int
    repairs: tuple[RepairRecord, ...]
    layouts: tuple[Layout, ...] = ()


class Step(_Event):
    """One denoising step of a picture is done; ``step`` counts from 1 to ``steps``, ``image`` from 0."""

    kind: Literal["step"] = "step"
    round: int
    image: int
    images: int
    step: int = Field(ge=1)
    steps: int = Field(ge=1)


class PreviewReady(_Event):
    """A picture as far as it is denoised, where previews are asked for; the JSON is without the picture."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    kind: Literal["preview ready"] = "preview ready"
    round: int
    image: int
    picture: Image.Image | None = Field(default=None, exclude=True)


class Judged(_Event):
    """The pictures of a round were looked at; the report is about the best of them, whether it is accepted or not."""

    kind: Literal["judged"] = "judged"
    round: int
    layout: Layout
    report: Report
    result: Round


class _RunEvent(_Event):
    """An event with the run as it is then."""

    run: Run

    @field_serializer("run")
    def _with_folder(self, run: Run) -> dict:
        return {**run.model_dump(mode="json"), "folder": str(run.folder)}


class Waiting(_RunEvent):
    """The plan is made and waits for a person's answer; the process ends, and `Agent.resume` takes the answer."""

    kind: Literal["waiting"] = "waiting"


class Done(_RunEvent):
    """The run is over."""

    kind: Literal["done"] = "done"


class Stopped(_Event):
    """Somebody stopped the process that worked on the run."""

    kind: Literal["stopped"] = "stopped"


class Failed(_Event):
    """The process that worked on the run ended with an error."""

    kind: Literal["failed"] = "failed"
    reason: str


RoundEvent = PlanReady | Criticised | Repairing | Step | PreviewReady | Judged
Event = Starting | Started | Loading | RoundEvent | Waiting | Done | Stopped | Failed
_ADAPTER: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="kind")])


def event_to_json(event: Event) -> str:
    """An event as one line of JSON, without the line's end."""
    return event.model_dump_json()


def event_from_json(line: str) -> Event:
    """The event that `event_to_json` wrote.

    Raises:
        BadInput: the line is damaged, or holds something else.
    """
    try:
        return _ADAPTER.validate_python(parse_json(line, "event"))
    except ValidationError as error:
        raise BadInput("event", f"{error.error_count()} of its fields cannot be read") from error
