"""T2I-CompBench (Huang et al., 2023): two things and a relation, numbers of things, an adjective for each thing."""

from __future__ import annotations

import argparse
import re
from functools import partial
from pathlib import Path

from agent.benchmarks.plan_checks import attributes_hold, words_of
from agent.benchmarks.plans import places, scoring
from agent.benchmarks.plans.scoring import Fault, Question, count_faults, find_both, instances_by_name
from evaluators.reporting import EvaluationResult
from instdiff.errors import BadInput
from instdiff.formats.fields import mapping, text
from instdiff.formats.files import read_bytes
from instdiff.formats.layout_sets import read_lines
from instdiff.layout import Layout
from instdiff.world import nouns

SPATIAL = "spatial"
SPATIAL_3D = "3d_spatial"
NUMERACY = "numeracy"
ATTRIBUTE = "attribute"
BOTH = "both things there"
ROWS = {SPATIAL: "spatial relation", SPATIAL_3D: "3D relation", NUMERACY: NUMERACY, ATTRIBUTE: "attribute binding"}
KINDS = {SPATIAL: SPATIAL, SPATIAL_3D: SPATIAL_3D, NUMERACY: NUMERACY, ATTRIBUTE: ATTRIBUTE}
KINDS |= dict.fromkeys(("color", "shape", "texture"), ATTRIBUTE)
SIDES = {
    "on the left of": "left",
    "on the right of": "right",
    "on the top of": "above",
    "on the bottom of": "below",
}
APART = ("next to", "near", "on side of")
NEARER = ("in front of",)
FARTHER = ("behind", "hidden by")
RELATION = re.compile(rf"(?:an?|the) (.+?) ({'|'.join((*SIDES, *APART, *NEARER, *FARTHER))}) (?:an?|the) (.+)")
_NOUN = rf"(?!(?:\S+ )*(?:{'|'.join(sorted(nouns.LINKS - {'of'}))}) )[\w-]+(?: [\w-]+){{0,3}}"
ADJECTIVES = re.compile(rf"(?:an?|the) ([\w-]+) ({_NOUN}) and (?:an?|the) ([\w-]+) ({_NOUN})")
_NUMBER_WORDS = [word for word, n in nouns.NUMBERS.items() if 1 <= n <= 30 and word not in nouns.VAGUE]
_NUMBERS = "|".join(sorted(_NUMBER_WORDS, key=len, reverse=True))  # "a dozen" before "a"
# "a" counts things in an enumeration alone, and not in "one candle lit up a cozy cup"
COUNTED = re.compile(rf"(?:\b({_NUMBERS}|\d+)|(?:^|, |\band )an?) (?=([\w-]+(?: [\w-]+){{0,2}}))")
HELP = f"""T2I-CompBench. FILE holds one JSON object {{"kind": "spatial", "prompt": "..."}} a line, or it is a text file
of the benchmark with one prompt a line and the kind in its name: spatial_val.txt, 3d_spatial_val.txt, numeracy_val.txt,
color_val.txt, shape_val.txt, texture_val.txt.

  spatial    "a X RELATION a Y": both things there, and of some pair, for left, right, top and bottom the centres differ
             more that way than the other; for {", ".join(APART)} the smaller lies in the other by less than 70 %
  3d         {", ".join(NEARER)}: the lower edge of X lies lower than Y's; {", ".join(FARTHER)}: higher
  numeracy   each "NUMBER noun" has its number; "a noun" in an enumeration is one
  attribute  "a ADJECTIVE noun and a ADJECTIVE noun": each once (a plural at least
             once), with its own adjective in its caption and not the other's

Prompts of other forms are left out and counted. The benchmark's own figures are of pictures."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m agent.benchmarks compbench``."""
    scoring.add_arguments(parser, "compbench", "spatial_val.txt, numeracy_val.txt, ...")


def run(args: argparse.Namespace) -> EvaluationResult:
    """The command.

    Raises:
        BadInput: a file is wrong, or the planner has no such name.
        ServiceError: the planner cannot be reached.
    """
    records = [record for file in args.files for record in read_records(file)]
    questions = [question for kind, prompt in records for question in questions_of(kind, prompt)]
    scores = scoring.score_planned(args, sorted(questions, key=lambda question: question.row != BOTH))
    left_out = sum(not questions_of(*record) for record in records)
    notes = [f"left out: {left_out} prompts of other forms"] if left_out else []
    return scoring.to_result(args, "compbench", "T2I-CompBench", scores, {}, notes)


