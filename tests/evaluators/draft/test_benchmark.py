import json

import numpy as np
import pytest
import torch
from PIL import Image

from evaluators import manifest as manifests
from evaluators.__main__ import build_parser, main
from evaluators.coco.dataset import read_dataset
from evaluators.detectors.draft import CROPS, DraftDetector
from evaluators.draft import benchmark as draft
from evaluators.draft import held_out as draft_layouts
from evaluators.draft import paint as draft_paint
from evaluators.draft import scores as draft_scores
from evaluators.report import Detection
from instdiff.engine import load_engine
from instdiff.errors import BadInput
from instdiff.layout import Box, Mask
from instdiff.model.crop_classifier import CropClassifier
from instdiff.model.detector import DenseDetector
from instdiff.render_settings import RenderSettings
from instdiff.training.draft.catalogue import THINGS
from instdiff.training.draft.composer import Composer
from instdiff.training.draft.scenes import StoredInstance, StoredScene
from instdiff.training.draft.sprites import Sprite

SIZE = (256, 256)


@pytest.fixture(scope="module")
def held_out():
    return draft_layouts.read_layouts()


@pytest.fixture(scope="module")
def engine():
    return load_engine("draft")


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    """A detector that has learned nothing, and reports a lot."""
    folder = tmp_path_factory.mktemp("judge")
    torch.manual_seed(0)
    parts = {"categories": tuple(THINGS), "colours": ("red", "green"), "textures": ("plain", "striped")}
    channels = (4, 4, 8, 8, 8)
    model = DenseDetector(**parts, channels=channels, head_channels=8)
    for head in model.heads:
        torch.nn.init.zeros_(head[-1].bias)  # every cell is half sure of everything
    model.save_pretrained(folder)
    CropClassifier(**parts, channels=channels, crop_size=32, score_threshold=0.001).save_pretrained(folder / CROPS)
    return DraftDetector("judge", folder)


def options(folder, **changes) -> draft.Options:
    settings = RenderSettings(num_inference_steps=2, mis=0.5)
    return draft.Options(
        **{"places": ("point",), "count": 3, "settings": settings, "batch": 2, "out": folder} | changes
    )


@pytest.fixture
def no_sprites(monkeypatch):
    """The drawings cannot be had."""

    def refuse(folder):
        raise draft.ServiceError("no network")

    monkeypatch.setattr("instdiff.training.draft.sprites.fetch_sprites", refuse)


def test_stored_layouts(held_out):
    assert len(held_out) == 500
    assert draft_layouts.FILE.stat().st_size < 400_000
    seeds = [one.seed for one in held_out]
    assert (
        seeds == sorted(set(seeds)) and seeds[0] >= 7_000_000 and seeds[-1] < 7_001_000
    )  # apart from all that training uses
    assert all(one.scene.instances for one in held_out)
    things = [thing for one in held_out for thing in one.scene.instances]
    assert {thing.category for thing in things} <= set(THINGS)
    assert len({thing.category for thing in things}) > 0.9 * len(THINGS)
    for (
        thing
    ) in things:  # a cell belongs to the mask where any pixel does, so that the mask's box lies at most a cell outside
        around = Mask.from_array(thing.mask).box
        assert thing.box.iou(around) > 0.3
        assert max(abs(a - b) for a, b in zip(thing.box.xyxy, around.xyxy, strict=True)) <= 1 / 64


@pytest.mark.parametrize("place", draft_layouts.PLACES)
def test_conditioned_layouts_tell_one_place(held_out, place):
    for one in held_out[:20]:
        layout = one.conditioned(place, SIZE)
        assert [instance.category for instance in layout.instances] == [thing.category for thing in one.scene.instances]
        given = [{kind for kind in draft_layouts.PLACES if getattr(instance, kind)} for instance in layout.instances]
        assert given == [{place}] * len(given)
        assert layout == one.conditioned(place, SIZE)  # the points that are scored are those that are painted from
        nameless = one.conditioned(place, SIZE, captions=False)
        assert [(instance.caption.strip(), instance.category) for instance in nameless.instances] == [("", "")] * len(
            given
        )
        assert [getattr(instance, place) for instance in nameless.instances] == [
            getattr(instance, place) for instance in layout.instances
        ]


def test_a_caption_of_nothing_is_the_null_text(engine):
    tokenizer = engine.pipeline.tokenizer
    assert tokenizer(draft_layouts.NO_CAPTION).input_ids == tokenizer("").input_ids


def small_composer(shape=(60, 40)):
    """A composer of four things, each a white rectangle of (height, width) pixels."""
    rgba = np.full((*shape, 4), 255, np.uint8)
    return Composer({name: [Sprite(name, rgba)] for name in ("cat", "dog", "ball", "cup")})


