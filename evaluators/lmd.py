"""The LMD benchmark: do layouts, or what is seen on pictures, do what 400 short prompts ask? Negation, numeracy, attribution, spatial.

Negation: no instance of the object. Numeracy: exactly the number. Attribution: an instance named with each colour and
object together. Spatial: box centres compared, left and right by x, top and bottom by y. Names are whole words.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache
from itertools import zip_longest
from pathlib import Path

from evaluators.plan_checks import Case, Check, holds
from instdiff.layout import Box, Instance, Layout
from instdiff.scene import Predicate

DATA = Path(__file__).parent / "data" / "lmd400.json"
SIZE = (512, 512)  # of the recorded layouts, in pixels
TASKS = ("negation", "numeracy", "attribution", "spatial")
NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5}
FORMS = {
    "negation": re.compile(r"without (\w+)$"),
    "numeracy": re.compile(rf"with ({'|'.join(NUMBERS)}) (\w+)$"),
    "attribution": re.compile(r"with an? (\w+) (\w+) and an? (\w+) (\w+)$"),
    "spatial": re.compile(r"with an? (\w+) on the (\w+) and an? (\w+) on the (\w+)$"),
}
SIDES = {"left": Predicate.LEFT_OF, "right": Predicate.RIGHT_OF, "top": Predicate.ABOVE, "bottom": Predicate.BELOW}


@cache
def _records() -> list[dict]:
    return json.loads(DATA.read_text(encoding="utf-8"))["prompts"]


@cache
def cases() -> list[Case]:
    """The 250 distinct prompts with their checks; ``repeat`` is how often each counts, 400 in all."""
    return [Case(r["prompt"], _checks(r["task"], r["prompt"]), r["task"], r["repeat"]) for r in _records()]


def recorded() -> dict[str, Layout]:
    """GPT-4's layouts by prompt, as they were published with the benchmark."""
    layouts = {}
    for record in _records():
        instances = tuple(Instance(caption=name, box=Box.from_coco(box, SIZE)) for name, box in record["gpt4"])
        layouts[record["prompt"]] = Layout(width=SIZE[0], height=SIZE[1], caption=record["prompt"], instances=instances)
    return layouts


def _checks(task: str, prompt: str) -> tuple[Check, ...]:
    words = FORMS[task].search(prompt).groups()
    match task:
        case "negation":
            return (Check("absent", words),)
        case "numeracy":
            return (Check("count", words[1:], n=NUMBERS[words[0]]),)
        case "attribution":
            return tuple(Check("attr", (noun,), attribute=colour) for colour, noun in (words[:2], words[2:]))
    return (Check("rel", (words[0], words[2]), relation=SIDES[words[1]]),)


def some_cases(count: int) -> list[Case]:
    """So many of the distinct prompts, spread over the tasks; a larger number holds all of a smaller one, in the same order."""
    order = sorted(cases(), key=lambda case: hashlib.sha256(case.prompt.encode()).digest())  # a task's own order counts upwards
    by_task = [[case for case in order if case.group == task] for task in TASKS]
    return [case for row in zip_longest(*by_task) for case in row if case][:count]


def score(layouts: dict[str, Layout], chosen: Sequence[Case] | None = None) -> dict:
    """Share of prompts whose layout does all that is asked, by task and in all, each prompt counted as often as the benchmark does.

    Args:
        layouts: by prompt; a prompt without one fails.
        chosen: the prompts to score; all if not given.

    Returns:
        ``{"tasks": {task: {"passed", "of", "share"}}, "all": {...}, "failures": [...]}``
    """
    counts = {task: [0, 0] for task in (*TASKS, "all")}
    failures = []
    for case in cases() if chosen is None else chosen:
        layout = layouts.get(case.prompt)
        failed = [str(check) for check in case.checks if layout is None or not holds(check, layout)]
        for key in (case.group, "all"):
            counts[key][0] += 0 if failed else case.repeat
            counts[key][1] += case.repeat
        if failed:
            failures.append({"prompt": case.prompt, "failed": failed, "planned": layout is not None})
    share = lambda good, total: round(good / total, 4) if total else None  # noqa: E731
    shares = {key: {"passed": good, "of": total, "share": share(good, total)} for key, (good, total) in counts.items()}
    return {"tasks": {task: shares[task] for task in TASKS}, "all": shares["all"], "failures": failures}
