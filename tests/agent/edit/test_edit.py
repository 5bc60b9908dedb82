import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import run_agent
from agent import loop
from agent.edit import edit_plan, source
from agent.edit.editable_plan import with_adjectives, without_object
from agent.edit.parse import commands
from agent.loop import Agent
from agent.planners.offline import OfflinePlanner
from agent.planners.plan import Plan
from agent.runs import Run
from instdiff.errors import BadInput
from instdiff.formats import layout_from_json, read_png
from instdiff.layout import Box, Instance, Layout, Mask, Point, Scribble
from instdiff.world.placement import rests
from instdiff.world.relations import broken_relations
from tests.agent import doubles
from tests.agent.doubles import ColourDetector, ListPlanner, RectanglePainter

ROOT = Path(__file__).parents[3]


def box(x0, y0, x1, y1):
    return Box(x0=x0, y0=y0, x1=x1, y1=y1)


def layout(caption, *things):
    instances = tuple(
        Instance(caption=said, category=category, box=box(*corners)) for said, category, corners in things
    )
    return Plan(layout=Layout(caption=caption, instances=instances), planner="offline")


ROOM = layout(
    "a living room with a grey sofa, a lamp and a table",
    ("a grey sofa", "couch", (0.3, 0.5, 0.75, 0.78)),
    ("a floor lamp", "lamp", (0.82, 0.3, 0.92, 0.72)),
    ("a wooden table", "table", (0.05, 0.68, 0.35, 0.9)),
    ("a white cup", "cup", (0.15, 0.6, 0.22, 0.69)),
)
STREET = layout(
    "a brown dog and a white dog beside a red car, a tree",
    ("a tree", "tree", (0.7, 0.1, 0.95, 0.7)),
    ("a red car", "car", (0.35, 0.5, 0.68, 0.7)),
    ("a brown dog", "dog", (0.1, 0.65, 0.25, 0.82)),
    ("a white dog", "dog", (0.7, 0.72, 0.86, 0.9)),
)


def after(plan, words):
    return edit_plan(plan, words).layout


def boxes(plan):
    """{caption: box}; a thing that is there twice by its caption is there once more with its number."""
    found = {}
    for number, instance in enumerate(plan.instances, 1):
        found[instance.caption if instance.caption not in found else f"{instance.caption} {number}"] = instance.box
    return found


def left(a, b):
    return a.centre.x < b.centre.x


def beside(a, b):
    return max(a.x0 - b.x1, b.x0 - a.x1, 0) < 0.15 and a.intersection(b) < 0.3 * min(a.area, b.area)


ADDED = [  # layout, words, caption of the new thing, how it lies, to what
    (ROOM, "add a cat on the sofa", "a cat", rests, "a grey sofa"),
    (ROOM, "put a red cushion on the sofa", "a red cushion", rests, "a grey sofa"),
    (ROOM, "add a dog to the left of the sofa", "a dog", left, "a grey sofa"),
    (ROOM, "Add a dog to the right of the lamp.", "a dog", lambda a, b: left(b, a), "a floor lamp"),
    (ROOM, "add a plant behind the sofa", "a plant", lambda a, b: a.y1 < b.y1, "a grey sofa"),
    (ROOM, "add a cat in front of the sofa", "a cat", lambda a, b: a.y1 > b.y1, "a grey sofa"),
    (
        ROOM,
        "add a ball under the table",
        "a ball",
        lambda a, b: a.centre.y > b.centre.y and b.x0 < a.centre.x < b.x1,
        "a wooden table",
    ),
    (ROOM, "add a bottle next to the cup", "a bottle", beside, "a white cup"),
    (ROOM, "add a picture frame above the sofa", "a picture frame", lambda a, b: a.y1 < b.y0, "a grey sofa"),
    (ROOM, "add an apple to the table", "an apple", rests, "a wooden table"),
    (ROOM, "add a bowl", "a bowl", rests, "a wooden table"),  # where a bowl belongs
    (ROOM, "add another cup next to the cup", "a cup", beside, "a white cup"),
    (ROOM, "add a cat between the table and the sofa", "a cat", left, "a grey sofa"),
    (STREET, "add a bird on the tree", "a bird", lambda a, b: b.x0 < a.centre.x < b.x1, "a tree"),
    (STREET, "add a man next to the car", "a man", beside, "a red car"),
    (
        STREET,
        "add a sun in the top left corner",
        "a sun",
        lambda a, b: a.centre.x < 0.35 and a.centre.y < 0.35,
        "a tree",
    ),
    (STREET, "add a cat on the right", "a cat", lambda a, b: a.centre.x > 0.5, "a tree"),
    (STREET, "insert an elephant behind the red car", "an elephant", lambda a, b: a.y1 < b.y1, "a red car"),
]


