"""Datasets with a planner, a painter and a detector that are small, and really do what they are for."""

import json
import subprocess
import sys
from dataclasses import replace
from random import Random

import pytest

from agent.dataset import on_slurm
from agent.dataset.__main__ import main
from agent.dataset.folder import Folder, unbroken
from agent.dataset.making import make
from agent.dataset.mending import find_damage
from agent.dataset.sources import Layouts, Prompts, Scenes, Template, colours_of
from agent.planners.offline import OfflinePlanner
from agent.planners.plan import Planner
from evaluators.manifest import read_manifest, read_pictures
from instdiff.errors import BadInput, ServiceError
from instdiff.formats import layouts_to_coco, read_png
from instdiff.layout import Box, Instance, Layout
from instdiff.world import knowledge
from instdiff.world.knowledge import BASIC_COLOURS
from tests.agent.doubles_dataset import COUNT, PROMPTS, RECIPE, an_order, files_of, placed


@pytest.fixture(autouse=True)
def doubles(monkeypatch):
    return placed(monkeypatch)


def finished(order):
    """Make all of it, as the command does."""
    order.folder.open({**order.recipe.fingerprint(), **order.source.about()})
    make(order)
    return order.folder.finish(order.count)


def test_every_item_is_whole_and_stands_in_the_manifest(tmp_path):
    order = an_order(tmp_path)
    manifest = finished(order)
    items = list(order.folder.read())
    assert len(manifest.pictures) == len(items) == COUNT and find_damage(order.folder) == {}
    assert [image.size for image in read_pictures(manifest, order.folder.items, [item.key for item in items])] == [
        (128, 96)
    ] * COUNT
    assert len({item.seed for item in items}) == COUNT
    for item in items:
        layout, settings = read_png(order.folder.items / f"{item.key}.png")
        assert (layout, settings["seed"], settings["engine"]) == (item.plan(), item.seed, "draft")


def test_any_order_gives_the_same_set(tmp_path):
    straight = an_order(tmp_path / "a")
    mixed = an_order(tmp_path / "b")
    finished(straight)
    mixed.folder.open({**mixed.recipe.fingerprint(), **mixed.source.about()})
    make(mixed, first=1, step=2)
    make(mixed, first=0, step=2)
    mixed.folder.finish(COUNT)
    assert files_of(mixed.folder) == files_of(straight.folder)


@pytest.mark.parametrize(
    "gone",
    [["items/000002.json"], ["items/000003.json", "items/000003.png"], ["items/000000.png", "items/000000.json"]],
)
def test_what_a_kill_leaves_is_mended_and_nothing_is_made_twice(tmp_path, gone):
    order = an_order(tmp_path)
    finished(order)
    before = files_of(order.folder)
    for name in gone:
        (tmp_path / name).unlink()
    (tmp_path / "items/.writing-1-000005.json").write_text('{"index"')
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob("items/0*")}
    finished(an_order(tmp_path))
    assert files_of(order.folder) == before
    assert all(
        path.stat().st_mtime_ns == time
        for path, time in times.items()
        if path.with_suffix(".json").name not in str(gone)
    )
    assert not list(tmp_path.rglob(".writing-*"))


def test_a_larger_count_adds_and_a_smaller_one_keeps_all(tmp_path):
    finished(replace(an_order(tmp_path), count=5))
    assert [item.index for item in Folder(tmp_path).read()] == [0, 1, 2, 3, 4]
    finished(an_order(tmp_path))
    finished(an_order(tmp_path / "whole"))
    whole = files_of(Folder(tmp_path / "whole"))
    assert files_of(Folder(tmp_path)) == whole
    finished(replace(an_order(tmp_path), count=5))
    assert files_of(Folder(tmp_path)) == whole


def ask_and_finish(path, count):
    """As the command makes a set of this size in this process."""
    order = replace(an_order(path), count=count)
    order.folder.open({**order.recipe.fingerprint(), **order.source.about()})
    order.folder.ask(count, default=count)
    make(order)
    return order.folder.finish(count)


