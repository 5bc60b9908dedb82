import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from evaluators.coco.figures import PRECISIONS, RECALLS, coco_figures, to_coco
from evaluators.report import Detection
from instdiff.errors import BadInput
from instdiff.layout import Box, Instance, Layout, Mask

CATEGORIES = ("cat", "dog", "red car")
SIZE = (160, 96)  # (width, height) in pixels


def box_of(pixels: list[int]) -> Box:
    return Box.from_corners(pixels, SIZE)


def mask_of(pixels: list[int]) -> np.ndarray:
    """(height, width) bool: the ellipse in a box."""
    x0, y0, x1, y1 = pixels
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]] + 0.5
    return ((x - (x0 + x1) / 2) / (x1 - x0)) ** 2 + ((y - (y0 + y1) / 2) / (y1 - y0)) ** 2 <= 0.25


def scenes(shift: int, count: int = 12) -> list[tuple[list, list]]:
    """Pictures as (true, seen): [category, corners in pixels, score]; seen boxes are off by up to ``shift`` pixels."""
    rng = np.random.default_rng(3)
    pictures = []
    for _ in range(count):
        true = []
        seen = []
        for _ in range(rng.integers(1, 6)):
            x = rng.integers(20, 90)
            y = rng.integers(20, 40)
            w = rng.integers(20, 50)
            h = rng.integers(16, 36)
            category = CATEGORIES[rng.integers(3)]
            off = np.rint(rng.uniform(-1, 1, 4) * shift).astype(int)
            true.append([category, [int(v) for v in (x, y, x + w, y + h)], 1.0])
            seen.append([category, [int(v) for v in np.array([x, y, x + w, y + h]) + off], float(rng.random())])
        pictures.append(
            (true, seen[: max(len(seen) - 1, 1)] + [["dog", [0, 0, 30, 30], 0.3], ["fish", [0, 0, 9, 9], 0.9]])
        )
    return pictures


def ours(pictures):
    layouts = []
    detections = []
    for true, seen in pictures:
        instances = [
            Instance(caption=c, category=c, box=box_of(b), mask=Mask.from_array(mask_of(b))) for c, b, _ in true
        ]
        layouts.append(Layout(width=SIZE[0], height=SIZE[1], caption="", instances=instances))
        detections.append(
            [Detection(category=c, score=s, box=box_of(b), mask=Mask.from_array(mask_of(b))) for c, b, s in seen]
        )
    return layouts, detections


def directly(pictures, kind: str, folder) -> list[float | None]:
    """pycocotools on files that are written by hand."""
    from pycocotools import mask as rle

    def record(category, corners, index):
        x0, y0, x1, y1 = corners
        runs = rle.encode(np.asfortranarray(mask_of(corners).astype(np.uint8)))
        shape = {"bbox": [x0, y0, x1 - x0, y1 - y0]}
        shape |= {"segmentation": {"size": runs["size"], "counts": runs["counts"].decode()}} if kind == "segm" else {}
        return {"image_id": index, "category_id": 7 + CATEGORIES.index(category), **shape}

    truth = []
    results = []
    for index, (true, seen) in enumerate(pictures):
        for category, corners, _ in true:
            area = (corners[2] - corners[0]) * (corners[3] - corners[1])
            truth.append({"id": len(truth) + 1, "area": area, "iscrowd": 0, **record(category, corners, index)})
        results += [
            {"score": score, **record(category, corners, index)}
            for category, corners, score in seen
            if category != "fish"
        ]
    if kind == "segm":
        results = [{key: value for key, value in one.items() if key != "bbox"} for one in results]
    images = [{"id": index, "width": SIZE[0], "height": SIZE[1]} for index in range(len(pictures))]
    categories = [{"id": 7 + index, "name": name} for index, name in enumerate(CATEGORIES)]
    (folder / "truth.json").write_text(json.dumps({"images": images, "annotations": truth, "categories": categories}))
    (folder / "results.json").write_text(json.dumps(results))
    ground = COCO(str(folder / "truth.json"))
    evaluation = COCOeval(ground, ground.loadRes(str(folder / "results.json")), kind)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return [None if value < 0 else value for value in evaluation.stats.tolist()]