@pytest.fixture
def small_layouts(tmp_path, monkeypatch):
    """Four layouts of the small composer, written and read back."""
    monkeypatch.setattr(draft_layouts, "make_composer", lambda folder: small_composer())
    path = tmp_path / "layouts.jsonl"
    assert draft_layouts.write_layouts(tmp_path, path, count=4) == path.stat().st_size
    return draft_layouts.read_layouts(path)


def test_recompose(tmp_path, small_layouts):
    """The same scenes give the same file; what comes out differently is refused."""
    again = tmp_path / "again.jsonl"
    draft_layouts.write_layouts(tmp_path, again, count=4)
    assert again.read_bytes() == (tmp_path / "layouts.jsonl").read_bytes()
    composites = list(draft_layouts.recompose(small_layouts, small_composer()))
    assert [composite.image.shape for composite in composites] == [(256, 256, 3)] * 4
    with pytest.raises(BadInput, match="layout 0 .* other boxes than are stored"):
        list(draft_layouts.recompose(small_layouts, small_composer((40, 60))))


def test_upper_bound_stands_beside(tmp_path, small_layouts, engine, judge, monkeypatch):
    monkeypatch.setattr(draft_layouts, "read_layouts", lambda: small_layouts)
    result = draft.benchmark(options(tmp_path, places=("mask",), count=1, sprites=tmp_path), engine, judge).to_json()
    assert result["table"]["columns"] == ["percent", "composites", "mask"]
    bound, painted = result["rows"].values()
    assert bound["pim"]["point"] is not None and bound["mask"] and painted["mask"] and painted["pim"]["point"] is None

    monkeypatch.setattr(draft_layouts, "make_composer", lambda folder: small_composer((40, 60)))
    with pytest.raises(BadInput, match="sprites: layout 0"):
        draft.benchmark(options(tmp_path, places=("mask",), count=1, sprites=tmp_path), engine, judge)


