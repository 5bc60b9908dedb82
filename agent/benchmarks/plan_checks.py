"""Checks of a layout against what its prompt asks for: counts, absence, attributes, relations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from instdiff.errors import BadInput
from instdiff.layout import Box, Instance, Layout
from instdiff.world import nouns
from instdiff.world.relations import slack
from instdiff.world.scene import HANGING, Predicate

# What these are called after they are not.
NO_KINDS = "teddy bear|hot dog|rubber duck|toy car|toy train|rocking horse|guinea pig|sea horse|garden gnome".split("|")


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, for comparison word by word; hyphens separate, and grey is gray."""
    return ["gray" if word == "grey" else word for word in re.findall(r"[a-z0-9']+", text.lower())]


def instances_named(name: str, instances: Sequence[Instance]) -> list[Instance]:
    """The instances that a name means: "cat", "cats", "black cat", "sofa" for a couch.

    A special name ("kitten", "woman") means only instances that carry it; a synonym ("sofa") means every instance of
    its thing, unless some carry the very word.
    """
    noun = nouns.resolve(name)
    if noun is None:
        return []
    same = [instance for instance in instances if _means(noun, instance)]
    if not same:
        kinds = [instance for instance in instances if instance.category not in NO_KINDS]
        same = [instance for instance in kinds if _ends_with(instance.category, noun.singular)]
    exact = [instance for instance in same if _carries(noun.singular, instance)]
    if noun.thing is None or noun.singular in noun.thing.kinds or (exact and noun.singular != noun.thing.name):
        same = exact
    return [instance for instance in same if attributes_hold(" ".join(noun.adjectives), instance)]


def attributes_hold(attribute: str, instance: Instance) -> bool:
    """True if all words of the attribute stand in the instance's caption or category."""
    return set(words_of(attribute)) <= set(words_of(f"{instance.caption} {instance.category}"))


def _means(noun: nouns.Noun, instance: Instance) -> bool:
    """True if the instance is this thing; where the knowledge does not know both, if it carries the noun."""
    own = nouns.thing_of(instance.name)
    if own and noun.thing:
        return own is noun.thing
    if own or not instance.category.strip():
        return _carries(noun.singular, instance)
    return _ends_with(instance.category, noun.singular)


def _carries(noun: str, instance: Instance) -> bool:
    """True if the noun stands in the instance's category, or in its caption before that speaks of something else."""
    wanted = _singulars(noun)
    for text in (instance.category, " ".join(nouns.phrase_words(instance.caption))):
        words = _singulars(text)
        if any(words[i : i + len(wanted)] == wanted for i in range(len(words))):
            return True
    return False


def _ends_with(category: str, noun: str) -> bool:
    """True for "stump" and a "tree stump", which is no tree."""
    wanted = _singulars(noun)
    return _singulars(category)[-len(wanted) :] == wanted


def _singulars(text: str) -> list[str]:
    return [nouns.singular_of(word) for word in words_of(text)]


PARTS = {  # kind of check: the names of its parts, in the order of the list spelling
    "count": ("object", "n"),
    "min": ("object", "n"),
    "absent": ("object",),
    "attr": ("attribute", "object"),
    "rel": ("subject", "relation", "object"),
    "objects": ("objects",),
}
SAME_PART = dict.fromkeys(("name", "category", "target"), "object") | {"count": "n", "number": "n"}
SAME_PART |= {"predicate": "relation", "value": "attribute", "colour": "attribute", "color": "attribute"}
BETWEEN = "between"
RELATION_WORDS = {predicate.value: predicate for predicate in Predicate} | {
    word: predicate
    for predicate, words in {
        Predicate.ON: "inside|in|on top of",
        Predicate.ABOVE: "over",
        Predicate.UNDER: "beneath",
        Predicate.NEXT_TO: "near|beside|by",
        Predicate.LEFT: "left",
        Predicate.RIGHT: "right",
        Predicate.TOP: "top",
        Predicate.BOTTOM: "bottom",
        Predicate.CENTRE: "centre|center|in the center",
        Predicate.LARGER_THAN: "bigger than|taller than",
        Predicate.SMALLER_THAN: "shorter than",
    }.items()
    for word in words.split("|")
}


