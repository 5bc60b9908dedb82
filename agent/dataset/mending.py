"""What is damaged in a dataset's folder, and making it again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from agent.dataset.folder import RECIPE, Folder, key_of
from agent.dataset.planning import PlannedCandidate
from agent.dataset.recipe import Recipe
from evaluators import manifest as manifests
from evaluators.manifest import Picture
from instdiff.errors import BadInput
from instdiff.formats import layout_to_json, read_png
from instdiff.formats.files import parse_json, read_bytes

DAMAGED = "damaged"


def find_damage(folder: Folder) -> dict[Path, str]:
    """The files that are torn, missing, or of another item, and what is wrong with each, in a sentence.

    Everything is looked at, also what waits beyond the count.
    """
    wrong: dict[Path, str] = {}
    listed = {picture.key: picture for picture in manifests.read_manifest(folder.items).pictures}
    for path in sorted(folder.items.glob("[0-9]*.json")):
        if reason := _item_damage(folder, path, listed.get(path.stem)):
            wrong[path] = reason
    for path in sorted(folder.plans.glob("[0-9]*.json")):
        try:
            _read_plan(path)
        except BadInput as error:
            wrong[path] = str(error)
    for path in sorted(folder.items.glob("[0-9]*.png")):
        if path.stem in listed and not path.with_suffix(".json").exists():
            wrong[path] = f"{path} has no annotations"
    for key in sorted(listed):
        path = folder.items / f"{key}.json"
        if not path.exists() and not path.with_suffix(".png").exists():
            wrong[path] = f"{key} stands in the manifest, and is not there"
    return wrong


def _item_damage(folder: Folder, path: Path, listed: Picture | None) -> str:
    """What is wrong with an item; empty where nothing is. ``listed`` is what the manifest says of it."""
    try:
        item = folder.item(int(path.stem))
        picture = folder.items / f"{path.stem}.png"
        if not folder.is_whole(item):
            return f"{picture} is missing, or is not the picture of {path.name}"
        if layout_to_json(read_png(picture)[0]) != layout_to_json(item.plan()):
            return f"{picture} was painted from another layout than {path.name} says"
    except BadInput as error:
        return str(error)
    if listed and listed != Picture(key=item.key, seed=item.seed, sha256=item.sha256):
        return f"{item.key} does not stand in the manifest as it is"
    return ""


def repair(folder: Folder) -> tuple[list[str], list[str]]:
    """Put damaged files aside and make their items again, with the whole batches that they were painted in.

    Returns:
        the keys of the items that were made again, and of those that were not.

    Raises:
        BadInput: the weights are others than those that painted the dataset, or it was made by an earlier version,
            which did not write down how; the command that made it goes on with it then.
    """
    damaged = find_damage(folder)
    if not damaged:
        return [], []
    recipe = _recipe_of(folder)
    keys = sorted({path.stem for path in damaged if path.parent == folder.items})
    for path in damaged:
        _put_aside(folder, path)
    batches = sorted({int(key) // recipe.batch for key in keys})
    if batches:
        from agent.dataset.worker import Worker

        worker = Worker(folder, recipe, retries=2)
        for number in batches:
            worker.run(list(_planned(folder, number, recipe.batch)))
    decided = folder.decided()
    made = [key for key in keys if int(key) in decided]
    return made, [key for key in keys if key not in made]


def _recipe_of(folder: Folder) -> Recipe:
    path = folder.path / RECIPE
    if not path.exists():
        cure = "run the command that made the dataset once, then repair"
        raise BadInput("repair", f"{folder.path} has no {RECIPE}; {cure}")
    recipe = Recipe.parse(parse_json(read_bytes(path), str(path)), str(path))
    recipe.check()
    manifests.open_manifest(folder.items, {**folder.made_with, **recipe.fingerprint()}, "repair where these are")
    return recipe


def _planned(folder: Folder, number: int, size: int) -> Iterator[PlannedCandidate]:
    """The candidates of a batch that have a plan; the others were never painted."""
    for index in range(number * size, (number + 1) * size):
        path = folder.plans / f"{key_of(index)}.json"
        if path.exists():
            yield _read_plan(path)


def _read_plan(path: Path) -> PlannedCandidate:
    return PlannedCandidate.parse(parse_json(read_bytes(path), str(path)), str(path))


def _put_aside(folder: Folder, path: Path) -> None:
    """Move a file, and the picture of an item, to where they are in nobody's way, under names that are free."""
    own = [path] if path.parent == folder.plans else [path.with_suffix(".json"), path.with_suffix(".png")]
    for one in filter(Path.exists, own):
        target = folder.path / DAMAGED / path.parent.name / one.name
        target.parent.mkdir(parents=True, exist_ok=True)
        number = 1
        while target.exists():
            target = target.with_name(f"{one.stem}-{number}{one.suffix}")
            number += 1
        one.rename(target)
