"""Which pictures are for training, validation and test: whole groups, stratified by class, and they stay there."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence

from agent.dataset.folder import Folder, Item, key_of
from agent.runs import write_json
from instdiff.errors import BadInput
from instdiff.formats.files import parse_json, read_bytes
from instdiff.values import Fraction, Value

FILE = "splits.json"  # in the dataset's folder
SPLITS = ("train", "val", "test")
PICTURES = ""  # counts the pictures of a group, beside its classes


class _Kept(Value):
    """The file: the shares that were asked for, and where the pictures of each key went."""

    shares: dict[str, Fraction]
    keys: dict[str, str]


def group_keys(folder: Folder, item: Item) -> tuple[str, ...]:
    """What a picture may share with another in no other split: its first layout, and its prompt if that was planned."""
    layout, prompt = item.layout, item.prompt
    path = folder.plans / f"{key_of(item.index)}.json"
    given = item.planner == "none"
    planned = parse_json(read_bytes(path), str(path)) if path.exists() else None
    if isinstance(planned, dict):
        layout = (planned.get("plan") or {}).get("layout") or layout
        given = planned.get("given", given)
    own = _digest(layout)
    return (own,) if given else (own, _digest(prompt))


def join_groups(keys: Sequence[tuple[str, ...]]) -> list[str]:
    """The group of each picture, by its least key; those that share a key, directly or through others, are one."""
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for own in keys:
        for other in own:
            first, second = sorted((root(own[0]), root(other)))
            parent[second] = first
    return [root(own[0]) for own in keys]


def split_pictures(
    folder: Folder, keys: Sequence[tuple[str, ...]], counts: Sequence[Counter[str]], shares: dict[str, float]
) -> list[str]:
    """The split of each picture; what was split before with the same shares stays where it is.

    Args:
        keys: as `group_keys` gives them.
        counts: how many labels of each class a picture has.
        shares: of the pictures, by split, together 1.

    Raises:
        BadInput: there are fewer groups than splits.
    """
    roots = join_groups(keys)
    groups: dict[str, Counter[str]] = {}
    own_keys: dict[str, set[str]] = {}
    for root, own, count in zip(roots, keys, counts, strict=True):
        groups.setdefault(root, Counter()).update({**count, PICTURES: 1})
        own_keys.setdefault(root, set()).update(own)
    asked = [split for split in SPLITS if shares[split] > 0]
    if len(groups) < len(asked):
        cure = "make more, or leave splits out with --val 0 and --test 0"
        reason = f"{len(groups)} different layouts and prompts cannot fill {', '.join(asked)}"
        raise BadInput("val", f"{reason}; {cure}")
    path = folder.path / FILE
    kept = _Kept.parse(parse_json(read_bytes(path), str(path)), str(path)) if path.exists() else None
    known = kept.keys if kept and kept.shares == shares else {}
    before = {root: known[key] for root, own in own_keys.items() for key in sorted(own) if key in known}
    splits = stratify(groups, shares, before)
    fill_empty(splits, groups, asked)
    new = {key: splits[root] for root, own in own_keys.items() for key in own}
    write_json(path, _Kept(shares=shares, keys=dict(sorted({**known, **new}.items()))).model_dump())
    return [splits[root] for root in roots]


def stratify(
    groups: Mapping[str, Counter[str]], shares: Mapping[str, float], before: Mapping[str, str]
) -> dict[str, str]:
    """Iterative stratification (Sechidis, Tsoumakas and Vlahavas, ECML 2011): the rarest class is shared out first.

    Each group goes where the largest part of what is due of that class is still wanted, then of pictures, to a split
    that is not full. (By the number that is wanted, as in the paper, classes of one label all go to the largest.)
    """
    total: Counter[str] = Counter()
    for counts in groups.values():
        total += counts
    due = {split: {name: shares[split] * count for name, count in total.items()} for split in SPLITS}
    wanted = {split: dict(own) for split, own in due.items()}
    open_splits = [split for split in SPLITS if shares[split] > 0]
    order = {name: number for number, name in enumerate(sorted(total, key=lambda name: (total[name], name)))}
    splits: dict[str, str] = {}

    def put(key: str, split: str) -> None:
        splits[key] = split
        for name, count in groups[key].items():
            wanted[split][name] -= count

    def need(split: str, name: str) -> float:
        return round(wanted[split][name] / due[split][name], 9)

    for key, split in before.items():
        put(key, split)
    for key in sorted(set(groups) - set(splits), key=lambda key: (min(order[name] for name in groups[key]), key)):
        rarest = min(groups[key], key=order.__getitem__)
        free = [split for split in open_splits if wanted[split][PICTURES] >= 0.5] or open_splits
        put(key, max(free, key=lambda split: (need(split, rarest), need(split, PICTURES))))
    return splits


def fill_empty(splits: dict[str, str], groups: Mapping[str, Counter[str]], asked: Sequence[str]) -> None:
    """Give each empty split the smallest group of the fullest."""
    for split in asked:
        if split in splits.values():
            continue
        fullest = Counter(splits.values()).most_common(1)[0][0]
        own = [key for key, place in splits.items() if place == fullest]
        splits[min(own, key=lambda key: (groups[key][PICTURES], key))] = split


def _digest(data: object) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]