@pytest.mark.parametrize(("plan", "words", "caption", "lies", "target"), ADDED)
def test_a_thing_is_added_and_all_else_stays(plan, words, caption, lies, target):
    new = edit_plan(plan, words)
    assert (
        new.layout.with_instances([i for i in new.layout.instances if i in plan.layout.instances]).instances
        == plan.layout.instances
    )
    (added,) = [i for i in new.layout.instances if i not in plan.layout.instances]
    assert added.caption == caption and lies(added.box, boxes(new.layout)[target])
    assert min(added.box.width, added.box.height) > 0.05
    assert not broken_relations(new.scene, new.layout, new.ids)
    assert new.layout.caption.startswith(plan.layout.caption) and len(new.notes) == 1


CHANGED = [  # layout, words, captions gone, captions come, words in the scene's caption, words not in it
    (ROOM, "remove the lamp", ["a floor lamp"], [], "table", "lamp"),
    (ROOM, "delete the cup and the lamp", ["a white cup", "a floor lamp"], [], "sofa", "lamp"),
    (ROOM, "please take away the lamp from the picture", ["a floor lamp"], [], "sofa", "lamp"),
    (STREET, "remove the left dog", ["a brown dog"], [], "a white dog", "brown"),
    (STREET, "remove both dogs", ["a brown dog", "a white dog"], [], "a red car", "dog"),
    (STREET, "remove the dog on the right", ["a white dog"], [], "a brown dog", "white"),
    (STREET, "remove dog 3", ["a brown dog"], [], "a white dog", "brown"),
    (STREET, "remove the second dog", ["a white dog"], [], "a brown dog", "white"),
    (ROOM, "replace the sofa with a bed", ["a grey sofa"], ["a bed"], "a bed", "sofa"),
    (STREET, "replace the white dog with a black cat", ["a white dog"], ["a black cat"], "a black cat", "white"),
    (STREET, "turn the car into a bus", ["a red car"], ["a bus"], "a bus", "car"),
    (ROOM, "make the sofa red", ["a grey sofa"], ["a red sofa"], "a red sofa", "grey"),
    (ROOM, "paint the table white", ["a wooden table"], ["a white wooden table"], "a white wooden table", ";"),
    (
        ROOM,
        "change the colour of the sofa to dark blue",
        ["a grey sofa"],
        ["a dark blue sofa"],
        "a dark blue sofa",
        "grey",
    ),
    (STREET, "recolour the car in green", ["a red car"], ["a green car"], "a green car", "red"),
    (
        ROOM,
        "make the sofa and the lamp blue",
        ["a grey sofa", "a floor lamp"],
        ["a blue sofa", "a blue floor lamp"],
        "a blue sofa",
        "grey",
    ),
    (ROOM, "add a cat on the sofa and then make it black", [], ["a black cat"], "a black cat on the sofa", ";"),
    (
        ROOM,
        "remove the lamp, add a cat, and make the sofa red",
        ["a floor lamp", "a grey sofa"],
        ["a cat", "a red sofa"],
        "a cat",
        "lamp",
    ),
    (
        STREET,
        "replace the tree with a house and remove the brown dog",
        ["a tree", "a brown dog"],
        ["a house"],
        "a house",
        "tree",
    ),
]


@pytest.mark.parametrize(("plan", "words", "gone", "come", "said", "unsaid"), CHANGED)
def test_things_go_come_and_change_their_looks(plan, words, gone, come, said, unsaid):
    old = boxes(plan.layout)
    new = boxes(after(plan, words))
    assert sorted(old.keys() - new.keys()) == sorted(gone)
    assert sorted(new.keys() - old.keys()) == sorted(come)
    assert all(new[name] == old[name] for name in old.keys() & new.keys())
    assert said in after(plan, words).caption and unsaid not in after(plan, words).caption


