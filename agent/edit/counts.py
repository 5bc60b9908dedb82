"""How many there are to be: "there should be two dogs", "double the number of cups", "keep only one mug"."""

from __future__ import annotations

import re
from typing import NamedTuple

from agent.edit.directions import on_thing
from agent.edit.lists import Known
from agent.edit.verbs import THERE_ARE, VERB_OF
from instdiff.errors import BadInput
from instdiff.world import nouns

COUNTED = "|".join(nouns.number_word(number) for number in range(1, 11))
_ONLY = re.compile(
    r"(?:keep|leave) (?:only|just) (.+)|(?:remove|delete|erase) (?:everything|all things|all|anything)(?: else)?"
    r" (?:but|except(?: for)?|apart from|other than) (.+)"
)
_NUMBER_OF = re.compile(
    r"(?P<verb>[a-z]+) (?:the )?(?:number|count|amount) of (?P<what>.+?)"
    r"(?: (?P<how>by|to|be|equal to) (?P<number>\w+)| in (?P<half>half))?"
)
_ALL_BUT = re.compile(
    rf"(?P<verb>[a-z]+) all (?:of )?(?:the )?(?P<what>.+?) (?:but|except(?: for)?|save) (?P<number>{COUNTED}|\d+)"
    r"(?: of them)?"
)
_SOME_ONLY = re.compile(rf"(?P<number>{COUNTED}|\d+) (?:of the )?(?P<what>[\w -]+)")
_MORE = re.compile(
    rf"(?:(?P<number>an|a|{COUNTED}|\d+) (?:(?P<less>fewer|less)|more)|(?P<times>twice as many)) (?P<what>.+)"
)
_ONE = re.compile("^an?$")
_TIMES = {"double": "x2", "triple": "x3", "halve": "x0.5"}


class Command(NamedTuple):
    """One thing to do: add, remove, leave only, replace, swap, move, make, copy, count or keep.

    ``target`` names the thing; ``to`` says with which other thing, where to, of which size or look, how many.
    """

    verb: str
    target: str
    to: str = ""


def read_counts(clause: str, is_there: Known) -> list[Command]:
    """The commands of a clause that says how many of a kind there are to be, or which are to be left; else none.

    Raises:
        BadInput: the clause speaks of a number of things, and does not say which.
    """
    if only := _ONLY.fullmatch(clause):
        left = only[1] or only[2]
        some = _SOME_ONLY.fullmatch(left)
        if some and is_there(f"the {nouns.singular_of(some['what'])}"):  # and the things of other kinds stay
            return [Command("count", some["what"], some["number"])]
        return [Command("leave only", left)]
    if said := _NUMBER_OF.fullmatch(clause):
        return [Command("count", said["what"], _number_of(said, clause))]
    if (but := _ALL_BUT.fullmatch(clause)) and VERB_OF.get(but["verb"]) == "remove":
        return [Command("count", but["what"], but["number"])]
    if number := THERE_ARE.fullmatch(clause):
        return _read_number(number, is_there)
    return []


def _number_of(said: re.Match[str], clause: str) -> str:
    """What `added_until` reads: "3", one more as "+1", one less as "-1", twice as many as "x2"."""
    verb = VERB_OF.get(said["verb"], said["verb"])
    sign = {"enlarge": "+", "raise": "+", "shrink": "-", "lower": "-"}.get(verb, "")
    if said["verb"] in _TIMES and not said["how"]:
        return _TIMES[said["verb"]]
    if said["half"] or said["how"] == "by" and said["number"] == "half":
        return "x0.5"
    if said["how"] == "by" and sign:
        return f"{sign}{said['number']}"
    if said["how"] and said["how"] != "by" and (sign or verb in ("make", "add", "swap", "scale")):
        return said["number"]
    raise BadInput("edit", f'"{clause}" does not say how many; say it like "change the number of {said["what"]} to 3"')


def _read_number(said: re.Match[str], is_there: Known) -> list[Command]:
    """ "there should be two dogs" counts what is there; what is not there is added."""
    number, what = said["number"], said["what"]
    if more := _MORE.fullmatch(f"{number or ''} {what}".strip()):
        number = "x2" if more["times"] else f"{'-' if more['less'] else '+'}{_ONE.sub('one', more['number'])}"
        return [Command("count", more["what"], number)]
    if re.match(r"(?:more|fewer|less|many|most)\b", what):
        cure = f'say it like "there should be three {what.split(" ")[-1]}"'
        raise BadInput("edit", f'"{what}" does not say how many; {cure}')
    if what.startswith("no "):
        return [Command("remove", f"the {what[3:]}")]
    if number is None:
        return [Command("add", on_thing(what))]
    if number in ("a", "an"):
        return [Command("add", on_thing(f"{number} {what}"))]
    counted = re.sub(r" in total$|^(?:of the |of )", "", what)
    if is_there(f"the {nouns.singular_of(counted)}"):
        return [Command("count", counted, number)]
    return [Command("add", on_thing(f"{number} {what}"))]
