"""Training on pictures of one's own, in this process: examples, what is dropped, what learns, what goes on."""

import itertools
import json
import shutil

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from PIL import Image
from scale_inputs import COLOURS, make_model, make_pictures, recipe_fields
from transformers import ConvNextConfig, ConvNextModel

from instdiff import BadInput, Box, Instance, InstanceDiffusionPipeline, Layout, Point, rle
from instdiff.engine import engine_info, load_engine
from instdiff.formats import LayoutWarning
from instdiff.layout import Mask, Scribble
from instdiff.model.grounding import Modes
from instdiff.render_settings import RenderSettings
from instdiff.train import main
from instdiff.training.sd15.examples import Crop, Examples, Shapes, collate, draw_modes, keep_places, positions
from instdiff.training.sd15.model import Learner, Teacher, load_convnext, squared_error
from instdiff.training.sd15.recipe import TrainingRecipe
from instdiff.training.sd15.training import make_trainer, read_pictures, train

SHAPES = Shapes(side=64, latents=(4, 16, 16), seg_size=64, timesteps=1000)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A folder with a tiny model and six pictures."""
    folder = make_pictures(tmp_path_factory.mktemp("scale") / "all")
    make_model(folder / "start")
    return folder


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """Each test begins without the state that accelerate keeps in a process, and with a cache of its own."""
    monkeypatch.setenv("INSTDIFF_CACHE", str(tmp_path / "cache"))
    AcceleratorState._reset_state(True)


def recipe(inputs, **changes):
    return TrainingRecipe.parse(recipe_fields(inputs, **changes))


def examples_of(recipe):
    return Examples(recipe, SHAPES, read_pictures(recipe, is_shown=False))


def log(out):
    return {line["step"]: line["loss"] for line in map(json.loads, (out / "log.jsonl").read_text().splitlines())}


# A picture of 200 x 100 pixels: the square in its middle begins at x = 50.
MASK = np.zeros((100, 200), bool)
MASK[10:60, 60:90] = True


@pytest.mark.parametrize(
    ("place", "flip", "expected"),
    [
        ({"box": Box(x0=0.3, y0=0.1, x1=0.45, y1=0.6)}, False, {"box": (0.1, 0.1, 0.4, 0.6)}),
        ({"box": Box(x0=0.3, y0=0.1, x1=0.45, y1=0.6)}, True, {"box": (0.6, 0.1, 0.9, 0.6)}),
        ({"box": Box(x0=0.0, y0=0.0, x1=0.5, y1=1.0)}, False, {"box": (0.0, 0.0, 0.5, 1.0)}),
        ({"box": Box(x0=0.0, y0=0.0, x1=0.25, y1=1.0)}, False, None),
        ({"box": Box(x0=0.3, y0=0.1, x1=0.34, y1=0.2)}, False, None),  # less than a hundredth of the square
        ({"point": Point(x=0.35, y=0.5)}, False, {"point": (0.2, 0.5)}),
        ({"point": Point(x=0.35, y=0.5)}, True, {"point": (0.8, 0.5)}),
        ({"point": Point(x=0.1, y=0.5)}, False, None),
        (
            {"scribble": Scribble(points=(Point(x=0.1, y=0.5), Point(x=0.5, y=0.25)))},
            False,
            {"scribble": [(0.5, 0.25)]},
        ),
        ({"mask": Mask.from_array(MASK)}, False, {"mask": (0.1, 0.1, 0.4, 0.6)}),
        ({"mask": Mask.from_array(MASK)}, True, {"mask": (0.6, 0.1, 0.9, 0.6)}),
        ({"mask": Mask.from_array(MASK[::2, ::2])}, False, {"mask": (0.1, 0.1, 0.4, 0.6)}),  # stored at half the size
    ],
)
def test_places_move_with_the_square(place, flip, expected):
    instances = Crop((200, 100), flip).instances([Instance(caption="a ball", **place)])
    if expected is None:
        assert instances == []
        return
    [(kind, where)] = expected.items()
    [instance] = instances
    moved = getattr(instance, kind)
    if kind == "point":
        assert (moved.x, moved.y) == pytest.approx(where)
    elif kind == "scribble":
        assert np.allclose([(p.x, p.y) for p in moved.points], where)
    else:
        assert (moved.box if kind == "mask" else moved).xyxy == pytest.approx(where)


def test_what_is_in_the_box_is_still_in_the_box(inputs):
    """The colour under the moved box, in the picture as the model sees it, is that of the caption."""
    examples = examples_of(recipe(inputs, drop_caption=0, drop_grounding=0))
    masks = 0
    for position in range(24):
        example = examples[position]
        if not example.grounding.has_box[0, 0]:
            continue
        x0, y0, x1, y1 = (example.grounding.box_xy[0, 0] * 64).tolist()
        middle = example.pixels[0, :, int((y0 + y1) / 2), int((x0 + x1) / 2)]
        corner = example.pixels[0, :, int(min(y1 + 3, 63)), int(max(x0 - 3, 0))]
        colour = example.captions[0].split()[1]
        assert middle.argmax() == COLOURS.index(colour) and middle.max() - middle.min() > 0.9 and corner.min() > 0.9
        if example.grounding.segs[0, 0].any():
            rows, columns = example.grounding.segs[0, 0].nonzero(as_tuple=True)
            assert [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] == pytest.approx(
                [x0, y0, x1, y1], abs=1.5
            )
            masks += 1
    assert masks


def test_an_example_depends_on_its_position_alone(inputs):
    forwards = examples_of(recipe(inputs))
    backwards = examples_of(recipe(inputs))
    first = [forwards[p] for p in range(12)]
    second = [backwards[p] for p in reversed(range(12))][::-1]
    for example, again in zip(first, second, strict=True):
        for name in ("noise", "pixels", "timesteps"):
            assert torch.equal(getattr(example, name), getattr(again, name))
        assert example.captions == again.captions and torch.equal(example.grounding.segs, again.grounding.segs)
    assert not torch.equal(first[0].noise, examples_of(recipe(inputs, seed=1))[0].noise)
    assert len({int(e._index(p)) for e in [forwards] for p in range(6)}) == 6  # an epoch holds each picture once


@pytest.mark.parametrize("first", [0, 3])
def test_processes_share_what_one_would_do(inputs, first):
    alone = list(positions(first, recipe(inputs, batch=8), 1, 0))
    parts = [list(positions(first, recipe(inputs, batch=2, accumulate=2), 2, rank)) for rank in (0, 1)]
    both = [parts[0][i : i + 2] + parts[1][i : i + 2] for i in range(0, len(parts[0]), 2)]
    steps = [sorted(position for batch in batches for position in batch) for batches in both]
    assert steps == alone and alone[0][0] == 8 * first


def instance(**places):
    return Instance(caption="a red ball", category="ball", **places)


BOXED = instance(box=Box(x0=0.2, y0=0.2, x1=0.6, y1=0.6))
MASKED = instance(mask=Mask.from_array(MASK[:, 50:150]))


def test_kinds_of_place_are_dropped_as_published():
    """Shares over many draws; expected: 10% without each kind, 10% points alone, 10% masks without scribbles."""
    rng = np.random.default_rng(0)
    count = 4000
    drawn = [draw_modes([BOXED, MASKED], rng) for _ in range(count)]
    share = {
        kind: sum(getattr(modes, kind) for modes in drawn) / count for kind in ("box", "point", "scribble", "mask")
    }
    expected = {
        "mask": 0.9 * 0.9,
        "box": 0.9 * (1 - 0.1 * 0.1),
        "scribble": 0.9 * 0.9 * (1 - 0.1 * 0.9),
        "point": 1 - 0.9 * 0.1**3,
    }
    assert share == pytest.approx(expected, abs=0.025)
    assert all(modes.box and modes.point for modes in drawn if modes.mask)
    assert all(any((m.box, m.point, m.scribble, m.mask)) for m in (draw_modes([BOXED], rng) for _ in range(count)))
    assert not any(m.mask or m.scribble for m in (draw_modes([BOXED], rng) for _ in range(100)))


def test_what_is_not_told_is_not_seen():
    rng = np.random.default_rng(0)
    points = keep_places(MASKED, Modes(False, True, False, False), rng)
    assert points.mask is points.box is points.scribble is None and points.point == MASKED.mask.box.centre
    drawn = keep_places(MASKED, Modes(False, False, True, False), rng)
    assert drawn.mask is None and len(drawn.scribble.points) == 20
    assert all(MASK[int(p.y * 100 + 0.5), int(p.x * 100 + 50.5)] for p in drawn.scribble.points)
    dot = Point(x=0.1, y=0.1)
    assert keep_places(instance(scribble=Scribble(points=(dot,))), Modes(True, False, False, False), rng).point == dot


@pytest.fixture(scope="module")
def pipeline(inputs):
    return InstanceDiffusionPipeline.from_pretrained(inputs / "start")


def batch_of(inputs, **changes):
    examples = examples_of(recipe(inputs, drop_grounding=0, drop_caption=0, **changes))
    return collate([examples[p] for p in range(6)])


@pytest.mark.parametrize("kind", ["epsilon", "sample", "v_prediction"])
def test_the_target_is_the_schedulers(inputs, pipeline, kind):
    """From noisy latents and the right answer, the scheduler finds the clean latents."""
    teacher = Teacher(pipeline)
    teacher.scheduler.register_to_config(prediction_type=kind)
    lesson = teacher.lesson(batch := batch_of(inputs))
    clean = pipeline.vae.encode(batch.pixels).latent_dist
    clean = (clean.mean + clean.std * batch.spread) * pipeline.vae.config.scaling_factor
    for row in range(6):
        t = int(batch.timesteps[row])
        step = teacher.scheduler.step(lesson.target[row : row + 1], t, lesson.noisy[row : row + 1])
        assert torch.allclose(
            step.pred_original_sample, clean[row : row + 1], atol=1e-4 / float(teacher.scheduler.alphas_cumprod[t])
        )


def test_only_the_added_blocks_learn(inputs, tmp_path):
    train(recipe(inputs, out=tmp_path, steps=3, ema=0))
    before, after = (
        InstanceDiffusionPipeline.from_pretrained(folder) for folder in (inputs / "start", tmp_path / "model")
    )
    changed = {"unet": set(), "unifusion": set(), "vae": set(), "text_encoder": set()}
    for part, names in changed.items():
        old = getattr(before, part).state_dict()
        new = getattr(after, part).state_dict()
        names |= {name for name in old if not torch.equal(old[name], new[name])}
    assert not changed["vae"] | changed["text_encoder"]
    assert changed["unet"] and all(".fuser." in name or ".scaleu." in name for name in changed["unet"])
    assert (
        any("scaleu" in name for name in changed["unet"])
        and {"tokenizers.box.0.weight", "null_place.box"} <= changed["unifusion"]
    )
    box = Instance(caption="a red box", box=Box(x0=0.2, y0=0.2, x1=0.6, y1=0.8))
    painted = load_engine(str(tmp_path / "model")).render(
        Layout(width=64, height=64, caption="a box", instances=[box]), RenderSettings()
    )
    assert isinstance(painted.images[0], Image.Image)


def test_the_bundled_model_trains_on(inputs, tmp_path):
    """Another autoencoder, a scheduler of clean latents, a place map, and attention by instance."""
    draft = engine_info("draft").folder
    train(recipe(inputs, model=draft, out=tmp_path, steps=2, size=64, ema=0))
    assert all(0 < loss < 3 for loss in log(tmp_path).values())
    before, after = (
        InstanceDiffusionPipeline.from_pretrained(folder).unifusion.place_mapper
        for folder in (draft, tmp_path / "model")
    )
    assert not torch.equal(before.read.weight, after.read.weight)
    assert engine_info(str(tmp_path / "model")).defaults == engine_info("draft").defaults


def test_it_learns(inputs, tmp_path):
    """The error on noise it has seen often falls: 25 steps over the same six pictures."""
    trainer = make_trainer(recipe(inputs, out=tmp_path, batch=6, rate=5e-3, warmup=0, drop_caption=0, drop_grounding=0))
    lesson = trainer.task.teacher.lesson(batch_of(inputs))
    trainer.task.lessons = itertools.repeat(lesson)
    losses = [trainer.take_step()["loss"].item() for _ in range(25)]
    assert losses[-1] < 0.8 * losses[0]


def test_checkpointed_blocks_give_the_same_gradients_and_keep_less(inputs):
    gradients = []
    sizes = []
    for checkpointing in (False, True):
        pipeline = InstanceDiffusionPipeline.from_pretrained(inputs / "start")
        *inputs_of_model, target = Teacher(pipeline).lesson(batch_of(inputs))
        learner = Learner(pipeline.unet, pipeline.unifusion, checkpointing)
        held = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, held=held: held.append(t.numel()) or t, lambda t: t):
            loss = squared_error(learner(*inputs_of_model), target)
        sizes.append(sum(held))
        loss.backward()
        gradients.append({name: p.grad for name, p in learner.trained().items()})
    assert sizes[1] < 0.5 * sizes[0]
    for name, gradient in gradients[0].items():
        assert torch.allclose(gradient, gradients[1][name], atol=1e-7), name


def test_reading_masks_begins_with_a_trained_convnext(inputs, tmp_path):
    for name, width in (("fits", 8), ("other", 16)):
        ConvNextModel(ConvNextConfig(hidden_sizes=[width, 8, 8, 8], depths=[1, 1, 1, 1])).save_pretrained(
            tmp_path / name
        )
    wanted = ConvNextModel.from_pretrained(tmp_path / "fits").embeddings.patch_embeddings.weight
    unifusion = InstanceDiffusionPipeline.from_pretrained(inputs / "start").unifusion
    load_convnext(unifusion, tmp_path / "fits")
    assert torch.equal(unifusion.convnext.embeddings.patch_embeddings.weight, wanted)
    for folder in ("other", "nowhere"):
        with pytest.raises(BadInput) as caught:
            load_convnext(unifusion, tmp_path / folder)
        assert caught.value.field == "convnext" and "\n" not in str(caught.value)


def test_half_precision_trains(inputs, tmp_path):
    train(recipe(inputs, out=tmp_path, steps=2, precision="bf16", gradient_checkpointing=True))
    AcceleratorState._reset_state(True)
    first = make_trainer(recipe(inputs, out=tmp_path / "exact")).gradients()["loss"].item()
    assert log(tmp_path)[1] != first and log(tmp_path)[1] == pytest.approx(first, rel=0.02)


def test_readers_beside_the_training_change_nothing(inputs, tmp_path):
    for workers in (0, 2):
        train(recipe(inputs, out=tmp_path / str(workers), steps=3, workers=workers))
    assert log(tmp_path / "0") == pytest.approx(log(tmp_path / "2"), abs=1e-6)


def test_goes_on_only_with_the_same_training(inputs, tmp_path):
    train(recipe(inputs, out=tmp_path, steps=2))
    for changes, field in [
        ({}, "out"),
        ({"resume": True, "seed": 3}, "resume"),
        ({"resume": True, "batch": 4}, "resume"),
    ]:
        with pytest.raises(BadInput) as caught:
            train(recipe(inputs, out=tmp_path, **changes))
        assert caught.value.field == field
    train(recipe(inputs, out=tmp_path, resume=True, batch=1, accumulate=2))  # as many pictures a step
    assert sorted(log(tmp_path)) == [1, 2, 3, 4]


def changed(inputs, folder, change):
    """The pictures, and their annotations after a change to them, in a folder of their own."""
    shutil.copytree(inputs / "pictures", folder / "pictures")
    data = json.loads((inputs / "train.json").read_text())
    change(data)
    (folder / "annotations.json").write_text(json.dumps(data))
    return recipe(inputs, annotations=folder / "annotations.json", images=folder / "pictures", out=folder / "out")


def test_what_cannot_be_used_is_left_out_before_the_first_step_and_said(inputs, tmp_path, capsys):
    def spoil(data):
        data["annotations"][0].update(bbox=[-30, 12, 60, 31])  # cut at the border
        data["annotations"][1].update(category_id=9, caption=None)  # no such category
        data["annotations"][2].update(iscrowd=1)
        data["annotations"][3].update(bbox=[30, 20, 3, 3], segmentation=[])  # too small to be seen
        data["images"][4].update(width=500)

    odd = changed(inputs, tmp_path, spoil)
    (tmp_path / "pictures" / "6.png").write_bytes((tmp_path / "pictures" / "6.png").read_bytes()[:-40])
    assert make_trainer(odd).step == 0
    [line] = [line for line in capsys.readouterr().err.splitlines() if "annotations.json: " in line]
    assert (
        "1 of 6 annotations on 4 of 6 pictures are used; boxes cut at the border of their picture: 1 (annotation 1"
        in line
    )
    for part in (
        "nothing names their category: 1 (annotation 2)",
        "crowd regions (iscrowd) left out, as they are no single things: 1",
        "pictures left out, as they have other proportions than their record says: 1 (image 5: 5.png has 96 x 64",
        "pictures left out, as they cannot be read: 1 (image 6: 6.png is no picture that can be read: ",
        "annotations left out with their picture: 2 (image 5, image 6)",
        "less than 1% of the square in the middle of their picture: 1 (image 4)",
    ):
        assert part in line


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda anno: anno.update(iscrowd=1), "0 of 6 annotations can be used; crowd regions (iscrowd) left out"),
        (
            lambda anno: anno.update(bbox=[30, 20, 3, 3], segmentation=[]),
            "0 of 6 annotations used; 0 of 6 annotations on 6",
        ),
        (lambda anno: anno.update(image_id=77), "0 of 6 annotations can be used; annotations left out, as their image"),
    ],
)
def test_a_training_that_would_use_no_annotation_is_refused(inputs, tmp_path, change, message):
    nothing = changed(inputs, tmp_path, lambda data: [change(anno) for anno in data["annotations"]])
    with pytest.raises(BadInput) as caught:
        train(nothing)
    assert message in str(caught.value) and not list((tmp_path / "out").glob("*.jsonl"))


def test_masks_that_are_all_of_a_brush_are_things(inputs, tmp_path):
    def brush(data):
        for anno, record in zip(data["annotations"], data["images"], strict=True):
            shape = np.zeros((record["height"], record["width"]), bool)
            shape[20:40, 30:50] = True
            runs = rle.encode(shape)
            anno.update(iscrowd=1, bbox=None, segmentation={"size": list(shape.shape), "counts": runs})

    brushed = changed(inputs, tmp_path, brush)
    pictures = read_pictures(brushed, is_shown=False)
    assert pictures.count == 6 and "as CVAT writes brushes: 6" in pictures.summary
    with pytest.raises(BadInput, match="0 of 6"):
        read_pictures(TrainingRecipe.parse({**dict(brushed), "crowd": "regions"}), is_shown=False)


def test_a_photograph_is_turned_before_its_places_are_taken(inputs, tmp_path):
    """A picture of 64 x 96 pixels that is stored on its side, with a red thing in its upper left corner."""
    seen = np.full((96, 64, 3), 255, np.uint8)
    seen[20:50, 4:34] = (255, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = 8

    def turned(data):
        data["images"] = [{"id": 1, "file_name": "turned.png", "width": 64, "height": 96}]
        data["annotations"] = [data["annotations"][0] | {"bbox": [4, 20, 30, 30], "segmentation": []}]

    one = changed(inputs, tmp_path, turned)
    Image.fromarray(np.rot90(seen, -1)).save(tmp_path / "pictures" / "turned.png", exif=exif.tobytes())
    examples = examples_of(TrainingRecipe.parse({**dict(one), "drop_grounding": 0}))
    example = next(examples[p] for p in range(9) if examples[p].grounding.has_box[0, 0])
    x0, y0, x1, y1 = (example.grounding.box_xy[0, 0] * 64).round().int().tolist()
    assert example.pixels[0, 0].min() > 0.9  # red and white alike
    assert example.pixels[0, 1, y0 + 2 : y1 - 2, x0 + 2 : x1 - 2].max() < -0.9


def test_a_mask_of_a_large_photograph_is_cut_with_it():
    mask = np.zeros((60, 90), bool)
    mask[10:30, 40:60] = True
    large = Crop((9000, 6000), False).instances([Instance(caption="a ball", mask=Mask.from_array(mask))])
    small = Crop((90, 60), False).instances([Instance(caption="a ball", mask=Mask.from_array(mask))])
    assert large[0].mask.box.xyxy == pytest.approx(small[0].mask.box.xyxy, abs=0.001) and large[0].mask.size == (
        2048,
        2048,
    )


def test_another_picture_takes_the_place_of_one_that_is_damaged_later(inputs, tmp_path):
    examples = examples_of(changed(inputs, tmp_path, lambda data: None))
    path = examples.pictures[examples._index(0)].path
    path.write_bytes(path.read_bytes()[:60])
    with pytest.warns(LayoutWarning, match=f"{path.name}: is no picture that can be read.*another picture takes its"):
        example = examples[0]
    next_one = examples.pictures[examples._index(1)]
    assert example.pixels.shape == (1, 3, 64, 64) and example.captions[0] in ("", next_one.record["caption"])


@pytest.mark.parametrize(
    ("option", "value", "field"),
    [
        ("--batch", "0", "batch"),
        ("--batch", "many", "batch"),
        ("--precision", "int8", "precision"),
        ("--precision", "fp16", "precision"),  # which processors have not
        ("--size", "65", "size"),
        ("--model", "nowhere", "model"),
        ("--annotations", "nowhere.json", "annotations"),
        ("--images", ".", "images"),
    ],
)
def test_bad_options_are_one_line(inputs, tmp_path, capsys, option, value, field):
    fields = recipe_fields(inputs, out=tmp_path, resume=None, workers=0)
    options = {f"--{name.replace('_', '-')}": str(v) for name, v in fields.items() if v is not None}
    assert main(["sd15", *(word for pair in (options | {option: value}).items() for word in pair)]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"error: {field}: ") and printed.count("\n") == 1


def test_a_model_without_the_blocks_is_refused_with_what_to_run_first(inputs, tmp_path, capsys):
    """Stable Diffusion as it is published: the folder of its pipeline has no UniFusion."""
    plain = shutil.copytree(inputs / "start", tmp_path / "plain")
    shutil.rmtree(plain / "unifusion")
    index = json.loads((plain / "model_index.json").read_text())
    del index["unifusion"]
    (plain / "model_index.json").write_text(json.dumps({**index, "_class_name": "StableDiffusionPipeline"}))
    fields = recipe_fields(inputs, out=tmp_path / "out", model=plain, resume=None)
    options = {f"--{name.replace('_', '-')}": str(value) for name, value in fields.items() if value is not None}
    assert main(["sd15", *(word for pair in options.items() for word in pair)]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"error: model: {plain} is a StableDiffusionPipeline without the blocks ")
    assert f"run first: python -m instdiff.checkpoint {plain} --out " in printed and printed.count("\n") == 1
    with pytest.raises(BadInput, match=f"^engine: .* --backbone {plain} --out "):
        engine_info(str(plain))