MOVED = [  # layout, words, what moves, how its box changes
    (
        ROOM,
        "move the lamp to the left",
        "a floor lamp",
        lambda old, new, by: new.centre.x < 0.35 and new.y1 == pytest.approx(old.y1),
    ),
    (
        ROOM,
        "shift the sofa a bit to the right",
        "a grey sofa",
        lambda old, new, by: 0.03 < new.centre.x - old.centre.x < 0.12,
    ),
    (STREET, "move the car all the way to the left", "a red car", lambda old, new, by: new.x0 < 0.02),
    (STREET, "move the car to the centre", "a red car", lambda old, new, by: new.centre.x == pytest.approx(0.5)),
    (
        STREET,
        "move the brown dog to the right of the car",
        "a brown dog",
        lambda old, new, by: left(by["a red car"], new),
    ),
    (STREET, "move the tree to the left of the car", "a tree", lambda old, new, by: left(new, by["a red car"])),
    (
        STREET,
        "bring the white dog closer",
        "a white dog",
        lambda old, new, by: new.area > 1.3 * old.area and new.y1 >= old.y1,
    ),
    (STREET, "move the car back", "a red car", lambda old, new, by: new.area < old.area and new.y1 < old.y1),
    (ROOM, "move the cup onto the sofa", "a white cup", lambda old, new, by: rests(new, by["a grey sofa"])),
    (ROOM, "put the cup on the sofa", "a white cup", lambda old, new, by: rests(new, by["a grey sofa"])),
    (
        ROOM,
        "move the cup up",
        "a white cup",
        lambda old, new, by: new.y1 < old.y1 - 0.1 and new.centre.x == pytest.approx(old.centre.x),
    ),
    (
        STREET,
        "make the tree smaller",
        "a small tree",
        lambda old, new, by: new.height == pytest.approx(old.height / 1.3),
    ),
    (STREET, "make the car twice as large", "a large red car", lambda old, new, by: new.width == pytest.approx(0.66)),
    (STREET, "make the tree much smaller", "a small tree", lambda old, new, by: new.height == pytest.approx(0.6 / 1.7)),
    (STREET, "enlarge the car by 50%", "a large red car", lambda old, new, by: new.width == pytest.approx(0.33 * 1.5)),
    (
        ROOM,
        "make the lamp taller",
        "a floor lamp",
        lambda old, new, by: new.height / new.width > 1.2 * old.height / old.width,
    ),
]


@pytest.mark.parametrize(("plan", "words", "what", "holds"), MOVED)
def test_one_thing_moves_or_grows_and_nothing_else_does(plan, words, what, holds):
    new = boxes(after(plan, words))
    (index,) = [i for i, instance in enumerate(after(plan, words).instances) if instance.caption == what]
    old = plan.layout.instances[index].box
    assert holds(old, new[what], new)
    assert all(i.box == new[i.caption] for i in plan.layout.instances if i.caption in new and i.caption != what)
    assert all(0 <= side <= 1 for side in new[what].xyxy)


def test_what_stands_on_a_thing_goes_with_it():
    new = boxes(after(ROOM, "move the table to the right"))
    old = boxes(ROOM.layout)
    shift = new["a wooden table"].x0 - old["a wooden table"].x0
    assert shift > 0.3 and new["a white cup"].x0 - old["a white cup"].x0 == pytest.approx(shift)
    assert rests(new["a white cup"], new["a wooden table"])
    assert rests(
        *(boxes(after(ROOM, "make the table larger"))[name] for name in ("a white cup", "a large wooden table"))
    )
    alone = boxes(after(ROOM, "remove the table"))
    assert alone["a white cup"].y1 == pytest.approx(old["a wooden table"].y1, abs=0.02)


