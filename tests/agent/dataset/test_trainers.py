"""Trainers of other packages take the exports as they are: as many pictures and boxes, from whatever folder."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from agent.dataset.__main__ import main
from agent.dataset.trainers.with_torchvision import Pictures, to_results

DATA = Path(__file__).parents[2] / "data" / "datasets" / "whole"
SPLIT = ["--val", "0.34"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Three pictures, of which one is for validation."""
    folder = tmp_path_factory.mktemp("trained") / "whole"
    shutil.copytree(DATA, folder)
    assert main(["export", str(folder), "--format", "coco,coco-polygons,yolo,yolo-seg", *SPLIT]) == 0
    return folder


def counts(dataset, split):
    """Pictures, labels and regions to ignore of a split."""
    truth = json.loads((dataset / f"export/coco/annotations/instances_{split}.json").read_text())
    ignored = sum(annotation["iscrowd"] for annotation in truth["annotations"])
    return len(truth["images"]), len(truth["annotations"]) - ignored, ignored


def test_a_region_to_ignore_is_grey_but_for_what_is_labelled_in_it(dataset, tmp_path):
    folder = tmp_path / "coco"
    shutil.copytree(dataset / "export/coco", folder)
    path = folder / "annotations/instances_train.json"
    truth = json.loads(path.read_text())
    image = truth["images"][0]
    labelled = {"id": 1, "image_id": image["id"], "category_id": 2, "bbox": [2, 4, 6, 8], "iscrowd": 0}
    ignored = {"id": 2, "image_id": image["id"], "category_id": 1, "bbox": [0, 0, 20, 30], "iscrowd": 1}
    path.write_text(json.dumps({**truth, "annotations": [labelled, ignored]}))
    pictures = Pictures(folder, "train")
    plain = pictures.image(0)
    shown, target = pictures.example(0, mirrored=False)
    assert (shown[:, 20:30, :20] == 0.5).all() and (shown[:, :, 20:] == plain[:, :, 20:]).all()
    assert (shown[:, 4:12, 2:8] == plain[:, 4:12, 2:8]).all()
    assert target["boxes"].tolist() == [[2, 4, 8, 12]] and target["labels"].tolist() == [2]
    mirrored, turned = pictures.example(0, mirrored=True)
    width = image["width"]
    assert (mirrored.flip(-1) == shown).all() and turned["boxes"].tolist() == [[width - 8, 4, width - 2, 12]]


def test_what_a_model_finds_becomes_results_of_coco():
    found = {"boxes": torch.tensor([[1.0, 2, 4, 8]]), "labels": torch.tensor([3]), "scores": torch.tensor([0.5])}
    assert to_results(7, found) == [{"image_id": 7, "category_id": 3, "score": 0.5, "bbox": [1, 2, 3, 6]}]


def test_a_dataset_without_pictures_for_validation_is_refused(dataset, capsys):
    if not find_spec("torchvision"):
        assert main(["train", str(dataset)]) == 4 and ".[trainers]" in capsys.readouterr().err
        return
    assert main(["train", str(dataset), "--val", "0"]) == 2 and "--val 0.2" in capsys.readouterr().err
    assert main(["train", str(dataset), "--model", "resnet18"]) == 2 and "choose from" in capsys.readouterr().err
    assert main(["train", str(dataset), *SPLIT, "--out", str(dataset)]) == 2
    assert "something else" in capsys.readouterr().err


@pytest.mark.slow
def test_supervision_reads_as_many_pictures_and_boxes(dataset):
    reader = pytest.importorskip("supervision").DetectionDataset
    for split in ("train", "val"):
        pictures, labels, ignored = counts(dataset, split)
        assert pictures and labels
        for name in ("coco", "coco-polygons"):
            folder = dataset / "export" / name
            read = reader.from_coco(str(folder / "images" / split), f"{folder}/annotations/instances_{split}.json")
            assert (len(read), sum(map(len, read.annotations.values()))) == (pictures, labels + ignored)
        for name in ("yolo", "yolo-seg"):
            folder = dataset / "export" / name
            read = reader.from_yolo(
                str(folder / "images" / split), str(folder / "labels" / split), str(folder / "data.yaml")
            )
            assert (len(read), sum(map(len, read.annotations.values()))) == (pictures, labels)


@pytest.mark.slow
@pytest.mark.parametrize("name, task", [("yolo", "detect"), ("yolo-seg", "segment")])
def test_ultralytics_reads_data_yaml_from_elsewhere(dataset, tmp_path, monkeypatch, name, task):
    data_of = pytest.importorskip("ultralytics.data.utils").check_det_dataset
    from ultralytics.data.dataset import YOLODataset

    monkeypatch.chdir(tmp_path)
    data = data_of(str(dataset / "export" / name / "data.yaml"), autodownload=False)
    for split in ("train", "val"):
        read = YOLODataset(img_path=data[split], data=data, task=task, imgsz=64, augment=False)
        pictures, labels, _ = counts(dataset, split)
        assert (len(read), sum(len(label["cls"]) for label in read.labels)) == (pictures, labels)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "package, model",
    [("torchvision", "ssdlite320_mobilenet_v3_large"), ("ultralytics", "yolov8n"), ("ultralytics", "yolov8n-seg")],
)
def test_a_detector_of_another_package_is_trained_and_scored(dataset, tmp_path, capsys, package, model):
    pytest.importorskip(package)
    out = tmp_path / "trained"
    how = ["--with", package, "--model", model, "--epochs", "2", "--batch", "2", "--out", str(out), "--json"]
    assert main(["train", str(dataset), *SPLIT, *how]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["train pictures"], result["val pictures"], result["steps"]) == (2, 1, 2)
    assert 0 <= result["ap50"] <= 1 and "too short" in result["note"]
    assert Path(result["weights"]).stat().st_size > 100_000
    assert json.loads((out / "results.json").read_text()) == result
    assert main(["check", str(dataset)]) == 0
