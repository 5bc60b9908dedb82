"""Labelling of bare pictures, by tiny models with random weights that are loaded and run for real."""

import json

import numpy as np
import pytest
from PIL import Image
from tiny_models import make_captioner, make_chatter, make_classifier, make_owlv2, make_segmenter

from evaluators.label.__main__ import main
from evaluators.label.models import Captioner, Segmenter, load_tagger, things_in
from instdiff.formats import layouts_from_coco
from instdiff.layout import Box

SIZES = [(72, 64), (64, 90), (100, 100)]


@pytest.fixture(scope="module")
def models(tmp_path_factory, golden):
    """Folders of tiny models by what they do."""
    made = tmp_path_factory.mktemp("models")
    for name, make in {"tagger": make_classifier, "captioner": make_captioner, "segmenter": make_segmenter}.items():
        make(made / name)
    (made / "detector").mkdir()
    make_owlv2(made / "detector", golden)
    return made


@pytest.fixture
def pictures(tmp_path):
    """Three pictures, one of them in a folder, another to be turned, and a file that is none."""
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index, (width, height) in enumerate(SIZES):
        pixels = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
        exif = Image.Exif()
        if index == 1:  # stored on its side, as cameras do
            pixels = np.ascontiguousarray(np.rot90(pixels))
            exif[0x0112] = 6
        Image.fromarray(pixels).save(folder / ("more" if index == 2 else "") / f"{index}.png", exif=exif.tobytes())
    (folder / "notes.txt").write_text("no picture")
    return folder


def command(pictures, models, out, *more):
    named = ["--tagger", models / "tagger", "--detector", f"owlv2:{models / 'detector'}", "--threshold", "0.0"]
    named += ["--segmenter", models / "segmenter", "--captioner", models / "captioner"]
    return main([str(word) for word in (pictures, "--out", out, *named, *more)])


def test_pictures_become_annotations(pictures, models, tmp_path, capsys):
    out = tmp_path / "labelled"
    assert command(pictures, models, out) == 0
    assert "3 pictures" in capsys.readouterr().out
    content = json.loads((out / "annotations.json").read_text())
    assert [(i["file_name"], i["width"], i["height"]) for i in content["images"]] == [
        (name, *size) for name, size in zip(["0.png", "1.png", "more/2.png"], SIZES, strict=True)
    ]
    assert {category["name"] for category in content["categories"]} <= {"cat", "dog", "car"} and content["annotations"]
    for record, layout in layouts_from_coco(content):
        assert layout.caption and layout.instances
        for instance in layout.instances:
            assert instance.box and (instance.mask is None or instance.mask.size == (record["height"], record["width"]))
            assert set(instance.caption.replace(",", "").split()) <= {"a", "cat", "dog", "car", "on", "red", "table"}
    large = [a for a in content["annotations"] if a["bbox"][2] * a["bbox"][3] >= 32 * 32]
    small = [a for a in content["annotations"] if a["bbox"][2] * a["bbox"][3] < 32 * 32]
    assert large and all(a["caption"] for a in large) and not any("caption" in a for a in small)
    assert any("segmentation" in a for a in content["annotations"])


def test_it_goes_on_where_it_was_stopped(pictures, models, tmp_path, capsys):
    out = tmp_path / "labelled"
    assert command(pictures, models, out, "--part", "2/3") == 0
    assert "2 of 3 pictures have no labels yet" in capsys.readouterr().out and not (out / "annotations.json").exists()
    done = out / "labels" / "1.png.json"
    marked = json.loads(done.read_text()) | {"caption": "kept"}
    done.write_text(json.dumps(marked))
    (pictures / "broken.png").write_bytes(b"no picture")
    assert command(pictures, models, out) == 0
    assert "left out, cannot be read: broken.png" in capsys.readouterr().err
    assert [i["caption"] == "kept" for i in json.loads((out / "annotations.json").read_text())["images"]] == [
        False,
        True,
        False,
    ]
    assert command(pictures, models, out, "--threshold", "0.5") == 2
    assert capsys.readouterr().err.startswith("error: threshold: ")


def test_tags_come_from_a_list_a_classifier_or_a_captioner(models, tmp_path):
    image = Image.new("RGB", (40, 40), "red")
    assert set(load_tagger(str(models / "tagger")).tags(image)) <= {"cat", "dog", "car"}
    make_classifier(tmp_path / "several", several=True)
    assert set(load_tagger(str(tmp_path / "several")).tags(image)) == {"cat", "dog", "car"}  # sigmoids near a half
    assert set(load_tagger(str(models / "captioner")).tags(image)) <= {"cat", "dog", "table"}


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("a cat on the red table.", ["cat", "table"]),
        ("two dogs, and a hot dog", ["dog", "hot dog"]),
        ("a zorp in a kitchen", []),
        ("", []),
    ],
)
def test_things_in_a_caption(caption, expected):
    assert things_in(caption) == expected


def test_masks_and_captions_are_the_models_own(models):
    """The masks are those of SAM itself, asked for one box at a time; the sentences those of BLIP."""
    segmenter = Segmenter(str(models / "segmenter"))
    captioner = Captioner(str(models / "captioner"))
    image = Image.fromarray(np.random.default_rng(1).integers(0, 255, (40, 60, 3), dtype=np.uint8))
    boxes = [Box(x0=0.1, y0=0.1, x1=0.5, y1=0.9), Box(x0=0.4, y0=0.2, x1=1.0, y1=0.8)]
    together = segmenter.masks(image, boxes)
    assert together == [segmenter.masks(image, [box])[0] for box in boxes] and segmenter.masks(image, []) == []
    assert any(mask and mask.size == (40, 60) for mask in together)
    inputs = captioner.processor(images=image, return_tensors="pt")
    said = captioner.processor.decode(
        captioner.model.generate(**inputs, max_new_tokens=40, do_sample=False)[0], skip_special_tokens=True
    )
    assert captioner.captions([image]) == [" ".join(said.split())] and said


def test_a_chat_model_is_asked_for_a_sentence(tmp_path, golden):
    """What it says is kept, not what it was asked; and it depends on the picture."""
    make_chatter(tmp_path, golden)
    captioner = Captioner(str(tmp_path))
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 255, (40, 30, 3), dtype=np.uint8)), Image.new("RGB", (30, 40), "red")]
    said = captioner.captions(images)
    assert captioner.chats and all(said) and said[0] != said[1] and not any("sentence" in words for words in said)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        (["--tags", "nowhere.txt"], "tags"),
        (["--tagger", "no/such-model"], "tagger"),
        (["--tags", "words.txt", "--captioner", "no/such-model"], "captioner"),
        (["--tags", "words.txt", "--part", "4/3"], "part"),
        (["--tags", "words.txt", "--detector", "magic"], "verifier"),
        ([], "arguments"),
    ],
)
def test_bad_options_are_one_line(pictures, models, tmp_path, capsys, monkeypatch, more, field):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words.txt").write_text("cat\ndog\n")
    detector = [] if "--detector" in more else ["--detector", f"owlv2:{models / 'detector'}"]
    assert main([str(pictures), "--out", str(tmp_path / "out"), *detector, *more]) == 2
    said = capsys.readouterr().err
    assert said.splitlines()[-1].startswith(f"error: {field}: ")
