"""What a run's checkpoint holds between two steps, and the same checked: it may be somebody else's."""

from __future__ import annotations

from typing import TypedDict

from pydantic import ConfigDict, Field, model_validator

from agent.critic.findings import Finding
from agent.planners.plan import Plan
from agent.repair.repairs import Repair
from agent.request import MAX_ROUNDS
from agent.runs import Inside, Round
from instdiff.errors import BadInput
from instdiff.values import Fraction, Value


class State(TypedDict, total=False):
    """What the checkpoint holds: JSON and file names, never pictures."""

    plan: dict  # the plan that the coming round paints
    findings: list[dict]  # what the critic found in it, as `Finding`
    repairs: list[dict]  # the ways to mend the picture that the coming round tries, as `Repair`; none paints the plan
    painted: dict  # the round that is painted, but not yet looked at, as `PaintedRound`
    rounds: list[dict]  # the rounds that are done, as `Round`
    seconds: dict[str, float]  # per step, all rounds together
    decision: str  # of `Answer`, if a person was asked
    again: int  # how often a person had it planned again


NO_STATE: State = {"plan": {}, "findings": [], "repairs": [], "painted": {}, "rounds": [], "seconds": {}}


class PaintedPicture(Value):
    """One picture of a round: its file in the round's folder, its noise, and the repair that it tries."""

    name: Inside
    seed: int
    mis: Fraction | None = None
    alpha: Fraction | None = None
    repair: int | None = Field(default=None, ge=0)


class PaintedRound(Value):
    """The pictures of a round that is painted, but not yet looked at."""

    model_config = ConfigDict(extra="ignore")
    pictures: tuple[PaintedPicture, ...] = Field(min_length=1, max_length=256)
    model_hash: str | None
    versions: dict[str, str]
    settings: dict = {}
    unet_evaluations: int = Field(default=0, ge=0)
    seconds: float = Field(default=0.0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _of_older_versions(cls, data: object) -> object:
        """They wrote names, the first picture's seed, and the strengths of all."""
        if not isinstance(data, dict) or "pictures" in data or not isinstance(data.get("images"), list | tuple):
            return data
        seed = data.get("seed")
        own = {"mis": data.get("mis"), "alpha": data.get("alpha")}
        pictures = [
            {"name": name, "seed": seed + number if isinstance(seed, int) else seed, **own}
            for number, name in enumerate(data["images"])
        ]
        return {**data, "pictures": pictures}


class CheckedState(Value):
    """A `State`, checked: it comes from a file, which may be somebody else's."""

    model_config = ConfigDict(extra="ignore")
    plan: Plan | None = None
    findings: tuple[Finding, ...] = ()
    repairs: tuple[Repair, ...] = ()
    painted: PaintedRound | None = None
    rounds: tuple[Round, ...] = Field(default=(), max_length=MAX_ROUNDS)
    seconds: dict[str, float] = {}
    decision: str = ""
    again: int = 0

    @classmethod
    def read(cls, state: State) -> CheckedState:
        """Raises BadInput for what no step could have written."""
        return cls.parse({name: value for name, value in state.items() if value != {}}, "checkpoint")

    @property
    def current(self) -> Plan:
        """The plan that the coming round paints."""
        if self.plan is None:
            raise BadInput("run", "its checkpoint holds no plan")
        return self.plan

    @property
    def with_tried(self) -> Plan:
        """The plan of the picture so far, with a note of everything that was tried to mend it."""
        tried = dict.fromkeys(step.sentence for done in self.rounds if done.repair for step in done.repair.tried)
        notes = [note for note in tried if note not in self.current.notes]
        return self.current.model_copy(update={"notes": (*self.current.notes, *notes)})