def test_export_as_coco(tmp_path, small_layouts, monkeypatch, capsys):
    """Pictures, all places, captions and looks; what is read back is what the benchmark tells."""
    monkeypatch.setattr(draft_layouts, "read_layouts", lambda: small_layouts)
    folder = tmp_path / "held_out"
    assert main(["draft", "--export-coco", str(folder), "--sprites", str(tmp_path), "--count", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["exported"] == 3
    dataset = read_dataset(folder / "annotations.json")
    with_captions = read_dataset(folder / "annotations.json", folder / "captions.json")
    for number, (sample, one) in enumerate(zip(dataset.samples, small_layouts, strict=False), start=1):
        pixels = np.asarray(Image.open(folder / "images" / sample.record["file_name"]))
        assert sample.id == number and (pixels == next(draft_layouts.recompose([one], small_composer())).image).all()
        for place in ("point", "scribble"):
            theirs = one.conditioned(place, SIZE)
            ours = sample.conditioned(place, SIZE)
            assert [instance.caption for instance in ours.instances] == [
                instance.caption for instance in theirs.instances
            ]
            assert ours.caption == theirs.caption == with_captions.samples[number - 1].captions[0]
            for a, b in zip(ours.instances, theirs.instances, strict=True):
                points = [
                    [(p.x, p.y) for p in (getattr(i, place).points if place == "scribble" else [i.point])]
                    for i in (a, b)
                ]
                assert np.allclose(*points, atol=1e-6)
        for stored, instance in zip(one.scene.instances, sample.conditioned("mask", SIZE).instances, strict=True):
            assert instance.mask.box.iou(stored.box) > 0.99 and instance.mask.size == (256, 256)
        looks = [(anno["attributes"].get("colour"), anno["attributes"].get("texture")) for anno in sample.things]
        assert looks == [(stored.colour, stored.texture) for stored in one.scene.instances]


def thing(category: str, box: list[float], colour=None, texture=None) -> StoredInstance:
    x0, y0, x1, y1 = box
    mask = np.zeros((64, 64), bool)
    mask[round(y0 * 64) : round(y1 * 64), round(x0 * 64) : round(x1 * 64)] = True
    return StoredInstance(category, f"a {category}", Box(x0=x0, y0=y0, x1=x1, y1=y1), mask, colour, texture)


def seen(of: StoredInstance, category="", colour="", texture="", score=0.9) -> Detection:
    mask = Mask.from_array(of.mask)
    return Detection(
        category=category or of.category, score=score, box=of.box, mask=mask, colour=colour, texture=texture
    )


def test_figures_of_a_row():
    """Six things on two pictures: what is found, what is not, what has the wrong looks."""
    cat = thing("cat", [0.1, 0.1, 0.5, 0.5], "red")
    dog = thing("dog", [0.5, 0.5, 0.6, 0.6], "blue", "striped")
    cup = thing("cup", [0.75, 0.75, 0.8, 0.8], "red", "dotted")
    many = [thing("ball", [0.2 * i, 0.0, 0.2 * i + 0.15, 0.25]) for i in range(3)]
    held_out = [
        draft_layouts.HeldOutLayout(1, StoredScene("", [cat, dog, cup])),
        draft_layouts.HeldOutLayout(2, StoredScene("", many[:2])),
    ]
    sure = [[seen(cat, colour="red"), seen(dog, colour="red", texture="striped")], [seen(many[0]), seen(many[2])]]
    figures = draft_scores.row_figures(
        held_out, draft_scores.Detections(sure, sure), SIZE, ("mask", "point", "scribble"), lambda name: name
    )
    assert figures["colour"] == {"asked": 3, "found": 2, "of_all": 1 / 3, "of_found": 1 / 2}
    assert figures["texture"] == {"asked": 2, "found": 1, "of_all": 1 / 2, "of_found": 1.0}
    recall = figures["recall"]
    assert [recall[name] for name in ("all", "1-2 instances", "3-5 instances", "6 or more")] == [
        3 / 5,
        1 / 2,
        2 / 3,
        None,
    ]
    assert [recall[name] for name in ("small", "medium", "large")] == [0.0, 1.0, 2 / 3]
    assert figures["pim"] == {"point": 3 / 5, "scribble": 3 / 5}
    # Without the cup, which has no partner, and with the wrong ball as that of the other: (2 / 2 + 1 / 2) / 2.
    assert figures["pim_as_published"] == {"point": 3 / 4, "scribble": 3 / 4}
    assert figures["box"]["ap"] == pytest.approx((1 + 1 + 0 + 51 / 101) / 4)  # cat, dog, cup, and one ball of two
    assert figures["mask"]["ap50"] == pytest.approx(figures["box"]["ap50"])
    seen_nothing = draft_scores.Detections(sure, [[], []])
    bare = draft_scores.row_figures(held_out, seen_nothing, SIZE, ("box",), lambda name: name)
    assert bare["mask"] is None and bare["pim"] == bare["pim_as_published"] == {"point": None, "scribble": None}
    assert bare["recall"]["all"] == 0 and bare["colour"]["of_found"] is None and bare["box"] == figures["box"]


def test_look_keeps_the_threshold(judge, monkeypatch):
    image = Image.effect_noise(SIZE, 60).convert("RGB")
    counts = []
    looked = draft.look(judge, [image] * 17, list(THINGS), counts.append)
    assert judge.threshold == 0.001
    assert [len(looked.everything), len(looked.sure), counts] == [17, 17, [16, 1]]
    monkeypatch.setattr(judge, "threshold", 0.9)
    looked = draft.look(judge, [image], list(THINGS), counts.append)
    assert looked.sure == [[]]


def test_without_scaleu(engine):
    unet = engine.pipeline.unet
    scales = {name: value.clone() for name, value in unet.state_dict().items() if ".scaleu." in name}
    assert any(value.abs().sum() > 0 for value in scales.values())
    with draft_paint.without_scaleu(unet):
        assert not any(value.any() for name, value in unet.state_dict().items() if ".scaleu." in name)
    assert all(torch.equal(value, unet.state_dict()[name]) for name, value in scales.items())


def test_whole_benchmark(tmp_path, engine, judge, no_sprites, monkeypatch, capsys):
    """Painted once with all ablations; stopped, gone on with, refused with other settings or other pictures."""
    calls = []
    paint = manifests._images
    monkeypatch.setattr(manifests, "_images", lambda *given: calls.append(len(given[1])) or paint(*given))
    asked = options(tmp_path, ablations=True)
    result = draft.benchmark(asked, engine, judge).to_json()
    rows = ["point", "point, no MIS", "point, no ScaleU", "point, no captions"]
    assert list(result["rows"]) == rows and calls == [2, 1] * 4
    assert all(
        row["pim"]["point"] is not None and row["pim"]["scribble"] is row["mask"] is None
        for row in result["rows"].values()
    )
    assert any("upper bound is left out" in note and "no network" in note for note in result["notes"])
    assert json.loads((tmp_path / "results.json").read_text()) == result
    assert "| box AP50 |" in (tmp_path / "results.md").read_text()
    assert capsys.readouterr().out == ""  # progress goes to stderr

    folders = ["point", "point-without-mis", "point-without-scaleu", "point-without-captions"]
    pictures = [np.asarray(Image.open(tmp_path / name / "0000.png")) for name in folders]
    assert all(picture.shape == (256, 256, 3) for picture in pictures)
    assert all((pictures[0] != other).any() for other in pictures[1:])  # every ablation changes the picture

    manifest = json.loads((tmp_path / "point" / "manifest.json").read_text())
    (tmp_path / "point" / "manifest.json").write_text(json.dumps(manifest | {"pictures": manifest["pictures"][:2]}))
    calls.clear()
    again = draft.benchmark(asked, engine, judge).to_json()
    assert calls == [1] and again["rows"] == result["rows"]
    calls.clear()
    assert draft.benchmark(options(tmp_path, count=2), engine, judge).figures["layouts"] == 2 and calls == []

    changed = options(tmp_path, settings=RenderSettings(num_inference_steps=2, mis=0.5, guidance_scale=3.0))
    with pytest.raises(BadInput, match=r"guidance_scale .* \(now 3.0\)"):
        draft.benchmark(changed, engine, judge)
    Image.new("RGB", SIZE).save(tmp_path / "point" / "0001.png")
    with pytest.raises(BadInput, match="0001.png: is not the picture that was painted"):
        draft.benchmark(options(tmp_path), engine, judge)
    assert calls == []


def test_presets_stand_beside_the_exact_pictures(tmp_path, engine, judge, no_sprites):
    settings = RenderSettings(num_inference_steps=1, mis=0.0)
    result = draft.benchmark(options(tmp_path, presets=True, count=1, settings=settings), engine, judge).to_json()
    assert list(result["rows"]) == ["point", "point, cached", "point, fast", "point, turbo"]
    assert (
        [row[0] for row in result["presets_table"]["rows"]]
        == list(result["presets"])
        == ["exact", "cached", "fast", "turbo"]
    )
    assert result["presets"]["exact"]["faster"] == 1 and all(
        one["seconds per picture"] > 0 for one in result["presets"].values()
    )
    kept = {name: (one["guidance every"], one["inner every"]) for name, one in result["presets"].items()}
    assert kept == {"exact": (1, 1), "cached": (1, 2), "fast": (2, 1), "turbo": (2, 1)}
    assert all(len(row) == len(result["presets_table"]["columns"]) for row in result["presets_table"]["rows"])
    painted_with = json.loads((tmp_path / "point-fast" / "manifest.json").read_text())["painted_with"]
    assert (painted_with["preset"], painted_with["scheduler"], painted_with["guidance_every"]) == ("fast", "dpm++", 2)
    with pytest.raises(BadInput, match="preset"):  # the folder of exact pictures takes no others
        turbo = settings.model_copy(update={"preset": "turbo"})
        draft.benchmark(options(tmp_path, settings=turbo), engine, judge)


def test_without_mis_needs_mis(tmp_path):
    plain = RenderSettings(num_inference_steps=25, mis=0.0)
    rows, notes = draft._rows(options(tmp_path, ablations=True), plain)
    assert [row.folder for row in rows] == ["point", "point-without-scaleu", "point-without-captions"]
    assert any("no MIS" in note and "left out" in note for note in notes)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["--places", "box,circle"], "places"),
        (["--count", "0"], "count"),
        (["--count", "501"], "count"),
        (["--batch", "0"], "batch"),
        (["--steps", "0"], "steps"),
        (["--mis", "1"], "mis"),
        (["--presets", "--preset", "fast"], "presets"),
        (["--engine", "no-such-model"], "engine"),
    ],
)
def test_refusals(capsys, arguments, field):
    assert main(["draft", *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"error: {field}: ")


def test_options():
    args = build_parser().parse_args(["draft", "--places", "mask, box,mask", "--steps", "5", "--out", "somewhere"])
    asked = draft.read_options(args)
    assert (asked.places, asked.settings.num_inference_steps, asked.settings.mis, str(asked.out)) == (
        ("mask", "box"),
        5,
        None,
        "somewhere",
    )


def test_a_sheet_has_a_column_for_another_run_and_one_for_each_row(engine, judge, no_sprites, tmp_path):
    draft.benchmark(options(tmp_path / "other", count=2), engine, judge)
    sheet = tmp_path / "sheet.png"
    beside = tmp_path / "other" / "point"
    draft.benchmark(options(tmp_path / "out", count=2, sheet=sheet, beside=beside), engine, judge)
    with Image.open(sheet) as image:
        width, height = image.size
        pictures = [image.convert("RGB").crop((160 * i, 0, 160 * i + 160, 160)).tobytes() for i in range(4)]
    assert width == 4 * 160 and height > 160  # two layouts, twice each
    assert pictures[::2] == pictures[1::2] and len(set(pictures)) == 2


def test_pictures_of_another_run_are_shown_on_a_sheet_alone(capsys):
    assert main(["draft", "--beside", "."]) == 2
    assert capsys.readouterr().err.startswith("error: beside: ")