def kill_within(path, count):
    """What two processes leave if both are killed: one has made its half, beyond the count too, the other nothing."""
    order = replace(an_order(path), count=count)
    order.folder.open({**order.recipe.fingerprint(), **order.source.about()})
    order.folder.ask(count, default=count)
    make(order, first=1, step=2)
    assert len(list(unbroken(order.folder.decided()))) < count < max(order.folder.decided())
    return order.folder


def test_a_small_count_between_two_larger_ones_changes_nothing(tmp_path):
    for count in (COUNT, 3):
        ask_and_finish(tmp_path / "asked", count)
    kill_within(tmp_path / "asked", 18)
    ask_and_finish(tmp_path / "asked", 18)
    ask_and_finish(tmp_path / "whole", 18)
    assert files_of(Folder(tmp_path / "asked")) == files_of(Folder(tmp_path / "whole"))


def test_a_smaller_count_after_a_kill_loses_nothing(tmp_path):
    ask_and_finish(tmp_path, 5)
    before = files_of(kill_within(tmp_path, 18))
    manifest = before.pop("items/manifest.json")
    assert len(ask_and_finish(tmp_path, 3).pictures) > 5
    after = files_of(Folder(tmp_path))
    assert after.pop("items/manifest.json") != manifest and after == before and not find_damage(Folder(tmp_path))


def test_what_stands_in_the_manifest_of_a_stopped_making_stays(tmp_path):
    folder = kill_within(tmp_path / "stopped", 18)
    assert not folder.finish(18, stopped=True).pictures  # the first batch is not there: what follows may be too much
    make(replace(an_order(tmp_path / "stopped"), count=4))
    listed = folder.finish(18, stopped=True).keys
    assert len(listed) == 8 and listed <= ask_and_finish(tmp_path / "stopped", 18).keys
    ask_and_finish(tmp_path / "whole", 18)
    assert files_of(folder) == files_of(Folder(tmp_path / "whole"))


def the_command(tmp_path, *more):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("a dog\na cat\na tree\n")
    return ["make", str(tmp_path / "made"), "--prompts", str(prompts), "--batch", "4", "--json", *more]


@pytest.mark.parametrize(("again", "asked"), [(["--count", "2"], 2), ([], COUNT)])
def test_a_smaller_or_forgotten_count_keeps_what_is_finished(tmp_path, capsys, again, asked):
    assert main(the_command(tmp_path, "--count", str(COUNT))) == 0
    before = files_of(Folder(tmp_path / "made"))
    capsys.readouterr()
    assert main(the_command(tmp_path, *again)) == 0
    result = json.loads(capsys.readouterr().out)
    notes = [f"{COUNT} pictures are there already, more than --count 2: all are kept"] if again else []
    assert (result["kept"], result["asked"], result.get("notes", [])) == (COUNT, asked, notes)
    assert files_of(Folder(tmp_path / "made")) == before


def test_a_set_made_before_counts_were_written_down_is_kept(tmp_path, capsys):
    assert main(the_command(tmp_path, "--count", str(COUNT))) == 0
    (tmp_path / "made/asked.json").unlink()
    assert main(the_command(tmp_path)) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["kept"] == COUNT


@pytest.mark.parametrize("count", [COUNT, 4])
def test_a_finished_set_is_left_alone(tmp_path, doubles, monkeypatch, count):
    def refuse(*args, **options):
        raise AssertionError("nothing is to be loaded")

    assert main(the_command(tmp_path, "--count", str(count))) == 0
    painted = len(doubles.batches)
    for place in ("worker.load_engine", "worker.load_detector", "planning.load_planner"):
        monkeypatch.setattr(f"agent.dataset.{place}", refuse)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob("made/items/0*")}
    assert main(the_command(tmp_path, "--count", str(count))) == 0
    assert len(doubles.batches) == painted
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("made/items/0*")} == times


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"seed": 1}, r"seed 0 \(now 1\)"),
        ({"rounds": 3}, r"rounds 2 \(now 3\)"),
        ({"accept": "all"}, r"accept picture \(now all\)"),
        ({"batch": 3}, r"batch 4 \(now 3\)"),
        ({"size": (64, 64)}, r"size 128 x 96 \(now 64 x 64\)"),
    ],
)
def test_another_recipe_is_refused_and_the_difference_named(tmp_path, changed, named):
    order = an_order(tmp_path)
    finished(order)
    recipe = RECIPE.model_copy(update=changed)
    with pytest.raises(BadInput, match=named):
        order.folder.open({**recipe.fingerprint(), **order.source.about()})
    with pytest.raises(BadInput, match="prompts"):
        order.folder.open({**RECIPE.fingerprint(), **Prompts(("a cat",)).about()})