@pytest.mark.parametrize(("shape", "kind"), [("box", "bbox"), ("mask", "segm")])
@pytest.mark.parametrize("shift", [0, 5])
def test_equals_pycocotools(tmp_path, shape, kind, shift):
    pictures = scenes(shift)
    figures = coco_figures(*ours(pictures), shape)
    expected = dict(zip((*PRECISIONS, *RECALLS), directly(pictures, kind, tmp_path), strict=True))
    # sizes go by areas, which the hand-written file states for the boxes, and ours for the masks, as COCO does
    expected = {name: value for name, value in expected.items() if not name.endswith(("small", "medium", "large"))}
    assert {name: figures[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert 0.1 < figures["ap"] < 1  # one of each picture's things is not seen


def test_worse_boxes_score_less():
    scores = [coco_figures(*ours(scenes(shift)))["ap"] for shift in (0, 2, 4, 6, 9)]
    assert scores == sorted(scores, reverse=True) and len(set(scores)) == len(scores)


@pytest.mark.parametrize("shape", ["box", "mask"])
def test_the_truth_scores_everything(shape):
    layouts, _ = ours(scenes(0))
    seen = [
        [Detection(category=one.category, score=1.0, box=one.box, mask=one.mask) for one in layout.instances]
        for layout in layouts
    ]
    figures = coco_figures(layouts, seen, shape)
    assert {name: figures[name] for name in ("ap", "ap50", "ap75", "ar100")} == pytest.approx(
        dict(ap=1, ap50=1, ap75=1, ar100=1)
    )


def test_sizes():
    """A small and a large thing; only the large one is seen."""
    boxes = [Box.from_coco([0, 0, 20, 20], (512, 512)), Box.from_coco([100, 100, 200, 200], (512, 512))]
    layout = Layout(width=512, height=512, caption="", instances=[Instance(caption="cat", box=box) for box in boxes])
    figures = coco_figures([layout], [[Detection(category="cat", score=0.9, box=boxes[1])]])
    assert [figures[f"ar_{size}"] for size in ("small", "medium", "large")] == pytest.approx([0, None, 1])
    assert [figures[f"ap_{size}"] for size in ("small", "medium", "large")] == pytest.approx([0, None, 1])


def test_prints_nothing(capsys):
    coco_figures(*ours(scenes(2, count=2)))
    assert capsys.readouterr() == ("", "")


def test_masks_of_another_grid():
    """A mask covers the whole picture, whatever its own size is."""
    coarse = np.zeros((24, 40), bool)
    coarse[6:18, 10:30] = True
    fine = coarse.repeat(4, axis=0).repeat(4, axis=1)
    truth = Layout(width=160, height=96, caption="", instances=[Instance(caption="cat", mask=Mask.from_array(fine))])
    seen = Detection(
        category="cat", score=0.5, box=Box(x0=0.25, y0=0.25, x1=0.75, y1=0.75), mask=Mask.from_array(coarse)
    )
    figures = coco_figures([truth], [[seen]], "mask")
    assert [figures[name] for name in ("ap", "ap50", "ar100")] == pytest.approx([1, 1, 1])


def test_nothing_seen_scores_zero():
    layouts, _ = ours(scenes(0, count=2))
    figures = coco_figures(layouts, [[], []])
    assert [figures[name] for name in ("ap", "ap50", "ar100")] == [0, 0, 0]


@pytest.mark.parametrize(
    ("layouts", "detections", "shape", "field"),
    [
        ([Layout(caption="")], [[]], "box", "layouts"),
        ([Layout(caption="")], [], "box", "detections"),
        (
            [Layout(caption="", instances=[Instance(caption="cat", box=Box(x0=0, y0=0, x1=1, y1=1))])],
            [[]],
            "mask",
            "layouts",
        ),
        (
            [Layout(caption="", instances=[Instance(caption="cat", point={"x": 0.5, "y": 0.5})])],
            [[]],
            "box",
            "layout 1, instances[0]",
        ),
    ],
)
def test_refusals(layouts, detections, shape, field):
    with pytest.raises(BadInput) as caught:
        coco_figures(layouts, detections, shape)
    assert caught.value.field == field


def test_detections_without_masks_are_refused():
    layouts, _ = ours(scenes(0, count=1))
    bare = Detection(category=layouts[0].instances[0].category, score=1, box=Box(x0=0, y0=0, x1=1, y1=1))
    with pytest.raises(BadInput, match="need masks"):
        to_coco(layouts, [[bare]], "mask")
