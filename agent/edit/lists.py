"""Lists of things in an edit, with what is said of each: "the cup green and the bowl gold"."""

from __future__ import annotations

import re
from collections.abc import Callable

MAX_NAME_WORDS = 24  # "the small lamp on the table next to the window"
LONGEST_LISTED = 8  # words of a name in the middle of a list
WHERE = "in|on|at|to|under|below|beneath|above|over|behind|next|near|beside|left|right|between|by|atop|inside|around"
WHERE += "|closer|nearer|onto|into|towards|toward|away"
OF_ALL = " | "  # between the names of things that are one target
JOINT = re.compile(r"\s*(?:,\s*and\s|,|\band\b)\s*")
Known = Callable[[str], bool]


def things_said(words: str, is_there: Known, reads: Callable[[str], bool]) -> list[tuple[str, str]]:
    """Things with what is said of each: "the cup green and the bowl gold"; what has nothing takes what the next has.

    Args:
        reads: tells if words say what is to be said of a thing; a name is as short as that allows.
    """
    together = things_said_together(words, is_there, reads)
    return [(target, to) for targets, to in together for target in targets]


def things_said_together(words: str, is_there: Known, reads: Callable[[str], bool]) -> list[tuple[list[str], str]]:
    """As `things_said`, with the things that one saying is about in one list: "the cat and the dog with two birds"."""
    return _together(_listed(words, is_there, reads))


def _together(listed: list[tuple[str, str]]) -> list[tuple[list[str], str]]:
    """What has nothing said of it goes with the next."""
    groups: list[tuple[list[str], str]] = []
    waiting: list[str] = []
    for target, to in listed:
        waiting.append(target)
        if to:
            groups.append((waiting, to))
            waiting = []
    return [*groups, (waiting, "")] if waiting else groups


def _listed(words: str, is_there: Known, reads: Callable[[str], bool]) -> list[tuple[str, str]]:
    """Each thing with what is said right after it."""
    joints = [joint for joint in JOINT.finditer(words) if _begins_with_name(words[joint.end() :], is_there)]
    split: list[tuple[str, str]] = []
    while True:
        starts = [0, *(joint.end() for joint in joints)]
        ends = [*(joint.start() for joint in joints), len(words)]
        parts = [words[start:end].strip(" ,") for start, end in zip(starts, ends, strict=True)]
        listed = [_cut(part, is_there, reads) for part in parts]
        split = split or listed
        if listed[-1][1]:
            return listed
        if not joints:
            return listed if any(to for _, to in split) else split
        joints.pop()  # "between the cat and the dog"


def _begins_with_name(text: str, is_there: Known) -> bool:
    words = text.split()[:LONGEST_LISTED]
    return any(is_there(" ".join(words[:end]).strip(",")) for end in range(1, len(words) + 1))


def _cut(text: str, is_there: Known, reads: Callable[[str], bool]) -> tuple[str, str]:
    """The name of something that is there, and what follows it: after the shortest name that leaves what can be read.

    Where nothing can be read the whole text is the name, if it is one, and else the shortest name.
    """
    words = text.split()
    longest = min(len(words), MAX_NAME_WORDS)
    ends = [end for end in range(1, longest + 1) if is_there(" ".join(words[:end]).strip(","))]
    if not ends:  # whoever looks for it says what is there
        known = re.match(rf"(.+?) ((?:{WHERE}|up|down|back|forward)\b.*)", text)
        return (known[1], known[2]) if known else (" ".join(words[:-1]) or text, words[-1] if len(words) > 1 else "")
    tails = {end: " ".join(words[end:]) for end in ends}
    shortest = next(end for end in ends if end + 1 not in ends)  # "palm", "palm tree", "palm tree 2"
    reading = (end for end in ends if tails[end] and reads(tails[end]))
    end = next(reading, ends[-1] if not tails[ends[-1]] else shortest)
    return " ".join(words[:end]).strip(","), tails[end]


def split_list(words: str, is_there: Known) -> list[str]:
    """ "the lamp and the cat" -> both; one name that holds an "and" stays whole."""
    parts = [part for part in JOINT.split(words) if part]
    named = all(map(is_there, parts)) or all(re.match(r"(?:the|both|all|it|them)\b", part) for part in parts)
    return parts if len(parts) > 1 and named else [words]
