"""Scores are those of pycocotools for the same files, and only pictures with a manifest are scored."""

import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from evaluators.coco.command import score
from evaluators.coco.dataset import read_dataset
from evaluators.coco.figures import PRECISIONS, RECALLS
from evaluators.coco.scoring import make_table
from evaluators.gallery import Detections, Gallery
from evaluators.manifest import Manifest
from evaluators.report import Detection
from instdiff.errors import BadInput
from instdiff.layout import Box, Mask

NAMES = ("cat", "dog", "fire hydrant")


def mask_of(bbox: list[float], size: int) -> np.ndarray:
    """(size, size) bool: the box, rounded to pixels."""
    x, y, w, h = (round(value) for value in bbox)
    mask = np.zeros((size, size), bool)
    mask[y : y + h, x : x + w] = True
    return mask


def random_set(folder, size: int, shift: float, count: int = 10, crowds: bool = True):
    """Annotations and results of a detector that is off by up to ``shift`` pixels, as COCO's files."""
    rng = np.random.default_rng(5)
    annotations = []
    results = []
    for image in range(count):
        for index in range(int(rng.integers(1, 7))):
            w, h = np.exp(rng.uniform(np.log(12), np.log(size / 2)) + rng.uniform(-0.2, 0, 2)).astype(int)
            bbox = [int(v) for v in (rng.integers(0, size - w), rng.integers(0, size - h), w, h)]
            category = int(rng.integers(3)) + 1
            crowd = int(crowds and index == 5)
            one = {"image_id": image, "category_id": category, "bbox": bbox}
            outline = [
                bbox[0],
                bbox[1],
                bbox[0] + bbox[2],
                bbox[1],
                bbox[0] + bbox[2],
                bbox[1] + bbox[3],
                bbox[0],
                bbox[1] + bbox[3],
            ]
            segmentation = {"size": [size, size], "counts": runs(mask_of(bbox, size))} if crowd else [outline]
            area = bbox[2] * bbox[3]
            annotations.append(
                {**one, "id": len(annotations) + 1, "area": area, "iscrowd": crowd, "segmentation": segmentation}
            )
            off = np.rint(rng.uniform(-1, 1, 4) * shift).astype(int)
            moved = [
                int(v)
                for v in (*np.clip(np.add(bbox[:2], off[:2]), 0, size - 2), *np.maximum(np.add(bbox[2:], off[2:]), 2))
            ]
            moved[2:] = [min(moved[2], size - moved[0]), min(moved[3], size - moved[1])]
            if rng.random() < 0.85:
                results.append({**one, "bbox": moved, "score": round(float(rng.random()), 6)})
    images = [{"id": image, "width": size, "height": size, "file_name": f"{image}.png"} for image in range(count)]
    categories = [{"id": index, "name": name} for index, name in enumerate(NAMES, start=1)]
    (folder / "annotations.json").write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    return folder / "annotations.json", results


def runs(mask: np.ndarray) -> list[int]:
    """Uncompressed run lengths, column after column."""
    flat = mask.T.ravel()
    counts = [0]
    last = False
    for value in flat:
        if value != last:
            counts.append(0)
            last = value
        counts[-1] += 1
    return counts


def directly(path, results: list[dict], kind: str, size: int) -> dict:
    """pycocotools on the files."""
    if kind == "segm":
        from pycocotools import mask as rle

        shapes = [rle.encode(np.asfortranarray(mask_of(one["bbox"], size).astype(np.uint8))) for one in results]
        shapes = [{"size": shape["size"], "counts": shape["counts"].decode()} for shape in shapes]
        results = [{**one, "segmentation": shape} for one, shape in zip(results, shapes, strict=True)]
        results = [{key: value for key, value in one.items() if key != "bbox"} for one in results]
    (path.parent / "results.json").write_text(json.dumps(results))
    ground = COCO(str(path))
    evaluation = COCOeval(ground, ground.loadRes(str(path.parent / "results.json")), kind)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return dict(
        zip((*PRECISIONS, *RECALLS), [None if value < 0 else value for value in evaluation.stats.tolist()], strict=True)
    )


def ours(path, results: list[dict], size: int) -> dict:
    dataset = read_dataset(path)
    seen = [
        [
            Detection(
                category=NAMES[one["category_id"] - 1],
                score=one["score"],
                box=Box.from_coco(one["bbox"], (size, size)),
                mask=Mask.from_array(mask_of(one["bbox"], size)),
            )
            for one in results
            if one["image_id"] == sample.id
        ]
        for sample in dataset.samples
    ]
    rows, notes = score(dataset, dataset.samples, {"painted": Detections(seen, seen)}, lambda name: name)
    assert not notes
    return rows["painted"]


@pytest.mark.parametrize("shift", [0, 6])
def test_equals_pycocotools_on_the_files(tmp_path, shift):
    """All twelve figures, of boxes and of masks; a crowd region among them."""
    path, results = random_set(tmp_path, 512, shift)
    figures = ours(path, results, 512)
    for shape, kind in (("box", "bbox"), ("mask", "segm")):
        expected = directly(path, results, kind, 512)
        assert 0.1 < expected["ap"] < 1 and None not in expected.values()
        assert figures[shape] == pytest.approx(expected, abs=1e-6)


def test_the_size_of_the_photographs_does_not_matter(tmp_path):
    """At another size all figures are the same but for those that go by pixels."""
    path, results = random_set(tmp_path, 320, 5)
    expected = directly(path, results, "bbox", 320)
    figures = ours(path, results, 320)["box"]
    same = ("ap", "ap50", "ap75", "ar1", "ar10", "ar100")
    assert {name: figures[name] for name in same} == pytest.approx({name: expected[name] for name in same}, abs=1e-6)


def test_truth_scores_one_and_worse_boxes_less(tmp_path):
    scores = []
    for shift in (0, 6, 12, 24, 48):
        path, results = random_set(tmp_path, 512, shift, crowds=False)
        scores.append(ours(path, results, 512)["box"]["ap"])
    assert scores == sorted(scores, reverse=True) and len(set(scores)) == len(scores)
    truth = json.loads(path.read_text())["annotations"]
    figures = ours(path, [{**one, "score": 1.0} for one in truth], 512)
    for shape in ("box", "mask"):
        assert [figures[shape][name] for name in ("ap", "ap50", "ap75", "ar100", "ap_large")] == pytest.approx(
            [1.0] * 5
        )


def test_photographs_without_a_manifest_are_not_scored(coco_set):
    with pytest.raises(BadInput, match="manifest"):
        Gallery.open(coco_set / "images")
    (coco_set / "images" / "manifest.json").write_text(json.dumps(Manifest(painted_with={}).model_dump()))
    with pytest.raises(BadInput, match="names no pictures"):
        Gallery.open(coco_set / "images")


def test_table_has_a_dash_where_there_is_nothing():
    rows = {"photographs": {"box": {"ap": 0.5}}, "box": {"box": {"ap": None}}}
    table = make_table("title", {"box AP": "box.ap", "mask AP": "mask.ap"}, rows, {"box.ap": 38.8})
    assert table.columns == ["percent", "photographs", "box", "published"]
    assert table.rows == [["box AP", "50.0", "-", "38.8"], ["mask AP", "-", "-", "-"]]
