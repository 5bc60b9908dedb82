"""What pronouns, "the cat", "one" and "the other" in a prompt refer back to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.planners.grammar import vocabulary as v
from agent.planners.grammar.chunks import One
from agent.planners.grammar.phrase import NounPhrase
from agent.planners.grammar.reading import Group
from instdiff import knowledge

if TYPE_CHECKING:
    from agent.planners.grammar.reader import Reader

FEMALE = frozenset(
    "woman lady girl grandmother grandma mother sister aunt queen princess bride waitress nun witch ballerina mom nurse".split()
)
MALE = frozenset("man gentleman boy grandfather grandpa father brother uncle king prince groom waiter monk dad guy".split())


def hangs(group: Group) -> bool:
    """True for what is usually in the sky, on the wall or under the ceiling."""
    thing = knowledge.things().get(group.category)
    return bool(thing) and thing.on[0] in ("sky", "wall", "ceiling")


def carries(groups: list[Group], indices: tuple[int, ...]) -> bool:
    """True if things can rest on all of these."""
    things = [knowledge.things().get(groups[i].category) for i in indices]
    return all(thing is not None and thing.surface is not None for thing in things)


def total(groups: list[Group], index: int) -> int:
    """How many things a group and its parts have."""
    return groups[index].count + sum(groups[part].count for part in groups[index].parts)


def meant(reader: Reader, word: str) -> tuple[int, ...]:
    """The groups that a pronoun means, empty where there is nothing it could mean."""
    groups, pending = reader.reading.groups, reader.pending
    excluded = set(pending.subjects if pending else ())
    if word in ("which", "whom") and reader.last:
        return reader.last
    if word in ("they", "them", "both", "themselves"):
        return _several(reader, excluded)
    here = [i for i in range(reader.sentence, len(groups)) if i not in excluded]
    earlier = [i for i in (*reader.before, *range(len(groups))) if i not in excluded and i < reader.sentence]
    topics = [i for i in reversed(reader.topics) if i not in excluded]
    order = [*(i for i in reversed(reader.host) if i not in excluded), *topics, *here, *earlier]
    if word == "it" and reader.setting_is_host and pending:  # "an island with a palm tree on it"
        return ()
    if word in ("he", "him", "she", "her", "himself", "herself"):
        gender = MALE if word in ("he", "him", "himself") else FEMALE
        people = [i for i in order if groups[i].category == "person"]
        fitting = [i for i in people if groups[i].noun in gender] or [i for i in people if groups[i].noun not in MALE | FEMALE] or people
        return tuple((fitting or order)[:1])
    things = [i for i in order if groups[i].category != "person" and total(groups, i) == 1]
    if pending and not reader.host:  # "in front of it": hardly of what hangs
        things = [i for i in things if not hangs(groups[i])] or things
    return tuple((things or [i for i in order if groups[i].category != "person"] or order)[:1])


def _several(reader: Reader, excluded: set[int]) -> tuple[int, ...]:
    groups = reader.reading.groups
    for options in (reader.host, _whole(reader, range(reader.sentence, len(groups))), reader.before, range(reader.sentence)):
        found = tuple(i for i in options if i not in excluded)
        acting = tuple(i for i in found if i not in reader.objects)
        found = acting if sum(total(groups, i) for i in acting) > 1 else found
        if sum(total(groups, i) for i in found) > 1:
            many = tuple(i for i in found if total(groups, i) > 1)
            return many[:1] if len(many) == 1 and len(found) > 2 else found
    return reader.before or reader.last


def _whole(reader: Reader, indices: range) -> list[int]:
    """Groups that are no parts of others."""
    parts = {part for group in reader.reading.groups for part in group.parts}
    return [i for i in indices if i not in parts]


def same(reader: Reader, noun: NounPhrase) -> int | None:
    """The group that "the cat" refers back to: of its category, with all of its adjectives, nearest first."""
    groups = reader.reading.groups
    found = [i for i in reversed(range(len(groups))) if groups[i].category == noun.category and _may_be(groups[i], noun)]
    if noun.plural:
        found = [i for i in found if total(groups, i) > 1]
    if noun.determiner == "own":
        found = [i for i in found if groups[i].noun == noun.noun]
    exact = [i for i in found if set(noun.adjectives) <= set(groups[i].adjectives)]
    return exact[0] if exact else None


def _may_be(group: Group, noun: NounPhrase) -> bool:
    """False for a man and a woman, which are both people, but not the same."""
    generic = ("person", "people", noun.category)
    return group.category != "person" or group.noun == noun.noun or noun.noun in generic or group.noun in generic


def split_off(reader: Reader, one: One, after_and: bool) -> int | None:
    """Split "one black" off the group that it is one of, or make one more of what was named last; its index, or None."""
    groups = reader.reading.groups
    if not groups:
        return None
    many = [i for i in _whole(reader, range(len(groups))) if total(groups, i) > 1 and groups[i].count]
    source = many[-1] if many else None
    if source is not None and one.is_new and after_and and not groups[source].parts:
        source = None
    if source is None:
        if not one.adjectives and not one.is_new:
            return None
        like = groups[-1]
        groups.append(
            Group(like.noun, like.category, max(one.count, 1), one.adjectives, is_known=like.is_known, joined="and" if after_and else "")
        )
        return len(groups) - 1
    whole = groups[source]
    if whole.is_vague and not whole.parts and not one.adjectives and one.count > whole.count:  # "pumpkins, a dozen of them"
        whole.count, whole.is_vague = one.count, False
        return source
    count = min(one.count or whole.count, whole.count)
    whole.count -= count
    groups.append(replace(whole, count=count, adjectives=(*whole.adjectives, *one.adjectives), joined="", placed=False, parts=[]))
    whole.parts.append(len(groups) - 1)
    return len(groups) - 1


def by_colour(noun: NounPhrase, count: int) -> list[tuple[tuple[str, ...], int]]:
    """ "Red and blue balloons" are some of each colour; "a black and white cat" is one. As (adjectives, count)."""
    colours = [word for word in noun.adjectives if word in v.COLOURS]
    lists = "and" in noun.adjectives or "," in noun.adjectives or "or" in noun.adjectives
    if not noun.plural or not lists or len(colours) < 2 or set(colours) == {"black", "white"} or count < len(colours):
        return [(noun.adjectives, count)]
    others = tuple(word for word in noun.adjectives if word not in (*colours, "and", ",", "or"))
    count = max(count, 2 * len(colours)) if not noun.count else count
    shares = [count // len(colours) + (k < count % len(colours)) for k in range(len(colours))]
    return [((colour, *others), share) for colour, share in zip(colours, shares, strict=True)]