def read_records(path: Path) -> list[tuple[str, str]]:
    """The (kind, prompt) of a file; the kinds are those of `ROWS`.

    Raises:
        BadInput: a line is wrong, or the kind is in no line and not in the name of the file.
    """
    if path.suffix.lower() == ".jsonl":
        return [_record(line, f"{path} line {number}") for number, line in enumerate(read_lines(path), 1)]
    name = re.sub(r"(?:_(?:train|val|test|new|seen|unseen))+$", "", path.stem.lower())
    if name not in KINDS:
        raise BadInput(str(path), f"its name says no kind of prompt; name it {'_val.txt, '.join(KINDS)}_val.txt")
    lines = read_bytes(path).decode("utf-8-sig", errors="replace").splitlines()
    return [(KINDS[name], line.strip()) for line in lines if line.strip()]


def _record(line: object, field: str) -> tuple[str, str]:
    data = mapping(line, field)
    prompt = text(data, "prompt", field).strip()
    kind = text(data, "kind", field)
    if kind not in KINDS or not prompt:
        raise BadInput(field, f'must be {{"kind": "...", "prompt": "..."}}; the kinds are {", ".join(KINDS)}')
    return KINDS[kind], prompt


def questions_of(kind: str, prompt: str) -> list[Question]:
    """The questions of a prompt; none where it has not the form of its kind."""
    words = " ".join(prompt.lower().rstrip(".").split())
    if kind == NUMERACY:
        counts = read_counts(words)
        return [Question(prompt, ROWS[kind], partial(count_faults, counts))] if counts else []
    form = (ADJECTIVES if kind == ATTRIBUTE else RELATION).fullmatch(words)
    if not form:
        return []
    if kind == ATTRIBUTE:
        adjective, name, other_adjective, other_name = form.groups()
        phrases = ((adjective, name), (other_adjective, other_name))
        names = (name, other_name)
        judge = partial(attribute_faults, phrases)
    else:
        name, relation, other_name = form.groups()
        names = (name, other_name)
        judge = partial(relation_faults, names, relation)
    return [Question(prompt, BOTH, partial(both_faults, names)), Question(prompt, ROWS[kind], judge)]


def read_counts(words: str) -> dict[str, int]:
    """The numbers of "three cups, a key and two sofas were there": cups 3, key 1, sofas 2."""
    counts: dict[str, int] = {}
    for form in COUNTED.finditer(words):
        number, after = form.groups()
        count = 1 if number is None else nouns.NUMBERS.get(number) or int(number)
        named = after.split()
        lengths = range(len(named), 0, -1)
        length = next((n for n in lengths if nouns.known(" ".join(named[:n]))), 1)
        counts[" ".join(named[:length])] = count
    return counts


def both_faults(names: tuple[str, str], layout: Layout) -> list[Fault]:
    """A fault for each of two things that is not there."""
    return find_both(names, layout)[2]


def relation_faults(names: tuple[str, str], relation: str, layout: Layout) -> list[Fault]:
    """A fault if no pair lies as the relation says."""
    first, second, missing = find_both(names, layout)
    if missing:
        return missing
    if relation in SIDES:
        held = places.any_pair(first, second, lambda box, target: places.side_of(box, target) == SIDES[relation])
    elif relation in APART:
        held = places.any_pair(first, second, places.lies_apart)
    elif relation in NEARER:
        held = places.any_pair(first, second, places.lies_nearer)
    else:
        held = places.any_pair(second, first, places.lies_nearer)
    return [] if held else [Fault("relation", f"{names[0]} {relation} {names[1]}")]


def attribute_faults(phrases: tuple[tuple[str, str], tuple[str, str]], layout: Layout) -> list[Fault]:
    """Faults of two (adjective, noun): each once, with its own adjective and not the other's."""
    instances = instances_by_name((phrases[0][1], phrases[1][1]), layout)
    faults = []
    for (adjective, name), (other_adjective, other_name) in (phrases, phrases[::-1]):
        alike = instances[name]
        if name == other_name:  # "a red car and a blue car"
            alike = [instance for instance in alike if attributes_hold(adjective, instance)]
        noun = nouns.resolve(name)
        if not alike or (len(alike) > 1 and not (noun and noun.plural)):  # "a leather shoes" may be two
            faults.append(Fault("count", f"{len(alike)} {adjective} {name}, not 1"))
        own = {*words_of(adjective), *words_of(name)}
        for instance in alike:
            if not attributes_hold(adjective, instance):
                faults.append(Fault("attribute", f"{name} not {adjective}: {instance.caption}"))
            if attributes_hold(other_adjective, instance) and not own.issuperset(words_of(other_adjective)):
                faults.append(Fault("attribute", f"{name} is {other_adjective} too: {instance.caption}"))
    return faults
