"""A dataset of the real painter and verifier, written in every format and read back by libraries that people use."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agent.dataset.__main__ import main
from agent.dataset.export.records import read_records
from agent.dataset.folder import Folder

MAKE = ["--template", "a {colour} {thing} and a {colour} {thing} in a {setting}", "--scenes", "kitchen,street"]
MAKE += ["--colours", "red,blue", "--count", "8", "--batch", "8", "--rounds", "1", "--steps", "4", "--mis", "0"]
FORMATS = "coco,coco-polygons,yolo,yolo-seg,webdataset,parquet"
MAKE += ["--accept", "instance", "--min-iou", "0.3", "--val", "0.4"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset")
    assert main(["make", str(folder), *MAKE]) == 0
    assert main(["export", str(folder), "--format", FORMATS]) == 0
    return folder


@pytest.fixture(scope="module")
def records(dataset):
    records = read_records(Folder(dataset))
    assert len(records) == 8 and {record.split for record in records} == {"train", "val"}
    return {record.item.index: record for record in records}


def annotations(record, every=False):
    """(name, x, y, width, height) of each, in pixels; with the regions to ignore, if all are asked for."""
    return [(label.name, *label.box.to_coco(record.size)) for label in (record.every if every else record.labels)]


def test_labels_are_what_the_verifier_saw_with_boxes_between_it_and_the_plan(records):
    for record in records.values():
        assert record.labels and all(label.source in ("mean", "seen") for label in record.labels)
        assert all(label.iou >= 0.7 for label in record.labels if label.source == "mean")
        assert all(label.iou >= 0.3 for label in record.labels if label.verdict == "found")
        assert record.item.seen and all(label.score for label in record.labels)


def test_coco_by_pycocotools(dataset, records):
    from pycocotools.coco import COCO

    annotated = 0
    for split in ("train", "val"):
        coco = COCO(dataset / f"export/coco/annotations/instances_{split}.json")
        captions = COCO(dataset / f"export/coco/annotations/captions_{split}.json")
        assert (
            set(coco.getImgIds())
            == set(captions.getImgIds())
            == {index for index, record in records.items() if record.split == split}
        )
        for image in coco.loadImgs(coco.getImgIds()):
            record = records[image["id"]]
            with Image.open(dataset / "export/coco/images" / split / image["file_name"]) as picture:
                assert picture.size == (image["width"], image["height"]) == record.size
            objects = coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
            names = {category["id"]: category["name"] for category in coco.loadCats(coco.getCatIds())}
            assert [(names[annotation["category_id"]], *annotation["bbox"]) for annotation in objects] == [
                pytest.approx(box) for box in annotations(record, every=True)
            ]
            assert captions.imgToAnns[image["id"]][0]["caption"] == record.caption
            for annotation, label in zip(objects, record.every, strict=True):
                assert coco.annToMask(annotation).any() and annotation["iscrowd"] == label.ignore
                if label.mask:
                    assert np.array_equal(coco.annToMask(annotation), label.mask.array)
                assert (annotation["score"], annotation["verdict"]) == (label.score, label.verdict)
                assert (annotation["caption"], annotation["source"]) == (label.caption, label.source)
            annotated += len(objects)
    assert annotated == sum(len(record.every) for record in records.values())


def test_polygons_draw_the_masks(dataset, records):
    from pycocotools.coco import COCO

    for split in ("train", "val"):
        coco = COCO(dataset / f"export/coco-polygons/annotations/instances_{split}.json")
        for index in coco.getImgIds():
            objects = coco.loadAnns(coco.getAnnIds(imgIds=index))
            for annotation, label in zip(objects, records[index].every, strict=True):
                if label.mask and not label.ignore:
                    assert isinstance(annotation["segmentation"], list)
                    drawn, mask = coco.annToMask(annotation).astype(bool), label.mask.array.astype(bool)
                    assert (drawn & mask).sum() >= 0.85 * (drawn | mask).sum()


def test_outlines_of_yolo_are_those_of_the_masks(dataset, records):
    from instdiff.formats.other_tools import read_folder

    read = {Path(name).stem: layout for name, layout in read_folder(dataset / "export/yolo-seg")}
    assert read.keys() == {record.key for record in records.values()}
    for record in records.values():
        pairs = list(zip(read[record.key].instances, record.labels, strict=True))
        assert all(one.category == label.name for one, label in pairs)
        masks = [(one.mask.array, label.mask.array) for one, label in pairs]
        assert all((one & other).sum() >= 0.9 * (one | other).sum() for one, other in masks)


def test_coco_has_what_fiftyone_reads(dataset):
    """FiftyOne's COCODetectionDataset reads these keys; what else an annotation has becomes an attribute."""
    data = json.loads((dataset / "export/coco/annotations/instances_train.json").read_text())
    assert {"info", "licenses", "images", "annotations", "categories"} <= data.keys()
    assert all({"id", "file_name", "width", "height"} <= image.keys() for image in data["images"])
    assert all({"id", "name", "supercategory"} <= category.keys() for category in data["categories"])
    needed = {"id", "image_id", "category_id", "bbox", "area", "iscrowd", "segmentation"}
    assert all(
        needed <= annotation.keys() and isinstance(annotation["segmentation"]["counts"], str)
        for annotation in data["annotations"]
    )
    assert len({annotation["id"] for annotation in data["annotations"]}) == len(data["annotations"]) > 0


