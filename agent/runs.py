"""A run is a folder that anyone can read. Every file in it is written whole or not at all."""

from __future__ import annotations

import json
import os
import re
import secrets
import unicodedata
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from agent.critic.findings import Finding
from agent.planners.plan import Plan
from agent.repair.records import RepairRecord
from agent.request import Request
from evaluators.report import ROW, Report
from instdiff.errors import BadInput
from instdiff.formats import load_layout
from instdiff.formats.fields import mapping
from instdiff.formats.files import parse_json, read_bytes, write_bytes
from instdiff.formats.photographs import open_photograph
from instdiff.layout import Layout
from instdiff.notebook import html
from instdiff.values import Value
from instdiff.world.scene import Scene
from prompts.usage import Usage

if TYPE_CHECKING:
    from PIL.Image import Image

GIVEN = "given.json"
GIVEN_SCENE = "given-scene.json"
BEFORE = "before.png"  # what a run was handed, in its folder
NOTES = "notes.json"  # beside a plan that waits


class Answer(Value):
    """What a person says of a waiting plan: paint it (as ``layout``, if given), plan with another seed, or drop it."""

    decision: Literal["approve", "replan", "reject"]
    layout: Layout | None = None


INSIDE = r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$"
Inside = Annotated[str, Field(pattern=INSIDE, max_length=200)]  # a file inside of a folder


class PlanNotes(Value):
    """What the planner and the critic said of a plan."""

    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def sentences(self) -> list[str]:
        """One for each note and finding."""
        findings = [f"{'repaired' if one.repaired else one.kind}: {one.sentence}" for one in self.findings]
        return [*self.notes, *findings]


class Round(Value):
    """One round that is done. Paths are relative to the run's folder.

    ``images`` are those that it painted, ``image`` is the one that counts after it, with its layout and report: the
    best of them, or that of the round before, where no repair was accepted.
    """

    layout: Inside
    image: Inside
    images: tuple[Inside, ...] = Field(min_length=1, max_length=64)
    annotated: Inside
    report: Inside
    seed: int
    planner: str
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = Field(default=(), description="what the critic found before the round was painted")
    verified: bool
    score: tuple[float, float, int] = Field(description="share found, mean IoU, minus the number of extras")
    repair: RepairRecord | None = Field(default=None, description="what was mended of the picture before")
    unet_evaluations: int = Field(default=0, ge=0, description="what the round cost: latents given to the UNet")
    seconds: float = Field(default=0.0, ge=0, description="that the round took to paint and to look at")


class Run(Value):
    """A run and its folder. ``run.json`` holds everything but the folder's name."""

    folder: Path = Field(exclude=True)
    request: Request
    done: bool = False
    planner: str | None = Field(default=None, description="who planned in the end; None before the first plan")
    rounds: tuple[Round, ...] = ()
    best_round: int | None = None
    verified: bool = False
    review: Literal["waiting", "approved", "rejected"] | None = None  # where a person is asked
    seconds: dict[str, float] = {}
    usage: Usage = Field(default=Usage(), description="what the chat planner was asked for")
    model_hash: str | None = None
    versions: dict[str, str] = {}
    painted_with: dict = {}  # the settings of the last round, with what the engine and the preset chose

    @model_validator(mode="after")
    def _best_is_there(self) -> Run:
        if self.best_round is not None and not 0 <= self.best_round < len(self.rounds):
            raise ValueError(f"best_round is {self.best_round} of {len(self.rounds)} rounds, counted from 0")
        return self

    @property
    def best(self) -> Round | None:
        return None if self.best_round is None else self.rounds[self.best_round]

    @property
    def unet_evaluations(self) -> int:
        """What all rounds cost: so many latents were given to the UNet."""
        return sum(done.unet_evaluations for done in self.rounds)

    @property
    def image(self) -> Path:
        """The best picture."""
        return self.folder / "best.png"

    @property
    def before_after(self) -> Path | None:
        """The picture before and after the edit, side by side; None if the run is no edit."""
        return self.folder / "before_after.png" if self.request.edited else None

    def with_rounds(self, rounds: list[Round], **changes) -> Run:
        """The same run after these rounds; the best is the last one that was accepted."""
        best = 0 if rounds else None
        for index, done in enumerate(rounds):
            accepted = done.repair.accepted if done.repair else done.score > rounds[best or 0].score
            best = index if accepted else best
        verified = best is not None and rounds[best].verified
        return self.model_copy(update={"rounds": tuple(rounds), "best_round": best, "verified": verified, **changes})

    def draw(self) -> Image:
        """The best picture with its plan and what was found on it, see `evaluators.drawing.draw_report`.

        Raises:
            BadInput: the run has no picture yet, or its files cannot be read.
        """
        if self.best is None:
            raise BadInput("run", f"{self.folder} has no picture yet")
        layout = load_layout(self.folder / self.best.layout, boxes="xywh")
        image = open_photograph(self.image, read_bytes(self.image))
        return read_report(self.folder / self.best.report).draw(image, layout)

    def _repr_html_(self) -> str:
        """The run in a notebook: its best picture, and what was found on it."""
        title = f"{self.request.prompt} ({self.folder})"
        if self.best is None:
            return html(f"{title}: no picture yet", (), ())
        report = read_report(self.folder / self.best.report)
        verified = "verified" if self.verified else "not verified"
        return html(f"{title}: {verified}, round {self.rounds.index(self.best) + 1}", ROW, report.rows(), self.draw())

    def save(self) -> None:
        """Write ``run.json``."""
        write_json(self.folder / "run.json", self.model_dump(mode="json"))

    @classmethod
    def load(cls, folder: str | Path) -> Run:
        """Read a run from its folder.

        Raises:
            BadInput: there is no such run, or its ``run.json`` cannot be read.
        """
        path = Path(folder) / "run.json"
        if not os.path.isfile(path):  # unlike a Path, no error where a name is too long for a file
            cure = "give the folder of a run, such as outputs/20250101-120000-a-dog-1a2b"
            raise BadInput("run", f"{folder} holds no run.json; {cure}")
        data = parse_json(read_bytes(path), str(path))
        if not isinstance(data, dict):
            raise BadInput("run", f"{path} holds no run")
        return cls.parse({**data, "folder": Path(folder)}, field="run")

    def summary(self) -> dict:
        """What ``--json`` prints: paths as strings, ``best_round`` from 0; ``usage`` where a chat model was asked."""
        files = ("layout", "image", "report")
        summary: dict[str, object] = {}
        if self.request.edited:
            summary = {"edited_from": self.request.edited.run, "before_after": str(self.before_after)}
        if self.usage.requests:
            summary["usage"] = self.usage.model_dump()
        if self.review:
            summary["review"] = self.review
        return {
            **summary,
            "run": str(self.folder),
            "image": str(self.image),
            "best_round": self.best_round,
            "rounds": [{key: str(self.folder / getattr(done, key)) for key in files} for done in self.rounds],
            "verified": self.verified,
            "planner": self.planner,
            "engine": self.request.engine,
            "verifier": self.request.verifier,
            "seconds": self.seconds,
            "unet_evaluations": self.unet_evaluations,
        }


