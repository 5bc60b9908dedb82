"""How long a picture takes on this machine: reckoned from what painting took here before."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from agent.job_queue import JobQueue
from agent.runs import BEFORE, GIVEN, Run
from instdiff.engine import EngineInfo, engine_info
from instdiff.errors import BadInput
from instdiff.formats import load_layout
from instdiff.formats.files import parse_json, read_bytes, write_bytes
from instdiff.render_settings import resolve_settings

PACE = "pace.json"  # in the queue's folder: seconds for a unit of work, by engine
UNKNOWN_PACE = 2.0  # the bundled model on two cores takes about as long
NEW = 0.5  # weight of the newest figure
THINGS = 5  # on a picture whose plan is not made yet
# Self-attention grows with the square of the pixels; in a UNet of Stable Diffusion it takes as long as all the rest
# at about one megapixel.
EQUAL_MEGAPIXELS = 1.0
ROUND_S = 1.0  # that a round takes beside painting
OUTPUT_S = 1.0  # that a megapixel takes to look at and to write
LONG = ((60.0, 100.0), (600.0, 5.0))  # more than so many seconds, and so many times a usual picture of the engine


class Expected(NamedTuple):
    """Seconds for one round; ``measured`` if this engine has painted here before. At most so many rounds are made."""

    seconds: float
    rounds: int
    measured: bool


def expected(queue: JobQueue, run: Run) -> Expected:
    """How long each round of a run will take.

    Raises:
        BadInput: the engine is not known.
    """
    info = engine_info(run.request.engine)
    pace = read_pace(queue).get(run.request.engine)
    size = size_of(run, info)
    beside = ROUND_S + OUTPUT_S * size[0] * size[1] / 1e6
    left = max(run.request.rounds - len(run.rounds), 1)
    return Expected((pace or UNKNOWN_PACE) * work(run, info) + beside, left, pace is not None)


def is_long(queue: JobQueue, run: Run) -> bool:
    """True if a round takes minutes and far longer than a usual one: a person is told before it begins."""
    if run.rounds:  # it has begun
        return False
    try:
        info = engine_info(run.request.engine)
        seconds = expected(queue, run).seconds
        ratio = work(run, info) / usual_work(info)
    except BadInput:  # who works on it will say so
        return False
    return any(seconds > least and ratio > many for least, many in LONG)


def work(run: Run, info: EngineInfo) -> float:
    """The work of one round: evaluations of the UNet, each by the pixels that it is about."""
    settings = resolve_settings(run.request.settings, info.defaults)
    images = max(settings.num_images, run.request.candidates)
    branches = 2 if (settings.guidance_scale or 1.0) > 1.0 else 1
    # in the share `mis` of the steps each thing is painted alone, too (InstanceDiffusion, section 3.4)
    alone = (settings.mis or 0.0) * things_of(run)
    evaluations = (settings.num_inference_steps or 1) * images * branches * (1 + alone)
    return evaluations * weight(size_of(run, info), info)


def usual_work(info: EngineInfo) -> float:
    """The work of a picture as the engine paints it where nothing is asked for."""
    defaults = info.defaults
    branches = 2 if (defaults.guidance_scale or 1.0) > 1.0 else 1
    evaluations = (defaults.num_inference_steps or 1) * branches * (1 + (defaults.mis or 0.0) * THINGS)
    return evaluations * weight(info.native_size, info)


def weight(size: tuple[int, int], info: EngineInfo) -> float:
    """The work of one evaluation for a picture of (width, height) in pixels."""
    shrink = min(1.0, info.max_side / max(size))
    megapixels = size[0] * size[1] * shrink**2 / 1e6
    return megapixels * (1 + megapixels / EQUAL_MEGAPIXELS)


def size_of(run: Run, info: EngineInfo) -> tuple[int, int]:
    """(width, height) in pixels of a run's pictures."""
    if run.request.size:
        return run.request.size
    layout = _layout(run.folder)
    return layout.size if layout else info.native_size


def things_of(run: Run) -> int:
    """How many things are planned, or a guess where there is no plan yet."""
    layout = _layout(run.folder)
    return len(layout.instances) if layout else THINGS


def _layout(folder: Path):
    """The newest first plan that a run's folder holds; None where there is none that can be read."""
    for path in (folder / "round-0" / "layout.json", folder / GIVEN):
        if path.exists():
            with suppress(BadInput):
                return load_layout(path, boxes="xywh")
    return None


def read_pace(queue: JobQueue) -> dict[str, float]:
    """Seconds for a unit of work on this machine, by the name of the engine; what cannot be read is not known."""
    path = queue.folder / PACE
    if not path.exists():
        return {}
    try:
        data = parse_json(read_bytes(path), str(path))
    except BadInput:
        return {}
    if not isinstance(data, dict):
        return {}
    return {name: float(pace) for name, pace in data.items() if isinstance(pace, int | float) and pace > 0}


def learn(queue: JobQueue, run: Run, seconds_per_step: float) -> None:
    """Remember how long the steps of a whole picture took."""
    if (run.folder / BEFORE).exists():  # only a part of it was painted
        return
    info = engine_info(run.request.engine)
    settings = resolve_settings(run.request.settings, info.defaults)
    # pictures are painted one after the other, but for candidates
    per_step = work(run, info) / (settings.num_inference_steps or 1) / settings.num_images
    paces = read_pace(queue)
    before = paces.get(run.request.engine)
    now = seconds_per_step / per_step
    paces[run.request.engine] = now if before is None else NEW * now + (1 - NEW) * before
    write_bytes(queue.folder / PACE, json.dumps(paces, indent=1).encode())


def duration(seconds: float) -> str:
    """ "40 s", "3 min" or "2 h 10 min", as people say it."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