def test_yolo_layout(dataset, records):
    import yaml

    folder = dataset / "export/yolo"
    data = yaml.safe_load((folder / "data.yaml").read_text())
    assert list(data["names"].values()) == read_records(Folder(dataset)).classes and list(data["names"]) == list(
        range(len(data["names"]))
    )
    for split in ("train", "val"):
        pictures = sorted((folder / data[split]).glob("*.png"))
        assert [path.stem for path in pictures] == [record.key for record in records.values() if record.split == split]
        for picture in pictures:
            label = folder / "labels" / split / f"{picture.stem}.txt"  # ultralytics puts labels for images in the path
            assert str(picture).replace("/images/", "/labels/").replace(".png", ".txt") == str(label)
            record = records[int(picture.stem)]
            lines = [line.split() for line in label.read_text().splitlines()]
            width, height = record.size
            expected = [
                [(x + w / 2) / width, (y + h / 2) / height, w / width, h / height]
                for _, x, y, w, h in annotations(record)
            ]
            assert [data["names"][int(line[0])] for line in lines] == [name for name, *_ in annotations(record)]
            assert np.array([line[1:] for line in lines], dtype=float) == pytest.approx(np.array(expected), abs=1e-6)


@pytest.mark.parametrize("name", ["coco", "yolo"])
def test_an_edit_of_an_exported_picture_leaves_the_dataset_whole(dataset, records, name):
    for record in records.values():
        exported = dataset / "export" / name / "images" / record.split / record.path.name
        assert exported.read_bytes() == record.path.read_bytes() and not exported.samefile(record.path)
        with exported.open("r+b") as file:
            file.write(b"edited")
    try:
        assert main(["check", str(dataset)]) == 0
    finally:
        assert main(["export", str(dataset), "--format", "coco,yolo"]) == 0


def test_webdataset_by_webdataset(dataset, records):
    wds = pytest.importorskip("webdataset")
    shards = sorted(map(str, (dataset / "export/webdataset").glob("*.tar")))
    samples = list(wds.WebDataset(shards, shardshuffle=False).decode("pil").to_tuple("__key__", "png", "json", "txt"))
    assert sorted(int(key) for key, *_ in samples) == list(records)
    for key, image, about, caption in samples:
        record = records[int(key)]
        assert image.size == record.size and caption == record.caption == about["caption"]
        assert [(entry["category"], *entry["bbox"]) for entry in about["objects"]] == [
            pytest.approx(box) for box in annotations(record, every=True)
        ]
    assert all(member.mtime == 0 for shard in shards for member in tarfile.open(shard))


def test_parquet_by_datasets(dataset, records, tmp_path):
    datasets = pytest.importorskip("datasets")
    files = {name: str(dataset / f"export/parquet/data/{name}-*.parquet") for name in ("train", "validation")}
    loaded = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path))
    assert isinstance(loaded["train"].features["image"], datasets.Image)
    names = loaded["train"].features["objects"].feature["category"].names
    rows = [row for split in loaded.values() for row in split]
    assert sorted(int(row["key"]) for row in rows) == list(records)
    for row in rows:
        record = records[int(row["key"])]
        assert (
            row["image"].size == record.size and row["prompt"] == record.item.prompt and row["seed"] == record.item.seed
        )
        with Image.open(record.path) as painted:
            assert np.array_equal(np.asarray(row["image"]), np.asarray(painted))
        for entry, (name, *box) in zip(row["objects"], annotations(record, every=True), strict=True):
            assert names[entry["category"]] == name and entry["bbox"] == pytest.approx(box, rel=1e-5)


def test_the_card(dataset, records):
    import yaml

    card = (dataset / "export/README.md").read_text()
    head = yaml.safe_load(card.split("---")[1])
    assert [config["split"] for config in head["configs"][0]["data_files"]] == ["train", "validation"]
    assert f"| pictures | 8 ({sum(record.split == 'train' for record in records.values())} train" in card
    assert "| model_hash |" in card and "Apache-2.0" in card and "| 256 x 256 |" in card and "█" in card
    with Image.open(dataset / "export/contact_sheet.png") as sheet:
        assert sheet.size[0] == 6 * 208 and sheet.size[1] > 2 * 208


def test_an_export_again_leaves_other_folders_alone(dataset, tmp_path, capsys):
    assert main(["export", str(dataset), "--format", "yolo"]) == 0
    assert (dataset / "export/coco").is_dir()
    card = (dataset / "export/README.md").read_text()
    assert "COCO('coco/annotations" in card and "load_dataset('parquet'" in card and "yolo detect train" in card
    (dataset / "export/contact_sheet.png").unlink()  # as where an export was stopped
    assert main(["export", str(dataset), "--format", "yolo"]) == 0
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["export", str(dataset), "--out", str(tmp_path)]) == 2 and "earlier export" in capsys.readouterr().err
    assert main(["export", str(dataset), "--format", "tfrecord"]) == 2 and "choose from coco" in capsys.readouterr().err


@pytest.mark.slow
def test_ten_times_as_many_items_take_no_more_memory(dataset):
    """Every format but parquet, whose packages alone take more; `measure_export.py` without options has 10,000."""
    script = [
        sys.executable,
        str(Path(__file__).parents[1] / "measure_export.py"),
        str(dataset),
        "--items",
        "30",
        "300",
    ]
    names = "coco,yolo-seg,webdataset,label-studio,cvat,labelme"
    done = subprocess.run([*script, "--formats", names, "--most-growth", "20"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