@dataclass(frozen=True)
class Check:
    """One thing that a prompt asks of its layout.

    ``names`` are what it is about, as words ("cat", "black cat"); ``kind`` is a key of `PARTS`; ``n`` is the number of
    count and min; ``relation`` a `Predicate` or "between", None for other kinds.
    """

    kind: str
    names: tuple[str, ...]
    n: int = 0
    attribute: str = ""
    relation: Predicate | str | None = None

    def __str__(self) -> str:
        words = " and ".join(self.names[1:])
        return {
            "count": f"exactly {self.n} {self.names[0]}",
            "min": f"at least {self.n} {self.names[0]}",
            "absent": f"no {self.names[0]}",
            "attr": f"{self.attribute} {self.names[0]}",
            "rel": f"{self.names[0]} {self.relation}{' ' + words if words else ''}",
            "objects": " and ".join(self.names),
        }[self.kind]


def read_check(data: object, field: str = "check") -> Check:
    """A check from parsed JSON, in either spelling.

    Raises:
        BadInput: it is no check; the reason names the kinds there are.
    """
    if not isinstance(data, dict) or not data:
        raise BadInput(field, 'is no check; write {"count": ["cat", 3]}')
    kind = data.get("type") if "type" in data else next(iter(data))
    if not isinstance(kind, str) or kind not in PARTS:
        raise BadInput(field, f"{str(kind)[:60]!r} is no kind of check; the kinds are {', '.join(PARTS)}")
    values = {key: value for key, value in data.items() if key != "type"} if "type" in data else data[kind]
    if isinstance(values, dict):
        parts = {key if key in PARTS[kind] else SAME_PART.get(key, key): value for key, value in values.items()}
    elif kind == "objects":
        parts = {"objects": values}
    else:
        parts = dict(zip(PARTS[kind], values if isinstance(values, list) else [values], strict=False))
    return _check(kind, parts, field)


def _check(kind: str, parts: dict, field: str) -> Check:
    """The check with these parts, all of them looked at: they come from a file."""
    if kind == "objects":
        return Check(kind, tuple(_words(parts.get("objects"), f"{field}.objects")))
    names = _words(parts.get("subject" if kind == "rel" else "object"), f"{field}.object")[:1]
    if kind in ("count", "min"):
        n = parts.get("n")
        if isinstance(n, bool) or not isinstance(n, int) or n < 0:
            raise BadInput(field, f'{kind} needs a whole number, such as {{"{kind}": ["cat", 3]}}; got {str(n)[:40]!r}')
        return Check(kind, tuple(names), n=n)
    if kind == "attr":
        return Check(kind, tuple(names), attribute=_words(parts.get("attribute"), f"{field}.attribute")[0])
    if kind == "absent":
        return Check(kind, tuple(names))
    word = " ".join(str(parts.get("relation", "")).lower().split()).removeprefix("to the ").removeprefix("is ")
    relation = RELATION_WORDS.get(word)
    if relation is None and word != BETWEEN:
        raise BadInput(field, f"{word[:60]!r} is no relation; the relations are between, {', '.join(RELATION_WORDS)}")
    if relation is None or not relation.is_place:
        names += _words(parts.get("object"), f"{field}.object")
    return Check(kind, tuple(names), relation=relation or BETWEEN)


def _words(value: object, field: str) -> list[str]:
    """One name or a list of names, in lower case."""
    items = value if isinstance(value, list) else [value]
    words = [" ".join(item.lower().split()) for item in items if isinstance(item, str) and item.strip()]
    if not words or len(words) < len(items):
        raise BadInput(field, f"must be words; got {str(value)[:60]!r}")
    return words