def test_two_things_change_places():
    old = boxes(STREET.layout)
    new = boxes(after(STREET, "swap the brown dog and the car"))
    assert left(old["a brown dog"], old["a red car"]) and left(new["a red car"], new["a brown dog"])
    assert new["a tree"] == old["a tree"] and new["a white dog"] == old["a white dog"]
    plan = OfflinePlanner().plan("a cat to the left of a dog", (512, 512), 3)
    turned = edit_plan(plan, "swap the cat and the dog")
    assert not broken_relations(turned.scene, turned.layout, turned.ids) and "left" not in turned.layout.caption
    assert left(boxes(turned.layout)["a dog"], boxes(turned.layout)["a cat"])


def test_relations_of_the_scene_follow_the_edit():
    plan = OfflinePlanner().plan("a cat on a couch", (512, 512), 0)
    moved = edit_plan(plan, "move the cat to the left of the couch")
    assert [relation.predicate.value for relation in moved.scene.relations] == ["left of"]
    assert " on " not in moved.layout.caption
    again = edit_plan(edit_plan(plan, "replace the couch with a bed"), "remove the bed")
    assert (len(again.layout.instances), again.scene.relations) == (1, ())
    assert set(again.layout.negative_caption.split(", ")) == {"couch", "bed"}
    assert "couch" not in edit_plan(again, "add a couch").layout.negative_caption


def test_several_things_are_added_and_none_lies_on_another():
    for words, count in (("add two books on the table", 2), ("add three cats", 3), ("add a cat and a dog", 2)):
        new = [i.box for i in after(ROOM, words).instances if i not in ROOM.layout.instances]
        assert len(new) == count
        assert all(a.iou(b) < 0.15 for i, a in enumerate(new) for b in new[:i])


def test_points_scribbles_and_masks_move_too():
    import numpy as np

    mask = np.zeros((64, 64), dtype=bool)
    mask[40:50, 10:20] = True
    things = (
        Instance(caption="a dog", category="dog", point=Point(x=0.7, y=0.6)),
        Instance(caption="a cat", category="cat", scribble=Scribble(points=(Point(x=0.5, y=0.6), Point(x=0.6, y=0.7)))),
        Instance(caption="a car", category="car", mask=Mask.from_array(mask)),
    )
    plan = Plan(layout=Layout(caption="c", instances=things), planner="none")
    assert after(plan, "move the dog to the left").instances[0].point.x < 0.4
    moved = after(plan, "move the cat to the left").instances[1].scribble
    assert len(moved.points) == 2 and moved.box.width == pytest.approx(0.1)
    assert after(plan, "move the car to the right").instances[2].box.width == pytest.approx(10 / 64)
    assert after(plan, "make the car red").instances[2].mask == things[2].mask


REFUSED = [
    ("", "say what to change"),
    ("frobnicate the lamp", "no edit that is known"),
    ("remove the piano", "a grey sofa .1., a floor lamp .2."),
    ("remove the blue sofa", "a grey sofa"),
    ("add a cat on the piano", "not there"),
    ("move the lamp", "does not say where"),
    ("make the lamp", "does not say how"),
    ("replace the lamp", "needs two"),
    ("swap the lamp and the lamp", "two different things"),
    ("make it red", "stands for nothing"),
    ("move the lamp sideways to nowhere", "is no place"),
    ("add nothing", "names nothing"),
    ("make the sofa grey", "changes nothing"),
    ("add " + "a cat and " * 300, "characters"),
]


@pytest.mark.parametrize(("words", "reason"), REFUSED)
def test_what_cannot_be_read_is_refused_with_the_cure(words, reason):
    with pytest.raises(BadInput, match=reason) as refused:
        edit_plan(ROOM, words)
    assert refused.value.field == "edit"


def test_words_that_mean_several_things_are_refused():
    with pytest.raises(BadInput, match='"a brown dog", 4 "a white dog"'):
        edit_plan(STREET, "remove the dog")


