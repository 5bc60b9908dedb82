"""A finished run as the start of an edit, the folder that keeps what was changed, and both pictures side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from agent.edit.changes import Changed, changed_between, regions_of_things
from agent.planners.plan import Plan
from agent.repair.failures import failures_of
from agent.request import Edited, Request
from agent.runs import (
    BEFORE,
    GIVEN,
    GIVEN_SCENE,
    Round,
    Run,
    copy_whole,
    new_folder,
    read_report,
    read_scene,
    write_scene,
)
from instdiff.errors import BadInput
from instdiff.formats import read_png, save_layout, whole_file
from instdiff.layout import Box, Layout
from instdiff.render_settings import RenderSettings

GAP = 8
LABEL = 22  # pixels between the pictures, and for the words under them


def before_after(before: Path, after: Path, path: Path) -> None:
    """Write the pictures of an edit side by side, the one before scaled to the height of the one after."""
    with Image.open(before) as first, Image.open(after) as second:
        left = first.convert("RGB")
        right = second.convert("RGB")
    left = left.resize((max(round(left.width * right.height / left.height), 1), right.height))
    sheet = Image.new("RGB", (left.width + GAP + right.width, right.height + LABEL), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(14)
    for x, image, word in ((0, left, "before"), (left.width + GAP, right, "after")):
        sheet.paste(image, (x, 0))
        draw.text((x + 4, right.height + 2), word, fill="black", font=font)
    with whole_file(path) as temporary:
        sheet.save(temporary, format="PNG")


def repair_run(start: Source, things: Sequence[str], out: str | Path, erased: Sequence[Box] = (), **changes) -> Run:
    """A run that paints things of a picture anew in their places, or, where none is named, what failed on it.

    Args:
        erased: regions that are painted over beside the named things, as in `erase_run`.

    Raises:
        BadInput: there is no such thing, or nothing failed.
    """
    plan = start.plan.model_copy(update={"notes": ()})
    if things:
        changed = regions_of_things(plan.layout, things)
        changed = changed._replace(regions=(*changed.regions, *erased))
        settings = start.settings.model_copy(update={"seed": (start.settings.seed + 1) % 2**63})
        words = f"repair {', '.join(things)}{' and remove what is not wanted' if erased else ''}"
        return new_run(start, plan, words, out, changed, **{"settings": settings, **changes})
    report = read_report(start.run.folder / _best(start.run).report)
    if not any(failures_of(plan.layout, report)):
        raise BadInput("repair", f"nothing failed on {start.run.image}; name what is wrong, such as --thing lamp")
    rounds = max(start.run.request.rounds, 2)  # the first one is the picture as it is
    return new_run(start, plan, "repair what failed", out, Changed(()), keep=True, **{"rounds": rounds, **changes})


def erase_run(start: Source, regions: Sequence[Box], out: str | Path, **changes) -> Run:
    """A run that paints over what is in some regions of a picture; nothing is planned there that was not before."""
    plan = start.plan.model_copy(update={"notes": ()})
    return new_run(start, plan, "remove what is not wanted", out, Changed(tuple(regions)), **changes)


class Source(NamedTuple):
    """What an edit starts from: the best round of a run."""

    run: Run
    plan: Plan
    settings: RenderSettings


def source(folder: str | Path, out: str | Path = "outputs") -> Source:
    """The best round of a run, given by its folder, or of the ``latest`` one in the folder ``out``.

    Raises:
        BadInput: there is no such run, or it has no picture yet.
    """
    run = Run.load(_latest(out) if str(folder) == "latest" else folder)
    best = _best(run)
    layout, stored = read_png(run.folder / best.image)
    settings = RenderSettings.parse({key: stored[key] for key in RenderSettings.model_fields if key in stored})
    scene = read_scene((run.folder / best.layout).with_name("scene.json"))
    return Source(run, Plan(layout=layout, planner=best.planner, **scene), settings)


def new_run(
    start: Source,
    plan: Plan,
    words: str,
    out: str | Path,
    changed: Changed | None = None,
    keep: bool = False,
    **changes,
) -> Run:
    """A folder for an edited plan, ready to be painted: all as in the run before, but for what is changed.

    Args:
        changed: where the picture is painted anew; None is where the plans differ.
        keep: the first round is the picture as it is, and later ones mend what failed on it.
        changes: fields of `agent.request.Request` that are asked for otherwise.

    Raises:
        BadInput: a field cannot be used, the run has no picture yet, or nothing can be written there.
    """
    best = _best(start.run)
    changed = changed or changed_between(start.plan.layout, plan.layout)
    edit = Edited(
        run=str(start.run.folder),
        round=start.run.rounds.index(best),
        words=words,
        notes=plan.notes,
        regions=changed.regions,
        apart=changed.apart,
        gone=changed.gone,
        failed=() if keep else _failed_before(start, plan.layout, changed),
        keep=keep,
    )
    values = {"prompt": plan.layout.caption, "planner": "none", "planner_url": None, "review": False}
    before = dict(start.run.request)
    request = Request.parse({**before, **values, "settings": start.settings, "edited": edit, **changes})
    folder = new_folder(out, words)
    save_layout(plan.layout, folder / GIVEN)
    write_scene(folder / GIVEN_SCENE, plan)
    copy_whole(start.run.folder / best.image, folder / BEFORE)
    run = Run(folder=folder, request=request)
    run.save()
    return run


def _failed_before(start: Source, layout: Layout, changed: Changed) -> tuple[int, ...]:
    """The instances that an edit does not speak of, and that were not right before it."""
    report = read_report(start.run.folder / _best(start.run).report)
    before = start.plan.layout
    wrong = [before.instances[failure.verdict.instance] for failure in failures_of(before, report) if failure.verdict]
    return tuple(i for i, one in enumerate(layout.instances) if one in wrong and i not in changed.apart)


def _best(run: Run) -> Round:
    if run.best is None:
        raise BadInput("edit", f"{run.folder} has no picture yet; go on with it first: --resume {run.folder}")
    return run.best


def _latest(out: str | Path) -> Path:
    """The folder of the run that was written to last."""
    folders = [path for path in Path(out).glob("*/run.json") if path.with_name("best.png").exists()]
    if not folders:
        raise BadInput("edit", f"{out} holds no run with a picture")
    return max(folders, key=lambda path: path.stat().st_mtime_ns).parent