def test_two_at_once_are_refused(tmp_path):
    with Folder(tmp_path).locked(), pytest.raises(BadInput, match="another process"), Folder(tmp_path).locked():
        pass


@pytest.mark.parametrize(
    ("accept", "count", "annotated"),
    [("picture", 0, []), ("instance", COUNT, [(0,)] * COUNT), ("all", COUNT, [(0, 1)] * COUNT)],
)
def test_what_is_accepted(tmp_path, doubles, accept, count, annotated):
    doubles.forget("cat")  # on every picture a dog is found, and a cat is missing
    recipe = RECIPE.model_copy(update={"accept": accept})
    order = replace(an_order(tmp_path, Prompts(("a dog and a cat",))), recipe=recipe)
    manifest = finished(order)
    assert len(manifest.pictures) == count and [item.annotated for item in order.folder.read()] == annotated
    rejected = [json.loads(path.read_text()) for path in sorted(order.folder.rejected.glob("*.json"))]
    assert len(rejected) == (order.batches * recipe.batch if not count else 0)  # bounded by --tries
    assert all(item["report"]["verdicts"][1]["kind"] == "missing" for item in rejected)


def test_only_what_failed_goes_on(tmp_path, doubles):
    order = an_order(tmp_path, Prompts(("a dog", "a dog and a cat")))
    doubles.forget("cat", seeds={RECIPE.seed_of(index) for index in range(100)})  # in first rounds alone
    finished(order)
    assert [item.round for item in order.folder.read()] == [index % 2 for index in range(COUNT)]
    first, second = doubles.batches[:2]
    assert len(first) == 4 and [layout.caption for layout in second] == ["a dog and a cat"] * 2


def test_the_best_round_is_kept_and_not_the_last(tmp_path, doubles):
    doubles.forget("cat")
    doubles.forget("dog", seeds={RECIPE.seed_of(index) + 1 for index in range(100)})
    recipe = RECIPE.model_copy(update={"accept": "instance"})
    order = replace(an_order(tmp_path, Prompts(("a dog and a cat",))), recipe=recipe)
    finished(order)
    assert all((item.round, item.annotated) == (0, (0,)) for item in order.folder.read())


def test_failures_are_bounded_listed_and_tried_again(tmp_path, doubles):
    order = an_order(tmp_path, Prompts(("a dog", "a car", "a tree")))
    doubles.refuse("car")
    finished(order)
    failed = [json.loads(line) for line in (tmp_path / "failed.jsonl").read_text().splitlines()]
    assert (
        failed
        and {failure["prompt"] for failure in failed} == {"a car"}
        and "RuntimeError: no paint" in failed[0]["error"]
    )
    assert doubles.alone["a car"] == len(failed) * (order.retries + 1)
    assert len(list(order.folder.read())) == COUNT  # the others were made, those of the same batches too
    doubles.refuse("nothing")
    listed = read_manifest(order.folder.items).keys
    finished(order)
    assert (tmp_path / "failed.jsonl").read_text() == ""
    items = list(order.folder.read())
    assert [item.index for item in items[:COUNT]] == list(range(COUNT))
    assert listed < {item.key for item in items}  # what had taken the place of the failures stays


class Flaky(Planner):
    """A planner whose service answers every third time."""

    name = "flaky"

    def __init__(self, inner, fails):
        self.inner = inner
        self.fails = fails
        self.calls = 0

    def plan(self, prompt, size, seed):
        self.calls += 1
        if self.calls % self.fails:
            raise ServiceError("no answer")
        return self.inner.plan(prompt, size, seed)