def test_a_full_layout_takes_no_more():
    things = [(f"a dog {n}", "dog", (0.1, 0.1, 0.2, 0.2)) for n in range(30)]
    with pytest.raises(BadInput, match="room for 30"):
        edit_plan(layout("dogs", *things), "add a cat")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("remove the lamp and the cat", [("remove", "the lamp"), ("remove", "the cat")]),
        ("remove the lamp and add a cat and a dog", [("remove", "the lamp"), ("add", "a cat and a dog")]),
        ("remove the lamp; then swap the cat and the dog", [("remove", "the lamp"), ("swap", "the cat")]),
        ("Please make the lamp larger and the cat smaller.", [("make", "the lamp"), ("make", "the cat")]),
        ("move the cat next to the dog", [("move", "the cat")]),
    ],
)
def test_a_sentence_is_cut_into_commands(words, found):
    there = {"the lamp", "the cat", "the dog"}
    assert [(c.verb, c.target) for c in commands(words, lambda name: name in there)] == found


@pytest.mark.parametrize(
    ("caption", "words", "new"),
    [
        ("a grey sofa", ["red"], "a red sofa"),
        ("a large old red car", ["blue"], "a large old blue car"),
        ("a small dog", ["large"], "a large dog"),
        ("a black and white cat with green eyes", ["orange"], "an orange cat with green eyes"),
        ("sofa", ["red"], "a red sofa"),
    ],
)
def test_looks(caption, words, new):
    assert sorted(with_adjectives(caption, words).split()) == sorted(new.split())
    assert with_adjectives(caption, words).split()[0] == new.split()[0]


@pytest.mark.parametrize(
    ("caption", "thing", "left_over", "new"),
    [
        ("a cat on a sofa", ("a sofa", "couch"), 0, "a cat"),
        ("a cat on a sofa", ("a cat", "cat"), 0, "a sofa"),
        ("two dogs and a cat", ("a dog", "dog"), 1, "a dog and a cat"),
        ("three dogs", ("a dog", "dog"), 2, "two dogs"),
        ("a quiet street", ("a car", "car"), 0, "a quiet street"),
        ("a kitchen with a table, a chair and a cup", ("a chair", "chair"), 0, "a kitchen with a table and a cup"),
    ],
)
def test_captions_without_a_thing(caption, thing, left_over, new):
    assert without_object(caption, *thing, left_over) == new


def test_editing_is_deterministic_and_fast():
    import time

    assert edit_plan(STREET, "add a cat and a man next to the car") == edit_plan(
        STREET, "add a cat and a man next to the car"
    )
    started = time.process_time()
    edit_plan(STREET, "add three cats, remove the tree and make the car blue")
    assert time.process_time() - started < 2


@pytest.fixture
def door(tmp_path, monkeypatch, capfd):
    """Calls the command line with the doubles, in an empty folder; gives exit code, stdout, stderr."""
    for name in ("load_planner", "load_engine", "load_detector"):
        monkeypatch.setattr(loop, name, getattr(loop, name))
    monkeypatch.chdir(tmp_path)
    doubles.install()

    def call(arguments):
        code = run_agent.main(shlex.split(arguments))
        return code, *capfd.readouterr()

    return call


def test_the_whole_way_of_an_edit(door):
    first = json.loads(door("'dog cat' --json --seed 11 --images 2 --steps 5")[1])
    code, out, err = door(
        f"--edit {first['run']} 'move the dog a little to the right and add a car to the right of the cat' --json"
    )
    answer = json.loads(out)
    assert code == 0 and answer["run"] != first["run"] and answer["verified"]
    assert (answer["edited_from"], answer["planner"], answer["engine"]) == (first["run"], "none", "draft")
    assert "Added a car" in err
    (before, settings) = read_png(first["image"])
    (now, new_settings) = read_png(answer["image"])
    assert {key: new_settings[key] for key in ("seed", "num_inference_steps", "mis", "alpha")} == {
        key: settings[key] for key in ("seed", "num_inference_steps", "mis", "alpha")
    }
    assert len(answer["rounds"]) == 1
    assert [i.category for i in now.instances] == ["dog", "cat", "car"]
    assert now.instances[1].box.xyxy == pytest.approx(before.instances[1].box.xyxy, abs=1e-9)
    assert now.instances[0].box.x0 > before.instances[0].box.x0
    run = Run.load(answer["run"])
    assert (run.request.edited.run, run.request.edited.round) == (first["run"], first["best_round"])
    pair, old, new = (
        Image.open(path).convert("RGB") for path in (answer["before_after"], first["image"], answer["image"])
    )
    assert pair.width >= old.width + new.width
    assert pair.crop((0, 0, *old.size)).tobytes() == old.tobytes()
    assert pair.crop((pair.width - new.width, 0, pair.width, new.height)).tobytes() == new.tobytes()


