"""How the words of a prompt were read, for a person: which things, how they lie, what was left out and why."""

from __future__ import annotations

from typing import NamedTuple

from agent.planners.english.parts import Group, Reading
from agent.planners.english.reader import read_prompt
from agent.planners.scenes import check_length
from instdiff.world import knowledge, lexicon, nouns
from instdiff.world.predicates import Predicate

THING_COLUMNS = ("#", "how many", "what", "described as", "size")


class Explanation(NamedTuple):
    """The reading of a prompt in words: ``things`` are rows under ``columns``; a sentence for everything else."""

    things: list[tuple[str, ...]]
    sentences: list[str]
    columns: tuple[str, ...] = THING_COLUMNS


def explain(prompt: str) -> Explanation:
    """How the offline planner reads a prompt.

    Raises:
        BadInput: the prompt is empty, too long, or not English.
    """
    check_length(prompt)
    reading = read_prompt(prompt)
    rows: list[tuple[str, ...]] = []
    for index, group in enumerate(reading.groups):
        number = f"about {group.count}" if group.is_vague and group.count > 1 else str(group.count)
        described = f"{group.words} {group.extra}".strip()
        rows.append((str(index + 1), number, group.category, described, _size(group)))
    return Explanation(rows, [*_relations(reading), *_surroundings(reading), *reading.left_out()])


def _size(group: Group) -> str:
    """Where the size of a thing comes from."""
    if knowledge.thing(group.category):
        return "known"
    like = lexicon.stand_in(group.noun)
    return f"like a {like}" if like else "guessed"


def _relations(reading: Reading) -> list[str]:
    """How the things lie, one sentence each."""
    the = [
        f"the {nouns.plural_of(group.noun) if reading.total(i) > 1 else group.noun}" for i, group in _numbered(reading)
    ]
    sentences = [f"{the[a]} {_is(reading, a)} {_word(predicate)} {the[b]}" for a, predicate, b in reading.relations]
    sentences += [f"{the[a]} {_is(reading, a)} {place}" for a, place in reading.places]
    sentences += [
        f"{the[a]} {_is(reading, a)} between {' and '.join(the[i] for i in ends)}" for a, ends in reading.between
    ]
    sentences += [f"{the[a]} {_is(reading, a)} around {the[b]}" for a, b in reading.flanks]
    sentences += [
        f"{the[host]} {'have' if reading.total(host) > 1 else 'has'} {the[thing]}" for host, thing in reading.hosts
    ]
    sentences += [f"{' and '.join(the[i] for i in row)} are in a row" for row, _ in reading.rows]
    how = {1: "more", 0: "as many", -1: "fewer"}
    sentences += [
        f"there are {how[sign]} {the[a].removeprefix('the ')} {'than' if sign else 'as'} {the[b].removeprefix('the ')}"
        for a, sign, b in reading.compared
    ]
    return [f"{sentence}." for sentence in sentences]


def _numbered(reading: Reading) -> list[tuple[int, Group]]:
    return list(enumerate(reading.groups))


def _is(reading: Reading, index: int) -> str:
    return "are" if reading.total(index) > 1 else "is"


def _word(predicate: Predicate) -> str:
    return "higher than" if predicate is Predicate.ABOVE else str(predicate)


def _surroundings(reading: Reading) -> list[str]:
    """Where it all is, and what must not be there."""
    sentences = []
    if reading.setting:
        looks = " ".join((*reading.setting_adjectives, reading.setting))
        about = ", which the picture is about" if reading.setting_is_subject else ""
        sentences.append(f"It is set in: {looks}{about}.")
    if reading.absent:
        sentences.append(f"There must be no {', no '.join(dict.fromkeys(reading.absent))}.")
    return sentences
