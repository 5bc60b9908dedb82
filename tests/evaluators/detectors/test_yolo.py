"""YOLO models built from ultralytics' own descriptions, with random weights, saved, loaded and run for real."""

import os
import pickle
import sys
from importlib.util import find_spec
from itertools import combinations

import numpy as np
import pytest
import torch
from PIL import Image

from evaluators.detectors import check_detector, load_detector
from evaluators.detectors.tiles import views_of
from evaluators.matching import match
from evaluators.questions import Question
from instdiff.errors import BadInput, ServiceError
from instdiff.layout import Instance, Layout

needs_package = pytest.mark.skipif(
    find_spec("ultralytics") is None, reason='needs ultralytics: pip install -e ".[yolo]"'
)


def nms(boxes, scores, iou_threshold):
    """Non-maximum suppression in plain torch."""
    order = scores.argsort(descending=True)
    kept = []
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    while len(order):
        best = order[0]
        order = order[1:]
        kept.append(best)
        shared = (
            (torch.minimum(boxes[best, 2:], boxes[order, 2:]) - torch.maximum(boxes[best, :2], boxes[order, :2]))
            .clamp(min=0)
            .prod(1)
        )
        order = order[shared / (area[best] + area[order] - shared) <= iou_threshold]
    return torch.stack(kept) if kept else torch.zeros(0, dtype=torch.int64)


@pytest.fixture(scope="module")
def torchvision_works():
    """Puts in the one operator that is used, where ultralytics' torchvision is for another build of torch."""
    library = None
    if not hasattr(torch.ops.torchvision, "nms"):
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.impl("nms", nms, "CPU")
        import torchvision

        torchvision.extension._has_ops = lambda: True
        sys.modules["torchvision.ops.boxes"]._assert_has_ops = lambda: None
    yield
    del library


@pytest.fixture(scope="module", params=["", "-seg"], ids=["detection", "segmentation"])
def weights(request, tmp_path_factory, torchvision_works):
    """A weights file as ultralytics writes it; its 80 classes are those of COCO."""
    folder = tmp_path_factory.mktemp("yolo")
    os.environ.update({"YOLO_CONFIG_DIR": str(folder), "YOLO_OFFLINE": "true"})
    from ultralytics import YOLO

    torch.manual_seed(0)
    model = YOLO(f"yolo11n{request.param}.yaml", verbose=False)
    model.model.names = dict(enumerate(["couch", "tv", "person", *(f"class {n}" for n in range(3, 80))]))
    with torch.no_grad():  # untrained, it is certain of nothing: let the couch be likely everywhere
        for head in model.model.model[-1].cv3:
            head[-1].bias[:] = -9.0
            head[-1].bias[0] = 2.0
    model.save(folder / f"tiny{request.param}.pt")
    return folder / f"tiny{request.param}.pt"


def pictures():
    pixels = np.random.default_rng(0).integers(0, 255, (2, 64, 96, 3), dtype=np.uint8)
    return [Image.fromarray(pixels[0]), Image.fromarray(pixels[1]).resize((80, 120))]


@needs_package
def test_detects_its_classes_under_their_other_names(weights):
    check_detector(f"yolo:{weights}")
    detector = load_detector(f"yolo:{weights}")
    assert (detector.name, len(detector.categories)) == ("yolo", 80)
    names = ["red sofas", "television", "woman", "zebra crossing"]
    assert [detector.canonical(name) for name in names] == ["couch", "tv", "person", None]
    found = detector.detect(pictures(), ["sofa"])
    assert len(found) == 2 and all(found)
    for image, one in zip(pictures(), found, strict=True):
        assert {seen.category for seen in one} == {"couch"}
        assert [seen.score for seen in one] == sorted((seen.score for seen in one), reverse=True) and one[
            -1
        ].score >= 0.25
        if "seg" in weights.name:
            shapes = [seen.mask for seen in one if seen.mask]
            assert shapes and all(shape.size == (image.height, image.width) for shape in shapes)
        else:
            assert not any(seen.mask for seen in one)
    assert detector.detect(pictures(), ["person"]) == [[], []]  # the couch is likelier everywhere


