"""The doubles of `doubles` in the place of what datasets are made with: prompts of dogs, cats, cars and trees."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from agent.dataset import planning, worker
from agent.dataset.folder import Folder
from agent.dataset.making import Order
from agent.dataset.recipe import Recipe
from agent.dataset.sources import Prompts, Source
from tests.agent.doubles import ColourDetector, ListPlanner, RectanglePainter

COUNT = 10
RECIPE = Recipe(size=(128, 96), batch=4, val=0.4)
PROMPTS = Prompts(("a dog", "a cat", "a dog and a cat", "a car and a tree", "a tree", "a dog and a car", "a car"))


class BatchPainter(RectanglePainter):
    """Paints batches; forgets what it is told to forget, and cannot paint what it is told to refuse."""

    name = "draft"

    def __init__(self):
        super().__init__()
        self.planner = ListPlanner()
        self.rules: list[tuple[str, set[int] | None]] = []
        self.refused = "nothing"
        self.batches = []
        self.alone = Counter()

    def forget(self, category: str, seeds: set[int] | None = None) -> None:
        """Leave a category out, on the pictures of these seeds, or on all."""
        self.rules.append((category, seeds))

    def refuse(self, category: str) -> None:
        self.refused = category

    def render_many(self, layouts, settings, seeds):
        self.batches.append(list(layouts))
        if len(layouts) == 1:
            self.alone[layouts[0].caption] += 1
        if any(self.refused in instance.category for layout in layouts for instance in layout.instances):
            raise RuntimeError("no paint")
        self.forgets = {
            seed: {name for name, rule_seeds in self.rules if rule_seeds is None or seed in rule_seeds}
            for seed in seeds
        }
        return [
            self.render(layout, settings.model_copy(update={"seed": seed})).images[0]
            for layout, seed in zip(layouts, seeds, strict=True)
        ]


def placed(monkeypatch) -> BatchPainter:
    """Put the doubles in their places; the painter can be told what goes wrong."""
    painter = BatchPainter()
    monkeypatch.setattr(worker, "load_engine", lambda name: painter)
    monkeypatch.setattr(worker, "load_detector", lambda name, *options, **more: ColourDetector())
    monkeypatch.setattr(planning, "load_planner", lambda name, **options: painter.planner)
    return painter


def an_order(path: Path, source: Source = PROMPTS) -> Order:
    return Order(Folder(path), RECIPE, source, COUNT)


def files_of(folder: Folder) -> dict[str, bytes]:
    """Everything that a finished dataset consists of, without what was made beyond its count."""
    paths = [path for part in (folder.items, folder.rejected, folder.failed) for path in part.iterdir()]
    last = max(folder.members(), default=-1)
    own = [path for path in paths if not path.stem.isdecimal() or int(path.stem) <= last]
    return {str(path.relative_to(folder.path)): path.read_bytes() for path in own}
