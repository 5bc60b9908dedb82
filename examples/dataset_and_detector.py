"""A dataset is made, and a detector is trained on it. From the checkout: ``python examples/dataset_and_detector.py``.

The bundled models plan, paint and look; what was found is exported as COCO. A small detector, in plain PyTorch, learns
to find what is on the pictures. Takes about a minute on a CPU; a detector that is of use needs thousands of pictures.
"""

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import nn

from agent.dataset.__main__ import main

FOLDER = Path("outputs/cups_and_apples")
SIDE, CELL = 128, 8  # pixels of a picture, and of a cell of the map that the detector gives
STEPS = 80


def make_dataset() -> None:
    """Pictures on which everything was found, and their annotations; the same as with ``instdiff-agent dataset``."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    template = ["--template", "a {colour} {thing}", "--things", "cup,apple", "--colours", "red,green"]
    made = main(["make", str(FOLDER), *template, "--count", "8", "--batch", "4", "--rounds", "1", "--val", "0"])
    exported = made or main(["export", str(FOLDER), "--format", "coco"])
    if exported:
        raise SystemExit(exported)


def read_coco(folder: Path) -> tuple[list[str], torch.Tensor, list[list[tuple[int, np.ndarray]]]]:
    """Categories, pictures (N, 3, SIDE, SIDE) in 0..1, and for each its (category, box xyxy as fractions)."""
    coco = json.loads((folder / "annotations/instances_train.json").read_text())
    names = [category["name"] for category in coco["categories"]]
    numbers = {category["id"]: index for index, category in enumerate(coco["categories"])}
    pictures, things = [], []
    for record in coco["images"]:
        image = Image.open(folder / "images/train" / record["file_name"]).convert("RGB").resize((SIDE, SIDE))
        pictures.append(torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255)
        size = np.array([record["width"], record["height"]] * 2)
        here = [a for a in coco["annotations"] if a["image_id"] == record["id"] and not a["iscrowd"]]
        boxes = [(a["category_id"], a["bbox"]) for a in here]
        corners = [(numbers[category], np.array([x, y, x + w, y + h]) / size) for category, (x, y, w, h) in boxes]
        things.append(corners)
    return names, torch.stack(pictures), things


class SmallDetector(nn.Module):
    """A picture becomes a map of cells: a score for each category, and how far the sides of the box are away."""

    def __init__(self, categories: int):
        super().__init__()
        widths = (3, 16, 32, 48)
        layers = [
            nn.Sequential(nn.Conv2d(before, after, 3, 2, 1), nn.GroupNorm(4, after), nn.SiLU())
            for before, after in itertools.pairwise(widths)
        ]
        context = [nn.Sequential(nn.Conv2d(48, 48, 3, 1, 2**n, 2**n), nn.SiLU()) for n in range(3)]
        self.body = nn.Sequential(*layers, *context)
        self.scores = nn.Conv2d(48, categories, 1)
        self.sides = nn.Conv2d(48, 4, 1)
        nn.init.constant_(self.scores.bias, -3)  # most cells hold nothing

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, 3, SIDE, SIDE) -> logits (B, categories, h, w) and left, top, right, bottom in cells (B, 4, h, w)."""
        features = self.body(pictures)
        return self.scores(features), self.sides(features).exp()


def targets(things: list[list[tuple[int, np.ndarray]]], categories: int) -> tuple[torch.Tensor, ...]:
    """What the maps should be: scores, sides in cells, and at which cells there is a thing."""
    cells = SIDE // CELL
    scores = torch.zeros(len(things), categories, cells, cells)
    sides = torch.ones(len(things), 4, cells, cells)
    for picture, boxes in enumerate(things):
        for category, box in boxes:
            x0, y0, x1, y1 = box * cells
            column, row = min(int((x0 + x1) / 2), cells - 1), min(int((y0 + y1) / 2), cells - 1)
            scores[picture, category, row, column] = 1
            away = [column + 0.5 - x0, row + 0.5 - y0, x1 - column - 0.5, y1 - row - 0.5]
            sides[picture, :, row, column] = torch.tensor(away).clamp(min=0.1)
    return scores, sides, scores.amax(1, keepdim=True) > 0


def train(detector: SmallDetector, pictures: torch.Tensor, wanted: tuple[torch.Tensor, ...]) -> None:
    """The same few pictures in every step, with their brightness changed."""
    optimizer = torch.optim.AdamW(detector.parameters(), lr=3e-3)
    scores, sides, there = wanted
    for step in range(STEPS):
        seen, found = detector(pictures * (0.7 + 0.6 * torch.rand(len(pictures), 1, 1, 1)))
        presence = F.binary_cross_entropy_with_logits(seen, scores, reduction="sum") / scores.sum()
        places = (F.l1_loss(found.log(), sides.log(), reduction="none") * there).sum() / there.sum()
        loss = presence + places
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 0 or step == STEPS - 1:
            print(f"step {step}: loss {loss.item():.2f}")


def best_box(scores: torch.Tensor, sides: torch.Tensor) -> tuple[int, list[float]]:
    """The surest thing of one picture: its category, and its box xyxy in pixels."""
    category, row, column = np.unravel_index(int(scores.argmax()), tuple(scores.shape))
    left, top, right, bottom = (sides[:, row, column] * CELL).tolist()
    x, y = (column + 0.5) * CELL, (row + 0.5) * CELL
    return int(category), [x - left, y - top, x + right, y + bottom]


torch.manual_seed(0)
make_dataset()
names, pictures, things = read_coco(FOLDER / "export/coco")
detector = SmallDetector(len(names))
train(detector, pictures, targets(things, len(names)))

with torch.no_grad():
    scores, sides = detector(pictures)
right = 0
sheet = Image.new("RGB", (4 * SIDE, -(-len(pictures) // 4) * SIDE))
for number, picture in enumerate(pictures):
    category, box = best_box(scores[number], sides[number])
    right += any(category == there for there, _ in things[number])
    image = Image.fromarray((picture.permute(1, 2, 0) * 255).byte().numpy())
    ImageDraw.Draw(image).rectangle(box, outline="magenta", width=2)
    ImageDraw.Draw(image).text((4, 4), names[category], fill="black")
    sheet.paste(image, (number % 4 * SIDE, number // 4 * SIDE))
sheet.save("outputs/dataset_and_detector.png")
print(f"{right} of {len(pictures)} of its own pictures are named rightly; see outputs/dataset_and_detector.png")