def holds(check: Check, layout: Layout) -> bool:
    """True if the layout does what the check asks.

    A relation holds if every instance of its subject has it to at least one instance of its object, by the measures of
    `instdiff.world.relations`; "between" compares centres along x.
    """
    instances = layout.instances
    subjects = instances_named(check.names[0], instances)
    match check.kind:
        case "count":
            return len(subjects) == check.n
        case "min":
            return len(subjects) >= check.n
        case "absent":
            return not subjects
        case "attr":
            return any(attributes_hold(check.attribute, subject) for subject in subjects)
        case "objects":
            return all(instances_named(name, instances) for name in check.names)
    return _relation_holds(check, subjects, instances)


def _relation_holds(check: Check, subjects: list[Instance], instances: tuple[Instance, ...]) -> bool:
    boxes = [subject.extent for subject in subjects if subject.extent]
    if not boxes or len(boxes) < len(subjects):
        return False
    relation = check.relation
    if not isinstance(relation, Predicate):
        ends = [end.extent for name in check.names[1:] for end in instances_named(name, instances) if end.extent]
        return all(_between(box, ends) for box in boxes)
    if relation.is_place:
        return all(slack(relation, box) > 0 for box in boxes)
    targets = instances_named(check.names[1], instances)
    return all(any(_holds_to(relation, subject, target) for target in targets) for subject in subjects)


def _between(box: Box, neighbours: list[Box]) -> bool:
    """True if two of the neighbours lie on either side."""
    middles = [neighbour.centre.x for neighbour in neighbours]
    return bool(middles) and min(middles) < box.centre.x < max(middles)


def _holds_to(relation: Predicate, subject: Instance, target: Instance) -> bool:
    if subject is target or subject.extent is None or target.extent is None:
        return False
    kind = nouns.thing_of(target.name)
    aloft = kind is not None and kind.on[0] in HANGING
    same = (relation, Predicate.IN) if relation is Predicate.ON else (relation,)  # what is in a bowl rests on it
    return any(slack(either, subject.extent, target.extent, aloft) > 0 for either in same)


@dataclass(frozen=True)
class Case:
    """A prompt, what its layout must do, and how often it counts."""

    prompt: str
    checks: tuple[Check, ...]
    group: str = ""
    repeat: int = 1


def read_cases(lines: list[object], source: str) -> list[Case]:
    """Cases from parsed JSON lines ``{"prompt": "...", "checks": [...]}``."""
    cases = []
    for number, data in enumerate(lines, 1):
        field = f"{source} line {number}"
        record = data if isinstance(data, dict) else {}
        if not isinstance(record.get("prompt"), str) or not isinstance(record.get("checks"), list):
            raise BadInput(field, 'must be {"prompt": "...", "checks": [...]}')
        checks = tuple(read_check(check, f"{field} checks[{i}]") for i, check in enumerate(record["checks"]))
        cases.append(Case(record["prompt"], checks, str(record.get("group", ""))[:60]))
    return cases


def score(cases: list[Case], layouts: dict[str, Layout]) -> dict:
    """How many checks hold, in all and by kind, and which do not; a prompt without a layout fails all of its checks."""
    kinds: dict[str, list[int]] = {kind: [0, 0] for kind in PARTS}
    failures = []
    complete = 0
    for case in cases:
        layout = layouts.get(case.prompt)
        failed = [check for check in case.checks if layout is None or not holds(check, layout)]
        for check in case.checks:
            kinds[check.kind][0] += check not in failed
            kinds[check.kind][1] += 1
        complete += not failed
        failures += [{"prompt": case.prompt, "failed": str(check), "planned": layout is not None} for check in failed]
    passed, total = (sum(pair[i] for pair in kinds.values()) for i in (0, 1))
    return {
        "checks": {"passed": passed, "of": total, "share": round(passed / total, 4) if total else 0.0},
        "prompts": {"passed": complete, "of": len(cases), "share": round(complete / len(cases), 4) if cases else 0.0},
        "kinds": {kind: {"passed": good, "of": all_} for kind, (good, all_) in kinds.items() if all_},
        "failures": failures,
    }