def slug(text: str, length: int = 40) -> str:
    """A piece of text as part of a file name: only ``a-z``, ``0-9`` and ``-``, never empty."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:length].strip("-") or "picture"


def new_folder(out: str | Path, prompt: str) -> Path:
    """Make a folder for a run that no other run has, even if many start in the same second.

    Raises:
        BadInput: nothing can be written there.
    """
    start = f"{datetime.now():%Y%m%d-%H%M%S}-{slug(prompt)}"
    for _attempt in range(100):
        folder = Path(out) / f"{start}-{secrets.token_hex(2)}"
        try:
            Path(out).mkdir(parents=True, exist_ok=True)
            folder.mkdir()
            return folder
        except FileExistsError as error:
            if not Path(out).is_dir():
                raise BadInput("out", f"{out} is a file; give a folder") from error
        except OSError as error:
            raise BadInput("out", f"{out} cannot be written to: {error.strerror}") from error
    raise BadInput("out", f"{out} holds too many runs named {start}")


def write_scene(path: Path, plan: Plan) -> None:
    """Write the scene behind a plan and the object behind each instance, if there is a scene."""
    if plan.scene:
        write_json(path, plan.model_dump(mode="json", include={"ids", "scene"}))


def read_scene(path: Path) -> dict:
    """What `write_scene` wrote, as fields of a `Plan`; nothing if there is no such file.

    Raises:
        BadInput: the file holds something else.
    """
    if not path.exists():
        return {}
    data = read_json(path)
    if not isinstance(data.get("ids"), list):
        raise BadInput(str(path), "holds no scene")
    return {"scene": Scene.parse(data.get("scene"), str(path)), "ids": tuple(map(str, data["ids"]))}


def write_json(path: Path, data: object) -> None:
    """Write readable JSON, whole or not at all."""
    write_bytes(path, (json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> dict:
    """Read what `write_json` wrote.

    Raises:
        BadInput: the file holds something else.
    """
    return mapping(parse_json(read_bytes(path), str(path)), str(path))


def read_report(path: Path) -> Report:
    """The report in a round's ``report.json``, which holds more than that.

    Raises:
        BadInput: the file holds none.
    """
    return Report.parse({key: value for key, value in read_json(path).items() if key in Report.model_fields}, str(path))


def check_links(folder: Path) -> None:
    """Raise BadInput for a run in which a link leads elsewhere: what is written into its folder stays there."""
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise BadInput("run", f"{path} is a link; a run that is gone on with holds none")


def copy_whole(source: Path, path: Path) -> None:
    """Copy a file, whole or not at all."""
    write_bytes(path, source.read_bytes())


def clear_unfinished(folder: Path) -> None:
    """Remove what a killed process was writing."""
    for path in folder.rglob(".writing-*"):  # the temporary names of `instdiff.formats.whole_file`
        path.unlink(missing_ok=True)
