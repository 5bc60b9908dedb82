"""`edit_plan` obeys the commands of an edit one by one, on a sheet that holds the plan."""

from __future__ import annotations

import re

from agent.critic.critic import criticise
from agent.edit.additions import add, added_until, copy
from agent.edit.amounts import growth_of
from agent.edit.counts import Command
from agent.edit.editable_plan import Sheet, counted_together, with_adjectives, with_other_phrase
from agent.edit.lists import OF_ALL
from agent.edit.looks import colours_of, looks_of, patterned
from agent.edit.move import move, swap
from agent.edit.parse import commands
from agent.edit.referents import PRONOUNS, contents, find, is_noun
from agent.edit.remove import remove
from agent.edit.replace import replace
from agent.edit.resize import resize
from agent.planners.english.words import COLOURS
from agent.planners.plan import Plan
from instdiff.errors import BadInput
from instdiff.layout import Instance
from instdiff.world import placement

_FOR_EACH = re.compile(r"(?:all|each|every)\b")


def edit_plan(plan: Plan, words: str) -> Plan:
    """The plan after an edit in words; its notes say what was changed.

    Added things are placed by the scale of what is there; the critic looks at them, and repairs nothing else.

    Raises:
        BadInput: the words are no edit, speak of what is not there or of more than one thing, have one among them that
            is not understood, or change nothing.
    """
    sheet = Sheet(plan, words)
    before = dict(sheet.instances)
    asked = commands(words, lambda name: is_noun(sheet, name))
    for command in _in_order(sheet, asked):
        _obey(sheet, command, before)
    captions = [instance.caption for instance in sheet.instances.values()]
    for caption in dict.fromkeys(captions):
        if captions.count(caption) > 1:
            sheet.caption = counted_together(sheet.caption, caption)
    after = sheet.plan().model_copy(update={"planner": "none", "notes": tuple(sheet.notes), "seed": None})
    if after.layout == plan.layout:
        raise BadInput("edit", f'"{words.strip()}" changes nothing; {contents(sheet)}')
    critique = criticise(after, only={sheet.index(name) for name in sheet.settle})
    return critique.plan_with_notes()


def _in_order(sheet: Sheet, asked: list[Command]) -> list[Command]:
    """What is kept is seen to at last; of things that take the place of others together none is one of those others."""
    last = sorted(asked, key=lambda command: command.verb == "keep")
    if sum(command.verb == "replace" for command in last) < 2:
        return last
    numbers = {name: number for number, name in sheet.numbers.items()}
    ordered = []
    for command in last:
        if command.verb == "replace" and is_noun(sheet, command.target) and command.target not in PRONOUNS:
            names = find(sheet, command.target)
            if len(names) == 1:
                target = f"{sheet.objects[names[0]].category} {numbers[names[0]]}"
                command = command._replace(target=target if find(sheet, target) == names else command.target)
        ordered.append(command)
    return ordered


def _obey(sheet: Sheet, command: Command, before: dict[str, Instance]) -> None:
    match command.verb:
        case "add":
            add(sheet, command.target)
        case "remove":
            for name in find(sheet, command.target):
                remove(sheet, name)
        case "leave only":
            left = find(sheet, command.target)
            for name in [name for name in sheet.order if name not in left]:
                remove(sheet, name)
        case "replace":
            names = [name for target in command.target.split(OF_ALL) for name in find(sheet, target)]
            replace(sheet, names, command.to, each=_FOR_EACH.match(command.target) is not None)
        case "swap":
            first, second = find(sheet, command.target), find(sheet, command.to)
            if first == second and len(first) == 2:
                first, second = first[:1], first[1:]
            swap(sheet, first, second)
        case "swap colours":
            _swap_colours(sheet, [*find(sheet, command.target), *find(sheet, command.to)])
        case "copy":
            sheet.last = [copy(sheet, name) for name in find(sheet, command.target)]
        case "count":
            for name in added_until(sheet, command.target, command.to):
                remove(sheet, name)
        case "keep":
            for name in find(sheet, command.target):
                _keep(sheet, name, command.to, before)
        case _:
            names = find(sheet, command.target)
            _check_one_look_for_all(names, command)
            for name in names:
                (move if command.verb == "move" else _make)(sheet, name, command.to)
            sheet.last = names


def _check_one_look_for_all(names: list[str], command: Command) -> None:
    """Refuse "make the mugs red, green and blue" of three: nobody knows which is to be which. Raises BadInput."""
    colours = [part for part in re.split(r"\s*(?:,|\band\b)+\s*", command.to) if part]
    if len(names) > 2 and len(colours) == len(names) and COLOURS.issuperset(colours):
        cure = 'say it one by one, such as "make the left one red"'
        raise BadInput("edit", f'"{command.to}" does not say which of {command.target} is to be which; {cure}')


def _make(sheet: Sheet, name: str, words: str) -> None:
    """Another size, another look, or both: "larger", "red", "twice as large and blue"."""
    looks: list[str] = []
    for part in re.split(r"\s*,\s*(?:and\s+)?|\s+and\s+", patterned(words)):
        if part and not resize(sheet, name, part):
            said = looks_of(part)
            sizes = [word for word in said if growth_of(word)]  # "big red"
            new = [word for word in said if word not in sizes]
            two_colours = COLOURS.issuperset((*looks[-1:], *new[:1])) and looks and new
            looks += ["and", *new] if two_colours else new
            if not all(resize(sheet, name, word) for word in sizes) or looks[-1:] in (["very"], ["slightly"]):
                raise BadInput("edit", f'"{part}" was not understood; say it like "much larger" or "dark red"')
    if looks:
        _describe(sheet, name, looks)


def _describe(sheet: Sheet, name: str, adjectives: list[str]) -> None:
    """Give a thing other adjectives, in its caption and in that of the scene."""
    old = sheet.instances[name].caption or sheet.objects[name].category
    new = with_adjectives(old, adjectives)
    sheet.caption = with_other_phrase(sheet.caption, old, sheet.objects[name].category, new)
    sheet.describe(name, new)
    sheet.notes.append(f"{old} is now {new}.")


def _swap_colours(sheet: Sheet, names: list[str]) -> None:
    """Two things exchange their colours.

    Raises:
        BadInput: they are not two, or one has no colour.
    """
    colours = {name: colours_of(sheet.instances[name].caption) for name in names}
    if len(colours) != 2 or not all(colours.values()):
        raise BadInput("edit", f"two things with a colour each can exchange them; {contents(sheet)}")
    for name, other in (names, names[::-1]):
        _describe(sheet, name, colours[other])


def _keep(sheet: Sheet, name: str, side: str, before: dict[str, Instance]) -> None:
    """Give a thing back what it had before the edit: all, or its size, place or look.

    Raises:
        BadInput: it is new, so that there is nothing to keep.
    """
    if name not in before:
        what = sheet.instances[name].caption or name
        raise BadInput("edit", f"{what} is new; what it takes the place of cannot be kept")
    old = before[name]
    now = sheet.box(name)
    if side in ("", "look"):
        called = sheet.instances[name].caption
        sheet.caption = with_other_phrase(sheet.caption, called, sheet.objects[name].category, old.caption)
        sheet.describe(name, old.caption)
    if side == "":
        sheet.instances[name] = old
        return
    extent = old.extent
    if side == "size" and extent:
        sheet.put(name, placement.frame(now.centre.x, now.y1, extent.width, extent.height))
    if side == "place" and extent:
        is_as_large = abs(now.width - extent.width) + abs(now.height - extent.height) < 1e-6
        sheet.put(name, extent if is_as_large else placement.frame(extent.centre.x, extent.y1, now.width, now.height))
