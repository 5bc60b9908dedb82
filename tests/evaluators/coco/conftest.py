"""A small annotation file with everything in it that real ones have."""

import json

import numpy as np
import pytest
from PIL import Image


def anno(number: int, image: int, category: int, bbox: list[float], **more) -> dict:
    x, y, w, h = bbox
    outline = [x, y, x + w, y, x + w, y + h, x, y + h]
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": bbox,
        "area": w * h,
        "segmentation": [outline],
        **more,
    }


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """What is kept of checks stays with the test."""
    monkeypatch.setenv("INSTDIFF_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def coco_set(tmp_path):
    """A folder: annotations.json of three images (dogs and a couch, a crowd, nothing), captions.json, images/."""
    crowd = {"iscrowd": 1, "segmentation": {"size": [100, 200], "counts": [0, 20000]}}
    annotations = [
        anno(10, 7, 1, [20, 10, 60, 40], iscrowd=0),
        anno(11, 7, 2, [100, 50, 80, 40], caption="a grey couch", attributes={"colour": "pink", "texture": "wooden"}),
        anno(12, 7, 1, [0, 0, 10, 10], iscrowd=0, point=[3, 4]),
        anno(13, 3, 1, [0, 0, 200, 100], **crowd),
        anno(14, 3, 2, [50, 20, 100, 60]),
    ]
    images = [{"id": number, "file_name": f"{number}.png", "width": 200, "height": 100} for number in (7, 3, 5)]
    data = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "sofa"}],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(data))
    words = [
        {"id": 2, "image_id": 7, "caption": "Two dogs\nbeside a couch."},
        {"id": 1, "image_id": 7, "caption": "Dogs."},
    ]
    (tmp_path / "captions.json").write_text(json.dumps({"images": images, "annotations": words}))
    (tmp_path / "images").mkdir()
    for number in (7, 3, 5):
        Image.fromarray(np.full((100, 200, 3), 30 * number, np.uint8)).save(tmp_path / "images" / f"{number}.png")
    return tmp_path
