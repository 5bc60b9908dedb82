import json

import pytest
from PIL import Image

from evaluators.__main__ import build_parser, main
from evaluators.draft import held_out
from evaluators.eye import command
from evaluators.eye.spoiling import KINDS
from instdiff.formats.layout_sets import load_layouts
from instdiff.training.draft.catalogue import THINGS
from instdiff.world.nouns import class_of
from tests.evaluators.eye.conftest import SOLID

PLANS = load_layouts(command.PLANS)


def test_the_bundled_plans_are_of_things_that_can_be_drawn():
    assert len(PLANS) == 100
    assert all(class_of(instance.name, tuple(THINGS)) for layout in PLANS for instance in layout.instances)


@pytest.fixture
def options(tmp_path):
    parts = ("composed", "spoiled", "categories")
    return command.Options(count=16, each=2, parts=parts, out=tmp_path)


def test_a_sharp_eye(options, composer, eyes):
    """It finds all that it can tell apart; the bar that it should have lets nothing else pass either."""
    result = command.examine_drawings(options, eyes["sharp"], composer, []).to_json()
    composed = result["composed"]["own"]
    assert composed["false_yes"] == 0 and composed["hits"] > 0.7 and composed["first"] == composed["hits"]
    assert composed["pictures"] == 8 and composed["unknown_things"] == 0
    assert result["bars"]["own"] == 0.5 and 0 < result["bars"]["calibrated"] < 0.5
    spoiled = result["spoiled"]["own"]
    assert list(spoiled) == list(KINDS)
    for kind in ("removed", "swapped", "moved by half"):
        assert spoiled[kind]["verified"] == spoiled[kind]["accepted"] == 0 and spoiled[kind]["pictures"] > 3
    assert spoiled["drawn twice"]["extra_told"] == 1.0 and spoiled["recoloured"]["pictures"] == 0
    assert result["categories"]["own"]["hits"] == 1.0 and set(result["categories"]["own"]["categories"]) == set(SOLID)
    assert json.loads((options.out / "results.json").read_text()) == result
    assert not (options.out / "accepted.png").exists()


def test_a_blind_eye_finds_nothing(options, composer, eyes):
    result = command.examine_drawings(options, eyes["blind"], composer, []).to_json()
    figures = [result["composed"]["own"][name] for name in ("hits", "false_yes", "first", "verified")]
    assert figures == [0, 0, 0, 0]
    assert all(kind["verified"] in (0, None) for kind in result["spoiled"]["own"].values())
    assert result["categories"]["own"]["hits"] == 0
    assert (options.out / "refused.png").exists() and not (options.out / "accepted.png").exists()


def test_a_credulous_eye_is_told(options, composer, eyes):
    result = command.examine_drawings(options, eyes["credulous"], composer, []).to_json()
    figures = [result["composed"]["own"][name] for name in ("hits", "false_yes", "first", "verified")]
    assert figures == [1, 1, 0, 1]
    assert result["bars"]["calibrated"] == 1.0
    assert result["spoiled"]["own"]["swapped"]["accepted"] == result["spoiled"]["own"]["removed"]["verified"] == 1
    assert (options.out / "accepted.png").exists() and not (options.out / "refused.png").exists()


def test_the_whole_command(tmp_path, composer, eyes, monkeypatch, capsys):
    """All parts, from the options to the files."""
    monkeypatch.setattr(command, "load_scorer", lambda args: eyes["sharp"])
    monkeypatch.setattr(held_out, "make_composer", lambda folder: composer)
    plans = tmp_path / "plans.jsonl"
    annos = [
        {"bbox": [50, 50, 200, 300], "mask": [], "category_name": name, "caption": name} for name in ("kite", "cat")
    ]
    layouts = [{"caption": "", "width": 512, "height": 512, "annos": annos[:count]} for count in (1, 2)]
    plans.write_text("\n".join(json.dumps({"prompt": str(n), "layout": one}) for n, one in enumerate(layouts)))
    places = ["--plans", str(plans), "--sprites", str(tmp_path), "--out", str(tmp_path)]
    assert main(["eye", "--count", "4", "--each", "2", *places]) == 0
    shown = capsys.readouterr().out
    assert "The eye of sharp, 2 composed pictures" in shown and "1 of 2 plans are left out" in shown
    result = json.loads((tmp_path / "draft" / "results.json").read_text())
    assert set(command.PARTS) < set(result)
    tables = ("table", "worst_table", "spoiled_table", "planned_table", "categories_table")
    assert all(len(row) == len(result[table]["columns"]) for table in tables for row in result[table]["rows"])
    assert result["painted"]["own"]["pictures"] == 2 and result["milliseconds"] > 0
    assert result["planned"]["own"]["perfect"]["pictures"] == 1


def test_photographs(tmp_path, eyes, monkeypatch, capsys):
    """Two of four images give the figures; what is annotated nowhere is what must not be seen."""
    monkeypatch.setattr(command, "load_scorer", lambda args: eyes["sharp"])
    images = [{"id": n, "width": 120, "height": 80, "file_name": f"{n}.png"} for n in range(4)]
    annos = []
    for n, image in enumerate(images):
        name = ("zebra", "clock")[n % 2]
        picture = Image.new("RGB", (120, 80), "white")
        picture.paste(SOLID[name], (10, 20, 70, 60))
        picture.save(tmp_path / image["file_name"])
        category = {"zebra": 1, "clock": 2}[name]
        annos.append({"id": n, "image_id": n, "category_id": category, "bbox": [10, 20, 60, 40], "area": 2400})
    categories = [{"id": number, "name": name} for number, name in enumerate(("zebra", "clock", "cat"), 1)]
    data = {"images": images, "annotations": annos, "categories": categories}
    (tmp_path / "coco.json").write_text(json.dumps(data))
    arguments = ["--coco", str(tmp_path / "coco.json"), "--images", str(tmp_path), "--out", str(tmp_path)]
    assert main(["eye", *arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    own = result["photographs"]["own"]
    assert (own["things"], own["hits"], own["false_yes"], own["verified"], own["first"]) == (2, 1, 0, 1, 1)
    assert list(own["categories"]) == ["clock"] and own["hits_by_size"]["large"] == 1
    (tmp_path / "coco.json").write_text(json.dumps(data | {"annotations": annos[:1]}))
    assert main(["eye", *arguments]) == 2
    assert capsys.readouterr().err.startswith("error: coco: 1 images have annotations")


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["--parts", "composed,all"], "parts"),
        (["--count", "3"], "count"),
        (["--count", "2001"], "count"),
        (["--each", "1"], "each"),
        (["--false-yes", "0"], "false_yes"),
        (["--false-yes", "nan"], "false_yes"),
        (["--coco", "x.json"], "images"),
        (["--images", "x"], "coco"),
        (["--coco", "x.json", "--images", "x", "--parts", "composed"], "parts"),
        (["--detector", "nothing"], "verifier"),
    ],
)
def test_refusals(capsys, arguments, field):
    assert main(["eye", *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"error: {field}: ")


def test_options():
    args = build_parser().parse_args(["eye", "--detector", "yolo:a/b.pt", "--parts", "painted", "--out", "x"])
    options = command.read_options(args)
    assert (options.parts, str(options.out), options.count) == (("painted",), "x/yolo-a-b.pt", 500)
