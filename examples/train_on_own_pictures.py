"""Training on one's own pictures. From the checkout: ``python examples/train_on_own_pictures.py``.

Eight pictures with annotations in COCO's format are made here; take yours instead. The bundled model trains on for six
steps, which teaches it little: the published training took 100,000. Takes half a minute on a CPU.
"""

import json
import shutil
from pathlib import Path

import torch
from PIL import Image, ImageDraw

from instdiff import InstanceDiffusionPipeline, Layout
from instdiff.train import main

FOLDER = Path("outputs/own_pictures")
CAPTIONS = {"ball": "a red ball with a white stripe", "box": "a dark blue box"}


def draw_picture(number: int) -> dict[str, list[int]]:
    """Write picture ``number`` of the folder; returns the boxes of what is on it, [x, y, width, height] in pixels."""
    image = Image.new("RGB", (256, 256), (200 + 5 * number, 220, 180))
    draw = ImageDraw.Draw(image)
    ball = [20 + 8 * number, 40, 80, 80]
    box = [140, 110 + 8 * number, 90, 70]
    draw.ellipse([ball[0], ball[1], ball[0] + 80, ball[1] + 80], fill="red")
    draw.rectangle([ball[0] + 8, 75, ball[0] + 72, 85], fill="white")
    draw.rectangle([box[0], box[1], box[0] + 90, box[1] + 70], fill="navy")
    image.save(FOLDER / f"{number}.png")
    return {"ball": ball, "box": box}


shutil.rmtree(FOLDER, ignore_errors=True)
FOLDER.mkdir(parents=True)
images, annotations = [], []
for number in range(8):
    images.append(
        {"id": number, "file_name": f"{number}.png", "width": 256, "height": 256, "caption": "a ball and a box"}
    )
    for category, (name, bbox) in enumerate(draw_picture(number).items(), start=1):
        thing = {"id": len(annotations) + 1, "image_id": number, "category_id": category, "bbox": bbox, "iscrowd": 0}
        annotations.append({**thing, "area": bbox[2] * bbox[3], "caption": CAPTIONS[name]})
categories = [{"id": 1, "name": "ball"}, {"id": 2, "name": "box"}]
coco = {"images": images, "annotations": annotations, "categories": categories}
(FOLDER / "annotations.json").write_text(json.dumps(coco))

# The same as on a command line: instdiff-agent train sd15 --model ...
options = f"--annotations {FOLDER}/annotations.json --images {FOLDER} --out {FOLDER}/training"
fast = "--steps 6 --batch 2 --warmup 2 --ema 0.9 --workers 0 --checkpoint-every 100"
code = main(["sd15", "--model", "instdiff/draft", *options.split(), *fast.split()])
if code:
    raise SystemExit(code)

pipe = InstanceDiffusionPipeline.from_pretrained(FOLDER / "training/model")
layout = Layout.from_boxes(
    [[30, 60, 110, 140], [140, 130, 230, 200]], ["ball", "box"], (256, 256), list(CAPTIONS.values())
)
pipe(layout, generator=torch.Generator().manual_seed(1)).images[0].save("outputs/train_on_own_pictures.png")
