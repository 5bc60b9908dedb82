"""What the painter is told of annotations, and what it is scored against."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from evaluators.attributes import word_of
from evaluators.coco.dataset import PLACES, coco_truth, photograph, read_dataset
from evaluators.coco.scoring import check_images, with_photographs
from instdiff.errors import BadInput
from instdiff.formats import LayoutWarning, layouts_from_coco
from instdiff.formats.coco import instances_from_coco
from instdiff.layout import Box
from instdiff.training.sd15.annotated import AnnotatedPictures


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
        plain = data["annotations"][4] | {"segmentation": []}
        some = [{**plain, "id": 100 + side, "bbox": [0, 0, 4 + side, 4], "area": 4 * (4 + side)} for side in range(33)]
        data["annotations"] = some + [{**some[0], "id": 200, "bbox": [5, 5, 0, 9], "area": 0}]

    dataset = read_dataset(changed(coco_set, crowded))
    told = dataset.samples[0].conditioned("box", (200, 200)).instances
    assert [round(one.box.width * 200) for one in told] == list(range(7, 37))
    assert any("1 pictures have more than 30" in note and "3 smallest" in note for note in dataset.notes)
    assert any("no box or outline" in note and "1 (annotation 200)" in note for note in dataset.notes)
    assert len(coco_truth(dataset, str, masks=False)["annotations"]) == 33  # all that are somewhere are scored


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
        (lambda data: data["images"].clear(), "0 of 5 annotations can be used; .* their image is not in the file: 5"),
        (lambda data: data.update(images=[], annotations=[]), "holds no images"),
        (
            lambda data: data["categories"].clear() or data["annotations"][1].pop("caption"),
            "0 of 5 annotations can be used; .* names their category: 5",
        ),
        (lambda data: data["images"].append(data["images"][0]), "images.3..id: 7 is the id of images.0. too"),
        (lambda data: data["annotations"][4].update(id=12), "annotations.4..id: 12 is the id of annotations.2. too"),
    ],
)
def test_files_that_are_refused(coco_set, change, message):
    with pytest.raises(BadInput, match=message):
        read_dataset(changed(coco_set, change))


@pytest.mark.parametrize(
    ("change", "oddity"),
    [
        (lambda data: data["annotations"][0].pop("bbox"), "boxes taken from the outline, .*: 1 .annotation 10."),
        (lambda data: data["annotations"][0].update(bbox=[1, 2, 3]), "boxes taken from the outline, .*: 1"),
        (lambda data: data["annotations"][0].update(bbox=[20, 10, 60, None]), "boxes taken from the outline, .*: 1"),
        (lambda data: data["annotations"][0].update(bbox=[-4, 10, 84, 40]), "boxes cut at the border .*: 1"),
        (lambda data: data["annotations"][0].update(segmentation=[[20, 10, 80, 10]]), "polygons left out.*: 1"),
        (lambda data: data["annotations"][0].update(id=None), None),
        (lambda data: data["annotations"][0].update(id="a", iscrowd="0"), None),
    ],
)
def test_odd_annotations_are_scored_by_what_is_right_in_them(coco_set, change, oddity):
    dataset = read_dataset(changed(coco_set, change))
    things = dataset.samples[2].conditioned("box", (200, 100)).instances
    x0 = 0 if oddity and "cut" in oddity else 0.1
    assert [len(sample.things) for sample in dataset.samples] == [1, 0, 3]
    assert things[0].box.xyxy == pytest.approx((x0, 0.1, 0.4, 0.5))
    assert len(dataset.oddities) == (1 if oddity else 0) and re.search(oddity or "", " ".join(dataset.oddities))
    assert coco_truth(dataset, str, masks=True)["annotations"][2]["area"] > 0


def test_images_that_are_not_numbered_are_painted_by_their_place(coco_set):
    def renamed(data):
        for record, name in zip(data["images"], ("seven", "three", "five"), strict=True):
            for anno in data["annotations"]:
                if anno["image_id"] == record["id"]:
                    anno["image_id"] = name
            record["id"] = name

    words = json.loads((coco_set / "captions.json").read_text())
    for caption in words["annotations"]:
        caption["image_id"] = "seven"
    words["annotations"].append({"image_id": "seven", "caption": None})
    (coco_set / "captions.json").write_text(json.dumps(words))
    dataset = read_dataset(changed(coco_set, renamed), coco_set / "captions.json")
    assert [sample.key for sample in dataset.samples] == ["000000000001", "000000000002", "000000000003"]
    assert dataset.samples[0].captions == ("Two dogs beside a couch.", "Dogs.")
    assert [image["id"] for image in coco_truth(dataset, str, masks=False)["images"]] == [1, 2, 3]
    [oddity] = dataset.oddities
    assert oddity.startswith("captions left out") and "annotations[2]" in oddity


def test_what_is_seen_of_a_turned_photograph_is_what_was_labelled(coco_set):
    """The file holds 100 x 200 pixels and says that they are to be turned a quarter."""
    seen = np.full((100, 200, 3), 200, np.uint8)
    seen[10:50, 20:80] = (255, 0, 0)
    stored = np.rot90(seen)  # against the clock; 6 turns it back
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(stored).save(coco_set / "images" / "7.jpg", exif=exif.tobytes(), quality=95)

    def of_the_turned(data):
        data["images"][0].update(file_name="7.jpg")
        data["annotations"][0].update(bbox=[20, 10, 60, 40])

    sample = read_dataset(changed(coco_set, of_the_turned)).samples[2]
    picture = np.asarray(photograph(sample, coco_set / "images", (200, 100))).astype(int)
    assert picture[14:46, 24:76, 0].min() > 230 and picture[14:46, 24:76, 1:].max() < 40
    assert with_photographs(read_dataset(coco_set / "annotations.json"), coco_set / "images").oddities == ()


def test_photographs_that_cannot_be_used_are_left_out_of_the_scores(coco_set, capsys):
    (coco_set / "images" / "3.png").write_bytes(b"no picture")
    Image.new("RGB", (100, 100)).save(coco_set / "images" / "5.png")
    dataset = with_photographs(read_dataset(coco_set / "annotations.json"), coco_set / "images")
    assert [sample.id for sample in dataset.samples] == [7]
    assert [note.split(":")[0] for note in dataset.oddities] == [
        "pictures left out, as they cannot be read",
        "pictures left out, as they have other proportions than their record says",
    ]
    assert "image 5: 5.png has 100 x 100, and not 200 x 100" in dataset.oddities[1]
    (coco_set / "images" / "7.png").unlink()
    with pytest.raises(BadInput, match="images: 0 of 3 photographs can be used"):
        with_photographs(read_dataset(coco_set / "annotations.json"), coco_set / "images")
    with pytest.raises(BadInput, match="3 of 3 cannot be used, the first: image 3: 3.png is no picture"):
        check_images(coco_set / "images", read_dataset(coco_set / "annotations.json").samples)


@pytest.mark.parametrize("name", ["missing.png", "../annotations.json", "/etc/hostname", ""])
def test_photographs_outside_of_the_folder(coco_set, name):
    dataset = read_dataset(changed(coco_set, lambda data: data["images"][0].update(file_name=name)))
    with pytest.raises(BadInput, match="image 7.file_name: .* is not in "):
        photograph(dataset.samples[2], coco_set / "images", (64, 64))


def test_masks_that_are_not_there(coco_set):
    """The box stands for a mask here and there; where most are missing, masks cannot be told."""
    dataset = read_dataset(changed(coco_set, lambda data: data["annotations"][0].pop("segmentation")))
    dataset.check("mask")
    assert any("1 annotations have no mask" in note for note in dataset.notes)
    assert dataset.samples[2].conditioned("scribble", (64, 64)).instances[0].scribble  # drawn in the box
    assert dataset.samples[2].conditioned("mask", (64, 64)).instances[0].mask.box.xyxy == pytest.approx(
        (0.1, 0.1, 0.4, 0.5), abs=0.01
    )
    dataset = read_dataset(
        changed(coco_set, lambda data: [anno.pop("segmentation", 0) for anno in data["annotations"]])
    )
    assert not dataset.has_masks
    with pytest.raises(BadInput, match="places: most annotations have no mask"):
        dataset.check("mask")


def test_files_of_which_nothing_can_be_painted(coco_set):
    dataset = read_dataset(coco_set / "annotations.json")
    with pytest.raises(BadInput, match="annotations: hold no things on these 1 images"):
        replace(dataset, samples=dataset.samples[1:2]).check("box")


def test_masks_smaller_than_a_pixel(coco_set):
    tiny = [[20.1, 10.1, 20.3, 10.1, 20.3, 10.3]]
    dataset = read_dataset(
        changed(coco_set, lambda data: data["annotations"][0].update(segmentation=tiny, bbox=[20.1, 10.1, 0.2, 0.2]))
    )
    assert dataset.samples[2].conditioned("mask", (64, 64)).instances[0].mask.array.any()
    assert all(one["segmentation"] for one in coco_truth(dataset, str, masks=True)["annotations"])


def test_layouts_evaluation_and_training_read_alike(coco_set):
    ring = [20, 30, 80, 30, 80, 90, 20, 90]
    plain = {"image_id": 7, "category_id": 1, "bbox": [20, 30, 60, 60]}
    annos = [
        {**plain, "id": None, "bbox": None, "segmentation": [ring]},
        {**plain, "id": "b", "bbox": [-9, 30, 99, 60]},
        {**plain, "id": 3, "segmentation": [[1, 2, 3, 4]], "iscrowd": "0"},
        {**plain, "id": 4, "image_id": "7"},
        {**plain, "id": 5, "image_id": 99},
    ]
    path = changed(coco_set, lambda data: data.update(annotations=annos))
    with pytest.warns(LayoutWarning) as said:
        layouts = {record["id"]: layout for record, layout in layouts_from_coco(path)}
    dataset = read_dataset(path)
    pictures = AnnotatedPictures(path, coco_set / "images", "auto", lambda done, of: None)
    assert dataset.samples[2].truth() == layouts[7].model_copy(update={"caption": ""})
    assert instances_from_coco(pictures[0].record, pictures[0].annos) == list(layouts[7].instances)
    assert [str(warning.message).partition(": ")[2] for warning in said] == list(dataset.oddities)
    assert all(oddity in pictures.summary for oddity in dataset.oddities[1:]) and len(layouts[7].instances) == 4
