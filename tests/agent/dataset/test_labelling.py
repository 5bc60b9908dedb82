"""A dataset as labelling tools get it, read back: what is annotated is what was verified."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from agent.dataset.__main__ import main
from agent.dataset.export.records import read_records
from agent.dataset.folder import Folder
from agent.dataset.sources import Layouts
from instdiff.formats.files import read_bytes
from instdiff.formats.other_tools import read_annotations, read_folder

DATA = Path(__file__).parents[2] / "data" / "datasets" / "whole"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("labelling") / "whole"
    shutil.copytree(DATA, folder)
    assert main(["export", str(folder), "--format", "label-studio,cvat,labelme"]) == 0
    return folder


@pytest.mark.parametrize("tool, file", [("label-studio", "{}.json"), ("cvat", "{}.xml"), ("labelme", "{}")])
def test_labelling_tools_get_what_was_verified(dataset, tool, file):
    export = dataset / "export" / tool
    records = {record.path.name: record for record in read_records(Folder(dataset))}
    met = []
    for split in ("train", "val"):
        path = export / file.format(split)
        found = (read_folder(path) if path.is_dir() else read_annotations(path, read_bytes(path))) or ()
        for name, layout in found:
            picture = export / split / name if tool == "labelme" else export / "images" / split / name
            record = records[name]
            with Image.open(picture) as image:
                assert image.size == layout.size == record.size
            assert record.split == split and layout.caption == record.layout.caption
            assert [one.category for one in layout.instances] == [one.name for one in record.layout.instances]
            for one, label in zip(layout.instances, record.labels, strict=True):
                assert one.box.to_corners(layout.size) == pytest.approx(label.box.to_corners(layout.size), abs=1.01)
            met.append(name)
    assert sorted(met) == sorted(records)


def test_the_card_says_how_to_open_them(dataset):
    card = (dataset / "export" / "README.md").read_text()
    assert "label-studio/config.xml" in card and "uploaded as CVAT 1.1" in card and "`labelme labelme/train`" in card


def test_what_people_corrected_is_painted_again(dataset):
    source = Layouts.read(dataset / "export" / "cvat" / "train.xml")
    records = [record for record in read_records(Folder(dataset)) if record.split == "train"]
    assert len(source) == len(records)
    assert [one.category for one in source.candidate(0, 0).instances] == [
        one.name for one in records[0].layout.instances
    ]


def test_a_format_that_is_not_known(dataset, capsys):
    assert main(["export", str(dataset), "--format", "voc"]) == 2
    assert (
        "choose from coco, yolo, webdataset, parquet, coco-polygons, yolo-seg, label-studio, cvat, labelme"
        in capsys.readouterr().err
    )
