"""The figures of answers and of verdicts; all are shares 0..1, None where there is nothing to count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from evaluators.eye.answers import Answers, Outcome

SMALL = 1 / 64
LARGE = 0.15  # shares of the picture
FEW_THINGS = 4
SIZES = {"small": (0.0, SMALL), "medium": (SMALL, LARGE), "large": (LARGE, 2.0)}
NUMBERS = {"1-2 things": (1, 2), "3-4 things": (3, 4), "5 or more": (5, 999)}


def share(hits: np.ndarray | Sequence[bool]) -> float | None:
    """How many are true, of all; None of none."""
    return float(np.mean(hits)) if len(hits) else None


def answer_figures(answers: Answers, bar: float, similar: Mapping[str, str]) -> dict:
    """How often answers are right, if what scores at least ``bar`` is a yes.

    ``hits`` are yeses to what is there; ``false_yes`` those to what is nowhere on the picture: of all other categories,
    and of the most ``similar`` one (see `evaluators.eye.calibration.most_similar`). ``first`` says how often the true
    category has the highest score of all but those that are elsewhere on the picture. Colours are those that captions
    say, of the things that are found.
    """
    own = answers.own_scores
    hits = own >= bar
    others = np.where(answers.absent, answers.scores, 0.0)
    things = answers.things
    coloured = np.array([thing.colour is not None for thing in things], dtype=bool) & hits
    right = np.array([thing.colour == thing.colour_seen for thing in things], dtype=bool)
    shares = np.array([thing.share for thing in things])
    beside = np.array([thing.beside for thing in things])
    columns = [answers.names.index(similar.get(answers.names[column], answers.names[column])) for column in answers.own]
    most_similar = [row[c] for row, c, absent in zip(others, columns, answers.absent, strict=True) if absent[c]]
    return {
        "found_score": bar,
        "things": len(things),
        "hits": share(hits),
        "false_yes": share(answers.scores[answers.absent] >= bar),
        "false_yes_most_similar": share([score >= bar for score in most_similar]),
        "first": share((own > others.max(axis=1, initial=0.0)) & (own > 0)),
        "colour_right": share(right[coloured]),
        "coloured_things": int(coloured.sum()),
        "hits_by_size": {name: share(hits[(low <= shares) & (shares < high)]) for name, (low, high) in SIZES.items()},
        "hits_by_number": {
            name: share(hits[(low <= beside) & (beside <= high)]) for name, (low, high) in NUMBERS.items()
        },
        "categories": _by_category(answers, hits, similar),
    }


def _by_category(answers: Answers, hits: np.ndarray, similar: Mapping[str, str]) -> dict[str, dict]:
    """The hits of each category, and what it is mistaken for; the worst first."""
    columns, counts = np.unique(answers.own, return_counts=True)
    shares = [float(hits[answers.own == column].mean()) for column in columns]
    worst_first = sorted(range(len(columns)), key=lambda i: (shares[i], -counts[i]))
    return {
        (name := answers.names[columns[i]]): {
            "things": int(counts[i]),
            "hits": shares[i],
            "most_similar": similar.get(name),
        }
        for i in worst_first
    }


def plan_figures(outcomes: Sequence[Outcome]) -> dict:
    """How often plans that are painted as they should be are wholly verified; ``extras``: how many a picture."""
    few = [outcome.verified for outcome in outcomes if outcome.planned <= FEW_THINGS]
    planned = sum(outcome.planned for outcome in outcomes)
    return {
        "pictures": len(outcomes),
        "verified": share([outcome.verified for outcome in outcomes]),
        "verified_few_things": share(few),
        "found": sum(outcome.found for outcome in outcomes) / planned if planned else None,
        "extras": sum(outcome.extras for outcome in outcomes) / len(outcomes) if outcomes else None,
    }


def spoiled_figures(outcomes: Sequence[Outcome]) -> dict:
    """How often pictures pass on which one thing is not as planned.

    ``accepted``: that thing is found all the same; ``extra_told``: a thing that is not on the plan is told. Each is
    None where there is no such thing.
    """
    accepted = [outcome.accepted for outcome in outcomes if outcome.accepted is not None]
    told = [outcome.extra_told for outcome in outcomes if outcome.extra_told is not None]
    return {
        "pictures": len(outcomes),
        "verified": share([outcome.verified for outcome in outcomes]),
        "accepted": share(accepted),
        "extra_told": share(told),
    }


class Alone(NamedTuple):
    """What is said of a thing that is drawn alone."""

    category: str
    coloured: bool  # painted in a colour that is asked for
    found: bool
    colour_right: bool


def alone_figures(things: Sequence[Alone]) -> dict:
    """Hits of things that are drawn alone; plain and coloured ones are of the categories that come in colours."""
    by_category: dict[str, list[Alone]] = {}
    for thing in things:
        by_category.setdefault(thing.category, []).append(thing)
    rows = {name: _hits(takes) for name, takes in by_category.items()}
    in_colours = [row for row in rows.values() if row["coloured"] is not None]
    return {
        "things": len(things),
        "hits": share([thing.found for thing in things]),
        "plain": _mean([row["plain"] for row in in_colours]),
        "coloured": _mean([row["coloured"] for row in in_colours]),
        "colour_right": share([thing.colour_right for thing in things if thing.coloured and thing.found]),
        "categories": dict(sorted(rows.items(), key=lambda item: item[1]["hits"])),
    }


def _hits(takes: Sequence[Alone]) -> dict:
    return {
        "hits": share([take.found for take in takes]),
        "plain": share([take.found for take in takes if not take.coloured]),
        "coloured": share([take.found for take in takes if take.coloured]),
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
