"""A picture from anywhere as the start of an edit: the things that the words name are looked for on it."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from agent import rounds
from agent.planners.plan import Plan
from agent.request import Request
from agent.runs import Round, Run, new_folder, write_json
from evaluators.detectors import Detector
from instdiff.errors import BadInput
from instdiff.formats import save_layout, write_png
from instdiff.layout import MAX_INSTANCES, MAX_SIDE, Instance, Layout
from instdiff.world import nouns

if TYPE_CHECKING:
    from PIL.Image import Image

LONGEST_NAME = 3  # words of a name that is looked for
ROUND = "round-0"


def is_picture(path: str | Path) -> bool:
    """True for a file; runs are folders."""
    return Path(path).is_file()


def plan_of_picture(path: Path, words: str, detector: Detector) -> tuple[Image, Plan]:
    """A picture the right way up, and a plan of what the words name and the detector sees on it.

    Raises:
        BadInput: the file is no picture or too large, or nothing that the words name is seen.
    """
    image = _open(path)
    names = [name for name in _names(words) if detector.knows(name)]
    [seen] = detector.detect([image], names) if names else [[]]
    if not seen:
        looked = f"; looked for {', '.join(names)}" if names else f"; {detector.name} knows no word of the edit"
        raise BadInput("edit", f"nothing that the words name is seen on {path}{looked}")
    instances = [
        Instance(caption=nouns.with_article(_looks(one.colour, one.category)), category=one.category, box=one.box)
        for one in sorted(seen, key=lambda one: -one.score)[:MAX_INSTANCES]
    ]
    caption = ", ".join(dict.fromkeys(instance.caption for instance in instances))
    layout = Layout(width=image.width, height=image.height, caption=caption, instances=tuple(instances))
    return image, Plan(layout=layout, planner="none", notes=(f"what {detector.name} sees on {path.name}",))


def run_of_picture(image: Image, plan: Plan, detector: Detector, request: Request, out: Path, name: str) -> Run:
    """A finished run whose one round is the picture as it is, so that all can be done with it that is with others."""
    from evaluators.drawing import draw_report

    folder = new_folder(out, name)
    place = folder / ROUND
    place.mkdir()
    layout = rounds.as_written(plan.layout)
    report = rounds.look(detector, [image], layout, request.iou_threshold)[0]
    save_layout(layout, place / "layout.json")
    write_png(image, place / "image.png", layout, {"engine": "photograph"})
    write_png(image, folder / "best.png", layout, {"engine": "photograph"})
    draw_report(image, layout, report).save(place / "annotated.png")
    write_json(place / "report.json", report.model_dump(mode="json"))
    only = Round(
        layout=f"{ROUND}/layout.json",
        image=f"{ROUND}/image.png",
        images=(f"{ROUND}/image.png",),
        annotated=f"{ROUND}/annotated.png",
        report=f"{ROUND}/report.json",
        seed=request.settings.seed,
        planner="none",
        notes=plan.notes,
        verified=report.verified,
        score=report.score,
    )
    asked = request.model_copy(update={"prompt": layout.caption, "planner": "none", "size": layout.size})
    run = Run(folder=folder, request=asked, done=True, planner="none").with_rounds([only])
    run.save()
    return run


def _names(words: str) -> list[str]:
    """Every known thing that the words name, the longest names first."""
    each = re.findall(r"[a-z'-]+", words.lower())
    spans = sorted(combinations(range(len(each) + 1), 2), key=lambda span: span[0] - span[1])
    found: list[str] = []
    for start, end in spans:
        noun = nouns.resolve(" ".join(each[start:end])) if end - start <= LONGEST_NAME else None
        if noun and noun.thing and noun.name not in found:
            found.append(noun.name)
    return found


def _looks(colour: str, category: str) -> str:
    return f"{colour} {category}".strip()


def _open(path: Path) -> Image:
    """The picture as it is meant to be seen."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            picture = ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:  # what Pillow raises
        raise BadInput("edit", f"{path} is no picture that can be read") from error
    if max(picture.size) > MAX_SIDE:
        size = f"{picture.width} x {picture.height}"
        raise BadInput("edit", f"{path} has {size} pixels; scale it down to {MAX_SIDE} a side")
    return picture
