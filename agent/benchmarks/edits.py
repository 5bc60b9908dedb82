"""Edits in words on painted pictures: are they done, and is everything else as it was?"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from agent.benchmarks.repair import psnr_outside, seam
from agent.runs import BEFORE, Run
from evaluators.contact_sheet import Tile, contact_sheet
from evaluators.detectors import Detector, load_detector
from evaluators.matching import EXTRA_SCORE
from evaluators.report import VerdictKind
from evaluators.reporting import EvaluationResult, Table, add_output_arguments, percent, progress_bar
from evaluators.verifying import verify
from instdiff.errors import BadInput
from instdiff.formats import load_layout
from instdiff.formats.fields import mapping
from instdiff.formats.files import parse_json, read_bytes

if TYPE_CHECKING:
    from agent.loop import Agent

EDITS = Path(__file__).parent / "data" / "edits.jsonl"
OUT = Path("outputs/evaluations/edits")
HELP = """Each prompt of a file is painted, and changed in words. A detector that is not in the loop says whether the
edit is done: what is new or of another colour is found in its place, and what is to go is not seen any more. All else
must be as it was, outside of the regions to the pixel.

A line of --edits is {"prompt": "...", "edit": "...", "gone": ["lamp"]}; "gone" names what is not to be seen."""


class Edit(NamedTuple):
    """An edit of the picture of a prompt, and the categories that must not be seen afterwards."""

    prompt: str
    words: str
    gone: tuple[str, ...] = ()


class Outcome(NamedTuple):
    """What became of an edit."""

    edit: Edit
    run: Run | None
    done: bool
    kept: bool = False
    psnr: float = 0.0
    seam: float = 1.0
    reason: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m agent.benchmarks edits``."""
    parser.add_argument("--edits", type=Path, default=EDITS, metavar="FILE", help="JSON lines (default: 20 of our own)")
    parser.add_argument("--detector", default="judge", metavar="NAME", help="who judges (default: %(default)s)")
    parser.add_argument("--engine", default="draft", metavar="NAME", help="what paints (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of each edit at most (%(default)s)")
    add_output_arguments(parser, OUT)


def run(args: argparse.Namespace) -> EvaluationResult:
    """The command.

    Raises:
        BadInput: a line of the file is no edit.
    """
    from agent.loop import Agent  # what a help needs is no torch

    edits = read_edits(args.edits)
    judge = load_detector(args.detector)
    agent = Agent(planner="offline", engine=args.engine, out=args.folder / "runs", rounds=args.rounds)
    with progress_bar() as progress:
        each = enumerate(progress.track(edits, description="editing"))
        outcomes = [outcome_of(agent, judge, edit, seed) for seed, edit in each]
    contact_sheet([tile(outcome) for outcome in outcomes if outcome.run], args.folder / "sheet.png")
    result = _result(outcomes)
    result.write(args.folder)
    return result


def read_edits(path: Path) -> list[Edit]:
    """The edits of a JSON-lines file."""
    edits = []
    for number, line in enumerate(read_bytes(path).decode("utf-8", errors="replace").splitlines(), 1):
        if line.strip():
            data = mapping(parse_json(line, f"{path} line {number}"), f"{path} line {number}")
            if not all(isinstance(data.get(name), str) for name in ("prompt", "edit")):
                raise BadInput(f"{path} line {number}", 'has no "prompt" and "edit"')
            edits.append(Edit(data["prompt"], data["edit"], tuple(map(str, data.get("gone", ())))))
    return edits


def outcome_of(agent: Agent, judge: Detector, edit: Edit, seed: int) -> Outcome:
    """Paint, change, and look at both pictures."""
    try:
        first = agent.run(edit.prompt, seed=seed)
        changed = agent.edit(first.folder, edit.words)
    except BadInput as error:
        return Outcome(edit, None, False, reason=str(error))
    assert changed.best and changed.request.edited and first.best
    layout = load_layout(changed.folder / changed.best.layout, boxes="xywh")
    before_layout = load_layout(first.folder / first.best.layout, boxes="xywh")
    before, after = (_read(path) for path in (changed.folder / BEFORE, changed.image))
    [report] = verify(judge, [after], [layout])
    [earlier] = verify(judge, [before], [before_layout])
    found = {v.instance for v in report.verdicts if v.kind is VerdictKind.FOUND}
    seen = judge.detect([after], list(edit.gone))[0] if edit.gone else []
    still = [one.category for one in seen if one.score >= EXTRA_SCORE]
    new = set(changed.request.edited.apart)
    stayed = [before_layout.instances[v.instance] for v in earlier.verdicts if v.kind is VerdictKind.FOUND]
    lost = [i.name for n, i in enumerate(layout.instances) if n not in new and i in stayed and n not in found]
    regions = every_region(changed)
    pictures = (np.asarray(before), np.asarray(after))
    missing = [layout.instances[index].name for index in sorted(new - found)]
    reason = "; ".join(
        f"{what}: {', '.join(names)}"
        for what, names in (("not found", missing), ("still seen", still), ("lost", lost))
        if names
    )
    return Outcome(
        edit,
        changed,
        done=not missing and not still,
        kept=not lost,
        psnr=psnr_outside(*pictures, regions),
        seam=seam(*pictures, regions),
        reason=reason,
    )


def every_region(run: Run) -> list:
    """Where an edit and all its accepted repairs have painted."""
    assert run.request.edited
    accepted = [done.repair for done in run.rounds if done.repair and done.repair.accepted]
    return [*run.request.edited.regions, *(region for repair in accepted for region in repair.regions)]


def tile(outcome: Outcome) -> Tile:
    """Before and after beside each other, with the words."""
    assert outcome.run and outcome.run.before_after
    colour = "darkgreen" if outcome.done and outcome.kept else "firebrick"
    with Image.open(outcome.run.before_after) as image:
        return Tile(image.convert("RGB"), (outcome.edit.words, outcome.reason or "done"), colour)


def _read(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def _result(outcomes: Sequence[Outcome]) -> EvaluationResult:
    made = [outcome for outcome in outcomes if outcome.run]
    measured = {
        "edits": len(outcomes),
        "done": sum(outcome.done for outcome in outcomes) / len(outcomes),
        "kept": sum(outcome.kept for outcome in made) / max(len(made), 1),
        "psnr_outside": min((outcome.psnr for outcome in made), default=None),
        "seam": median(outcome.seam for outcome in made) if made else None,
    }
    rows = [[name, percent(measured[name])] for name in ("done", "kept")]
    rows += [[name, f"{measured[name]:.2f}"] for name in ("psnr_outside", "seam") if measured[name] is not None]
    failed = [one for one in outcomes if one.reason]
    notes = [f"{json.dumps(one.edit.words)} on {json.dumps(one.edit.prompt)}: {one.reason}" for one in failed]
    table = Table(f"{len(outcomes)} edits in words", ["", ""], rows)
    return EvaluationResult("edits", measured, (table,), notes)
