"""What the painter is told of annotations, and what it is scored against."""

import json

import numpy as np
import pytest

from evaluators.attributes import word_of
from evaluators.coco.dataset import PLACES, coco_truth, photograph, read_dataset
from instdiff.errors import BadInput
from instdiff.layout import Box


def changed(folder, change):
    """The annotation file after a change to its content."""
    path = folder / "annotations.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    return path


def test_samples_by_number(coco_set):
    dataset = read_dataset(coco_set / "annotations.json")
    assert [sample.key for sample in dataset.samples] == ["000000000003", "000000000005", "000000000007"]
    assert dataset.categories == ["dog", "sofa"]
    assert [len(sample.things) for sample in dataset.samples] == [1, 0, 3]  # crowd regions are not painted
    assert any("1 crowd region" in note for note in dataset.notes)
    first = read_dataset(coco_set / "annotations.json", count=1)
    assert len(first.samples) == 1 and first.sha256 == dataset.sha256
    assert read_dataset(coco_set / "annotations.json", coco_set / "captions.json").sha256 != dataset.sha256


def test_all_places_are_stretched_together(coco_set):
    """A picture twice as wide as high becomes a square one; what was at 20..80 of 200 is at 51.2..204.8 of 512."""
    sample = read_dataset(coco_set / "annotations.json").samples[2]
    box, mask, point, scribble = (sample.conditioned(place, (512, 512)).instances[0] for place in PLACES)
    expected = Box(x0=0.1, y0=0.1, x1=0.4, y1=0.5)
    assert sample.conditioned("box", (512, 512)).size == (512, 512)
    assert box.box.xyxy == pytest.approx(expected.xyxy) and mask.mask.box.xyxy == pytest.approx(expected.xyxy)
    assert (point.point.x, point.point.y) == pytest.approx((0.25, 0.3))
    assert len(scribble.scribble.points) == 20
    assert all(0.1 <= p.x <= 0.4 and 0.1 <= p.y <= 0.5 for p in scribble.scribble.points)
    assert scribble == sample.conditioned("scribble", (512, 512)).instances[0]  # always the same
    for place, instance in zip(PLACES, (box, mask, point, scribble), strict=True):
        assert [kind for kind in PLACES if getattr(instance, kind)] == [place]
    assert sample.conditioned("point", (64, 64)).instances[2].point.x == pytest.approx(
        3 / 200
    )  # a point that is given is told


def test_captions_are_joined_as_published(coco_set):
    with_captions = (
        read_dataset(coco_set / "annotations.json", coco_set / "captions.json").samples[2].conditioned("box", (64, 64))
    )
    assert with_captions.caption == "Two dogs beside a couch. dog, a grey couch, dog"
    assert [instance.caption for instance in with_captions.instances] == ["dog", "a grey couch", "dog"]
    without = read_dataset(coco_set / "annotations.json").samples[2]
    assert without.conditioned("box", (64, 64)).caption == "dog, a grey couch, dog"
    coloured = without.conditioned("box", (64, 64), word_of("colours"))
    assert coloured.caption == "red dog, green sofa, yellow dog"
    assert [(one.caption, one.category) for one in coloured.instances] == [
        ("red dog", "dog"),
        ("green sofa", "sofa"),
        ("yellow dog", "dog"),
    ]

    path = changed(coco_set, lambda data: data["images"][0].update(caption="a scene"))
    own = read_dataset(path).samples[2]
    assert own.conditioned("box", (64, 64)).caption == "a scene"
    assert (
        own.conditioned("box", (64, 64), word_of("colours")).caption == "red dog, green sofa, yellow dog"
    )  # the scene may say other colours


def test_the_30_largest_are_told(coco_set):
    def crowded(data):
        some = [
            {**data["annotations"][4], "id": 100 + side, "bbox": [0, 0, 4 + side, 4], "area": 4 * (4 + side)}
            for side in range(33)
        ]
        data["annotations"] = some + [{**some[0], "id": 200, "bbox": [5, 5, 0, 9], "area": 0}]

    dataset = read_dataset(changed(coco_set, crowded))
    told = dataset.samples[0].conditioned("box", (200, 200)).instances
    assert [round(one.box.width * 200) for one in told] == list(range(7, 37))
    assert any("1 pictures have more than 30" in note and "4 smallest" in note for note in dataset.notes)
    assert len(coco_truth(dataset, str, masks=False)["annotations"]) == 34  # all are scored


@pytest.mark.parametrize("masks", [False, True])
def test_truth(coco_set, masks):
    truth = coco_truth(
        read_dataset(coco_set / "annotations.json"), lambda name: {"sofa": "couch"}.get(name, name), masks
    )
    assert [one["name"] for one in truth["categories"]] == ["couch", "dog"]
    crowd, couch, dog, *_ = truth["annotations"]
    assert (crowd["iscrowd"], couch["iscrowd"], couch["category_id"], dog["category_id"]) == (1, 0, 1, 2)
    assert dog["bbox"] == pytest.approx([51.2, 51.2, 153.6, 204.8]) and dog["area"] == pytest.approx(153.6 * 204.8)
    assert ("segmentation" in dog) is masks
    if masks:
        from pycocotools import mask as rle

        assert rle.area(dog["segmentation"]) == pytest.approx(153.6 * 204.8, rel=0.01)
        assert dog["segmentation"]["size"] == [512, 512]


def test_photographs_have_the_size_of_the_pictures(coco_set):
    sample = read_dataset(coco_set / "annotations.json").samples[2]
    image = photograph(sample, coco_set / "images", (64, 64))
    assert image.size == (64, 64) and image.mode == "RGB" and (np.asarray(image) == 210).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data["images"].clear(), "holds no images|is not in the file"),
        (lambda data: data["annotations"][0].pop("bbox"), "annotation 10.bbox"),
        (lambda data: data["annotations"][0].update(bbox=[1, 2, 3]), "annotation 10.bbox: must hold 4 numbers"),
        (lambda data: data["annotations"][0].pop("id"), "annotation.id"),
        (
            lambda data: data["images"][0].update(id=-7) or [a.update(image_id=-7) for a in data["annotations"][:3]],
            "not negative",
        ),
    ],
)
def test_files_that_are_refused(coco_set, change, message):
    with pytest.raises(BadInput, match=message):
        read_dataset(changed(coco_set, change))


@pytest.mark.parametrize("name", ["missing.png", "../annotations.json", "/etc/hostname", ""])
def test_photographs_outside_of_the_folder(coco_set, name):
    dataset = read_dataset(changed(coco_set, lambda data: data["images"][0].update(file_name=name)))
    with pytest.raises(BadInput):
        photograph(dataset.samples[2], coco_set / "images", (64, 64))


def test_masks_that_are_not_there(coco_set):
    sample = read_dataset(changed(coco_set, lambda data: data["annotations"][0].pop("segmentation"))).samples[2]
    assert sample.conditioned("scribble", (64, 64)).instances[0].scribble  # drawn in the box
    with pytest.raises(BadInput, match="annotation 10: has no mask"):
        sample.conditioned("mask", (64, 64))


def test_masks_smaller_than_a_pixel(coco_set):
    tiny = [[20.1, 10.1, 20.3, 10.1, 20.3, 10.3]]
    dataset = read_dataset(
        changed(coco_set, lambda data: data["annotations"][0].update(segmentation=tiny, bbox=[20.1, 10.1, 0.2, 0.2]))
    )
    assert dataset.samples[2].conditioned("mask", (64, 64)).instances[0].mask.array.any()
    assert all(one["segmentation"] for one in coco_truth(dataset, str, masks=True)["annotations"])