def test_edits_of_edits_and_the_latest_run(door):
    door("'dog cat' --json")
    door("--edit latest 'remove the dog' --json")
    code, out, _ = door("--edit latest 'add a dog to the right of the cat'")
    assert code == 0
    before, picture, _ = out.splitlines()[-3:]
    assert before.startswith("before and after: ") and picture.startswith("picture: ")
    third = Run.load(Path(picture.removeprefix("picture: ")).parent)
    second = Run.load(third.request.edited.run)
    assert second.request.edited and len(list(Path("outputs").iterdir())) == 3
    assert read_png(second.image)[0].negative_caption == "dog"
    assert read_png(third.image)[0].negative_caption == ""
    assert (
        json.loads((third.folder / "given-scene.json").read_text())["scene"]["relations"][0]["predicate"] == "right of"
    )
    assert source(third.folder).plan.scene is not None


def test_plan_only_prints_the_changed_layout(door):
    first = json.loads(door("'dog cat' --json")[1])
    code, out, err = door(f"--edit {first['run']} 'remove the dog' --plan-only")
    assert code == 0 and "Removed a dog" in err
    assert [i.category for i in layout_from_json(json.loads(out), boxes="xywh").instances] == ["cat"]
    assert len(list(Path("outputs").iterdir())) == 1


def test_a_killed_edit_is_resumed(tmp_path):
    out = tmp_path / "out"
    parts = {"planner": ListPlanner(), "engine": RectanglePainter(), "verifier": ColourDetector(), "out": out}
    first = Agent(**parts).run("a dog and a cat")

    class Stopped(Exception):
        pass

    def stop(event):
        if type(event).__name__ == "Step":
            raise Stopped

    with pytest.raises(Stopped):
        Agent(**parts, on_event=stop).edit(first.folder, "remove the dog")
    (folder,) = [path for path in out.iterdir() if path != first.folder]
    assert not (folder / "before_after.png").exists()
    run = Agent(**parts).resume(folder)
    assert run.done and run.verified and run.before_after.exists()


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ("--edit nowhere 'remove the dog'", "run"),
        ("--edit latest 'remove the dog'", "edit"),
        ("--edit nowhere", "edit"),
        ("--edit RUN 'remove the piano'", "edit"),
        ("--edit nowhere 'remove the dog' --planner offline", "planner"),
        ("--edit nowhere 'remove the dog' --size 64", "size"),
        ("--edit nowhere --layout x.json", "layout"),
        ("--edit nowhere 'remove the dog' --resume x", "resume"),
        ("--edit RUN 'remove the dog' --steps 0", "steps"),
        ("--edit RUN 'remove the dog' --rounds 0", "rounds"),
        ("--edit RUN 'remove the dog' --engine none-such", "engine"),
    ],
)
def test_bad_edits_are_one_line_and_code_2(door, arguments, field):
    if "RUN" in arguments:
        arguments = arguments.replace("RUN", json.loads(door("'dog cat' --json")[1])["run"])
    before = len(list(Path().glob("outputs/*")))
    code, out, err = door(arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: {field}: ")
    assert len(list(Path().glob("outputs/*"))) == before


def test_errors_of_edits_import_nothing_heavy(tmp_path):
    heavy = ("torch", "diffusers", "transformers", "langchain_core", "langgraph")
    run = Agent(planner=ListPlanner(), engine=RectanglePainter(), verifier=ColourDetector(), out=tmp_path).run("dog")
    code = "import sys, run_agent\n"
    for words in ("remove the piano", "make the dog red"):
        code += f"run_agent.main(['--edit', sys.argv[1], {words!r}, '--plan-only'])\n"
    code += f"sys.exit(bool([n for n in {heavy} if n in sys.modules]))"
    subprocess.run([sys.executable, "-c", code, str(run.folder)], cwd=ROOT, check=True, capture_output=True)