@pytest.mark.parametrize(("fails", "ends"), [(3, False), (1000, True)])
def test_a_service_is_asked_again_and_given_up(tmp_path, doubles, monkeypatch, fails, ends):
    monkeypatch.setattr("agent.dataset.planning.WAIT_S", 0)
    order = an_order(tmp_path)
    order.folder.open({})
    planner = Flaky(doubles.planner, fails)
    monkeypatch.setattr("agent.dataset.planning.load_planner", lambda name, **options: planner)
    planning = order.planning()
    if ends:
        with pytest.raises(ServiceError, match="3 prompts in a row; the last: no answer"):
            planning.batch(0)
        assert planner.calls == 9
        return
    assert [planned.index for planned in planning.batch(0)] == [0, 1, 2, 3] and planner.calls == 12
    assert len(planning.batch(0)) == 4 and planner.calls == 12  # what was planned once is not planned again


def test_crowd_regions_of_coco_are_things_where_that_is_asked_for(tmp_path):
    box = Instance(caption="a dog", category="dog", box=Box(x0=0.1, y0=0.1, x1=0.5, y1=0.9))
    content = layouts_to_coco([Layout(width=128, height=96, caption="two dogs", instances=(box, box))])
    content["annotations"][1]["iscrowd"] = 1
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(content))
    without, with_them = Layouts.read(path), Layouts.read(path, "instances")
    assert [len(source.layouts[0].instances) for source in (without, with_them)] == [1, 2]
    assert without.digest != with_them.digest  # one dataset is not gone on with as the other