@needs_package
def test_shapes_are_compared_where_there_are_any(weights):
    detector = load_detector(f"yolo:{weights}")
    image = pictures()[0]
    [found] = detector.detect([image], ["sofa"])
    seen = next((one for one in found if one.mask), found[0])
    layout = Layout(caption="c", instances=(Instance(caption="a sofa", category="sofa", box=seen.box, mask=seen.mask),))
    [verdict] = match(layout, [seen], detector.canonical).verdicts
    assert verdict.kind == "found" and verdict.mask_iou == (1.0 if "seg" in weights.name else None)


@needs_package
def test_a_large_picture_is_looked_at_in_tiles_too(weights):
    detector = load_detector(f"yolo:{weights}")
    detector.model.overrides["imgsz"] = 64
    image = Image.fromarray(np.random.default_rng(1).integers(0, 255, (96, 128, 3), dtype=np.uint8))
    views = views_of([image], detector.input_side)
    assert len(views) == 5
    [found] = detector.detect([image], ["sofa"])
    assert all(one.box.iou(other.box) <= 0.5 for one, other in combinations(found, 2))  # each once
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    for shape in (one.mask for one in found if one.mask):
        assert shape.size == (96, 128)
    detector.model.overrides["imgsz"] = 640
    [whole] = detector.detect([image], ["sofa"])
    assert len(views_of([image], detector.input_side)) == 1 and whole != found


@needs_package
def test_it_is_asked_for_each_thing_in_its_place(weights):
    detector = load_detector(f"yolo:{weights}")
    [found] = detector.detect(pictures()[:1], ["sofa"])
    questions = [Question("sofas", (found[0].box,)), Question("woman", (found[0].box,)), Question("zebra crossing", ())]
    [sighting] = detector.ask(pictures()[:1], [questions])
    assert sighting.answers == (found[0], None, None) and list(sighting.detections) == found


class Bomb:
    def __reduce__(self):
        return (os.system, ("touch exploded",))


@needs_package
@pytest.mark.parametrize(
    "content", [b"", b"not weights", pickle.dumps(Bomb()), "archive"], ids=["empty", "damaged", "pickle", "archive"]
)
def test_what_a_file_says_is_not_run(content, tmp_path, monkeypatch, torchvision_works):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.pt"
    if content == "archive":
        torch.save({"model": Bomb(), "ema": None}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(ServiceError, match="cannot be loaded") as caught:
        load_detector(f"yolo:{path}")
    assert "\n" not in str(caught.value) and not (tmp_path / "exploded").exists()


@needs_package
def test_other_kinds_of_models_are_refused(tmp_path, torchvision_works):
    from ultralytics import YOLO

    YOLO("yolo11n-cls.yaml", verbose=False).save(tmp_path / "cls.pt")
    with pytest.raises(ServiceError, match="is a model for classify"):
        load_detector(f"yolo:{tmp_path / 'cls.pt'}")


@pytest.mark.parametrize(
    "name", ["yolo", "yolo:nowhere.pt", "yolo:model.yaml", "yolo:https://host/model.pt", "yolo:a\0.pt"]
)
def test_missing_weights_are_one_line_and_never_fetched(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match="there is no file|no file of YOLO weights"):
        check_detector(name)
    with pytest.raises((BadInput, ServiceError)):
        load_detector(name)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(find_spec("ultralytics") is not None, reason="ultralytics is installed")
def test_a_missing_package_says_what_to_install(tmp_path):
    (tmp_path / "m.pt").touch()
    with pytest.raises(ServiceError, match=r'pip install -e "\.\[yolo\]"'):
        check_detector(f"yolo:{tmp_path / 'm.pt'}")