def test_layouts_keep_their_places_and_seeds_change(tmp_path, doubles):
    boxes = Box(x0=0.1, y0=0.1, x1=0.5, y1=0.9), Box(x0=0.5, y0=0.2, x1=0.9, y1=0.8)
    instances = tuple(
        Instance(caption=f"a {name}", category=name, box=box) for name, box in zip(("dog", "cat"), boxes, strict=True)
    )
    layouts = [Layout(width=128, height=96, caption=f"picture {n}", instances=instances) for n in range(2)]
    (tmp_path / "coco.json").write_text(json.dumps(layouts_to_coco(layouts)))
    source = Layouts.read(tmp_path / "coco.json")
    doubles.forget("cat", seeds={RECIPE.seed_of(index) for index in range(0, 100, 2)})
    order = an_order(tmp_path / "made", source)
    finished(order)
    items = list(order.folder.read())
    assert [item.plan().caption for item in items[:4]] == ["picture 0", "picture 1"] * 2
    corners = [value for box in boxes for value in box.xyxy]
    assert all(
        [value for instance in item.plan().instances for value in instance.box.xyxy] == pytest.approx(corners)
        for item in items
    )
    assert [item.round for item in items] == [1, 0] * (COUNT // 2) and len({item.seed for item in items}) == COUNT


def test_slurm_jobs_make_the_same_set(tmp_path):
    pytest.importorskip("submitit")
    straight = an_order(tmp_path / "a")
    jobs = an_order(tmp_path / "b")
    finished(straight)
    jobs.folder.open({**jobs.recipe.fingerprint(), **jobs.source.about()})
    on_slurm.make_on_slurm(jobs, lambda usage: None, 2, {}, cluster="debug")
    jobs.folder.finish(COUNT)
    assert files_of(jobs.folder) == files_of(straight.folder)


def test_slurm_is_refused_where_there_is_none(tmp_path, capsys, monkeypatch):
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "prompts.txt").write_text("a dog\n")
    arguments = ["make", str(tmp_path / "made"), "--prompts", str(tmp_path / "prompts.txt")]
    assert main([*arguments, "--slurm", "2"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: slurm: there is no SLURM on this machine; --slurm-cluster local")


def test_a_local_job_ends_with_its_driver(tmp_path):
    driver = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    share = "from agent.dataset.on_slurm import _end_with"
    job = subprocess.Popen([sys.executable, "-c", f"{share}; _end_with({driver.pid})"])
    with pytest.raises(subprocess.TimeoutExpired):
        job.wait(3)
    driver.kill()
    driver.wait()
    assert job.wait(10) == 1


def test_who_stops_it_is_told_how_to_go_on(tmp_path, capsys, doubles, monkeypatch):
    def stop(self, batch):
        raise KeyboardInterrupt

    monkeypatch.setattr("agent.dataset.worker.Worker.run", stop)
    assert main(the_command(tmp_path)) == 130
    error = capsys.readouterr().err
    assert f"dataset make {tmp_path / 'made'} --prompts" in error.splitlines()[-1]


def test_messages_name_what_the_command_has(tmp_path, capsys):
    assert main(the_command(tmp_path, "--count", "2")) == 0
    assert main(the_command(tmp_path, "--count", "2", "--steps", "9")) == 2
    error = capsys.readouterr().err
    assert "or another FOLDER" in error and "--out" not in error


@pytest.mark.parametrize(
    ("text", "expected"),
    [("partition=gpu", {"slurm_partition": "gpu"}), ("timeout_min=60", {"timeout_min": 60}), ("gpu", None)],
)
def test_slurm_options(text, expected):
    if expected is None:
        with pytest.raises(BadInput, match="NAME=VALUE"):
            on_slurm.parse_options([text])
    else:
        assert on_slurm.parse_options([text]) == expected


def test_scenes_have_the_things_the_number_and_the_colours(tmp_path):
    source = Scenes(("kitchen", "street"), (2, 4), ("red", "blue"), ())
    prompts = [source.candidate(index, 0) for index in range(200)]
    assert prompts == [source.candidate(index, 0) for index in range(200)] and len(set(prompts)) > 150
    assert prompts != [source.candidate(index, 1) for index in range(200)]
    assert all(("in a kitchen" in prompt) != (knowledge.settings()["street"].phrase in prompt) for prompt in prompts)
    layouts = [OfflinePlanner().plan(prompt, (256, 256), 0).layout for prompt in prompts[:40]]
    assert {len(layout.instances) for layout in layouts} == {2, 3, 4}


def test_templates_are_filled():
    source = Template("a {colour} {thing} in a {setting}", ("orange", "red"), (), ("kitchen",))
    prompts = [source.candidate(index, 0) for index in range(100)]
    assert {" ".join(prompt.split()[:2]) for prompt in prompts} == {"an orange", "a red"}
    usual = {option.category for option in knowledge.settings()["kitchen"].objects}
    assert all(prompt.split(" ", 2)[2].removesuffix(" in a kitchen") in usual for prompt in prompts)
    numbered = Template("{number} {things}", (), ("mouse",), ()).candidate(3, 0)
    assert numbered.split()[1] == "mice" and numbered.split()[0] in ("two", "three", "four")


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ([], "source"),
        (["--scenes", "kitchen", "--prompts", "x.txt"], "source"),
        (["--scenes", "moonbase"], "scenes"),
        (["--scenes", "kitchen", "--colours", "greenish"], "colours"),
        (["--scenes", "kitchen", "--things", "unobtainium"], "things"),
        (["--scenes", "kitchen", "--per-picture", "5-2"], "per_picture"),
        (["--scenes", "kitchen", "--per-picture", "few"], "per_picture"),
        (["--scenes", "kitchen", "--varied", "2"], "varied"),
        (["--template", "a {thing}", "--varied", "0.5"], "varied"),
        (["--template", "a {colour} {wizard}"], "template"),
        (["--template", "a cat"], "template"),
        (["--prompts", "missing.txt"], "missing.txt"),
        (["--layouts", "missing.json"], "missing.json"),
        (["--scenes", "kitchen", "--verifier", "judge"], "verifier"),
        (["--scenes", "kitchen", "--verifier", "none", "--accept", "picture"], "accept"),
        (["--scenes", "kitchen", "--engine", "no-such"], "engine"),
        (["--scenes", "kitchen", "--planner", "nobody"], "planner"),
        (["--scenes", "kitchen", "--size", "7"], "size"),
        (["--scenes", "kitchen", "--count", "0"], "count"),
        (["--scenes", "kitchen", "--min-iou", "2"], "min_iou"),
        (["--scenes", "kitchen", "--ray", "2", "--slurm", "2"], "slurm"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, field, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["make", "made", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {field}") and error.count("\n") == 1
    assert not (tmp_path / "made" / "items").exists()


def test_the_command_from_prompts_to_its_exit_codes(tmp_path, capsys, doubles):
    (tmp_path / "prompts.txt").write_text("a dog\na cat\n")
    arguments = ["make", str(tmp_path / "made"), "--prompts", str(tmp_path / "prompts.txt"), "--batch", "2", "--json"]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out) | {"folder": ""} == {
        "folder": "",
        "kept": 2,
        "asked": 2,
        "candidates": 2,
        "failed": 0,
    }
    assert main(["check", str(tmp_path / "made")]) == 0
    (tmp_path / "made/items/000001.png").write_bytes(b"torn")
    assert (
        main(["check", str(tmp_path / "made")]) == 2 and "000001.png is missing, or is not" in capsys.readouterr().out
    )
    doubles.forget("cat")
    (tmp_path / "prompts.txt").write_text("a cat\n")
    assert main(["make", str(tmp_path / "cats"), *arguments[2:]]) == 3  # none passes
    doubles.refuse("cat")
    assert main(["make", str(tmp_path / "none"), *arguments[2:]]) == 1
    assert main(["export", str(tmp_path / "none")]) == 2


def test_unbroken_and_needed(tmp_path):
    assert list(unbroken({0: "items", 1: "rejected", 3: "items"})) == [0, 1] and not unbroken({1: "items"})
    order = replace(an_order(tmp_path), count=4)
    finished(order)
    assert not order.needs(0) and order.is_done()
    assert replace(order, count=5).needs(1) and not replace(order, count=5).is_done()
    assert read_manifest(order.folder.items).keys == {"000000", "000001", "000002", "000003"}


def test_a_share_of_the_things_is_coloured():
    every = Scenes(("street",), (1, 1), colours_of(("all",)), ("car",))
    half = replace(every, coloured=0.5)
    prompts = [half.candidate(index, 0) for index in range(200)]
    coloured = [any(f" {colour} " in prompt for colour in BASIC_COLOURS) for prompt in prompts]
    assert 70 < sum(coloured) < 130 and "coloured" not in every.about() and half.about()["coloured"] == "0.5"
    assert len({prompt.split()[1] for prompt in prompts}) == len(BASIC_COLOURS) + 1


def test_a_share_of_the_pictures_is_varied():
    plain = Scenes(("street", "space"), (1, 1), (), ("car", "rocket"))
    half = replace(plain, varied=0.5)
    prompts = [half.candidate(index, 0) for index in range(200)]
    backgrounds = [prompt for prompt in prompts if prompt.endswith(" background")]
    lit = [prompt for prompt in prompts if prompt.endswith((" at night", " at sunset"))]
    assert 35 < len(backgrounds) < 105 and 5 < len(lit) < 50 and not any("space" in prompt for prompt in lit)
    assert {prompt.split()[-2] for prompt in backgrounds} == set(BASIC_COLOURS)
    people = [half.words("person", 1, Random(index)) for index in range(100)]
    assert 25 < people.count("a person") < 75 and set(people) == {"a person", "a woman", "a man", "a girl", "a boy"}
    couches = {half.words("couch", 2, Random(index), "red") for index in range(100)}
    assert couches == {f"two red {look}couches" for look in ("", "striped ", "dotted ", "checkered ")}
    assert "varied" not in plain.about() and half.about()["varied"] == "0.5"


def test_the_same_things_at_random_places_which_stay_in_all_rounds(tmp_path, doubles):
    doubles.forget("dog")
    order = replace(an_order(tmp_path), count=2, recipe=RECIPE.model_copy(update={"places": "random", "accept": "all"}))
    finished(order)
    own = [candidate.plan.layout.instances for candidate in order.planning().batch(0)]
    usual = [doubles.planner.plan(prompt, RECIPE.size, 0).layout.instances for prompt in PROMPTS.prompts[:4]]
    assert [[one.caption for one in things] for things in own] == [[one.caption for one in things] for things in usual]
    assert not {one.box for things in own for one in things} & {one.box for things in usual for one in things}
    painted = [layout.instances for batch in doubles.batches for layout in batch]
    assert len(painted) > 4 and all(things in own for things in painted)


def test_every_second_picture_has_random_places_and_older_folders_go_on():
    mixed = RECIPE.model_copy(update={"places": "mixed"})
    assert [mixed.scatters(index) for index in range(4)] == [False, True, False, True]
    assert RECIPE.fingerprint().keys() == {*mixed.fingerprint()} - {"places"}
