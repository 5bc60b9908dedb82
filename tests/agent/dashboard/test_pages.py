"""The dashboard in a real browser, on a real server; and what of it needs no browser."""

import csv
import io
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import run_agent
from agent.dashboard import evaluations_page
from agent.dashboard.labels import Rating, rate, rating_of, ratings_csv
from agent.dashboard.rounds_view import changes
from agent.loop import Agent
from agent.runs import Run
from instdiff.errors import BadInput
from instdiff.formats import load_layout
from instdiff.layout import Box, Instance, Layout
from instdiff.render_settings import RenderSettings
from tests.agent.dashboard_pages import (
    PATIENCE_MS,
    edit_of,
    mended_run,
    needs_browser,
    place_on,
    run_named,
    see,
    small_run,
    stage_area,
)

MARKUP = "<img src=x onerror=alert(1)> **dog** :red[cat] [car](http://127.0.0.1/x) $tree$ # dog"

pytestmark = pytest.mark.timeout(900)
PAINTS = True  # the worker is warm before the first job


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """An outputs folder with a few runs; nothing in it took a model."""
    folder = tmp_path_factory.mktemp("outputs")
    small_run(folder)
    small_run(folder, MARKUP)
    return folder


@needs_browser
def test_a_picture_is_made_from_words_and_a_reload_does_not_lose_it(tab, out):
    from playwright.sync_api import expect

    page = tab("/")
    page.get_by_label("The scene in words").fill("a blue bus")
    page.get_by_role("spinbutton", name="Rounds at most").fill("1")
    page.get_by_text("More settings").click()
    page.get_by_role("spinbutton", name="Steps").fill("3")
    page.get_by_role("button", name="Make the picture").click()
    page.wait_for_url("**run=*a-blue-bus*")
    page.get_by_text("What was planned and found in round 0").wait_for(timeout=4 * PATIENCE_MS)
    run = Run.load(run_named(out, "a-blue-bus"))
    page.get_by_role("checkbox", name="mark row 1").click()
    page.get_by_role("button", name="Repair what is marked").click()
    page.wait_for_url("**/run?*repair-bus-1*")
    see(page, "repair bus 1")
    page.go_back()  # to the run that was to be repaired, not to the new one
    see(page, run.folder.name)
    page.reload()  # a new session: all that it knows is the address
    see(page, run.folder.name)
    see(page, "What was planned and found in round 0")
    assert run.done and run.request.settings.num_inference_steps == 3 and len(run.rounds) == 1
    page.get_by_text("Take away").scroll_into_view_if_needed()
    with page.expect_download() as download:
        page.get_by_role("button", name="Picture", exact=True).click()
    assert Path(download.value.path()).read_bytes() == run.image.read_bytes()
    page.get_by_role("link", name="Another seed").click()
    see(page, "Filled from")
    expect(page.get_by_label("The scene in words")).to_have_value("a blue bus")
    page.get_by_text("Start from a layout file").click()
    drop = page.locator("input[type=file]")
    drop.set_input_files({"name": "mine.json", "mimeType": "application/json", "buffer": b"{"})
    see(page, "is not JSON")
    drop.set_input_files(str(run.image))
    see(page, "1 thing is painted as planned here")


@needs_browser
def test_two_tabs_do_not_disturb_each_other(tab, out):
    one = tab(f"/run?run={run_named(out, 'dog-cat-').name}")
    other = tab("/runs")
    see(one, "What was planned and found in round 1")
    see(other, f"{len(list(out.glob('*/run.json')))} of")
    icons = other.locator("link[rel*=icon]").evaluate_all("links => links.map((link) => link.href)")
    assert icons and all(icon.startswith(("data:", other.url[:16])) for icon in icons)  # none of another machine
    other.get_by_label("Search").fill("nothing like it")
    other.get_by_label("Search").press("Enter")
    see(other, "0 of")
    see(other, "No run is like that")
    one.get_by_text("Found boxes").click()
    see(one, "What was planned and found in round 1")
    assert "run=" in one.url and "run=" not in other.url
    see(other, "0 of")
    other.get_by_label("Search").fill("dog cat")
    other.get_by_label("Search").press("Enter")
    card = other.locator(".card").filter(has=other.locator(f"a[href*='{run_named(out, 'dog-cat-').name}']"))
    card.get_by_role("img").click()  # the picture is a link
    see(other, "Take away")
    other.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    other.go_back()
    card.get_by_role("checkbox").click()
    assert other.get_by_label("Search").input_value() == "dog cat"  # the list as it was left
    other.get_by_role("button", name="Delete").click()
    see(other, "Deleted:")
    card.wait_for(state="detached")
    other.get_by_role("button", name="Undo").click()
    card.wait_for()
    assert len(Run.load(run_named(out, "dog-cat-")).rounds) == 2
    other.get_by_label("Search").fill("dog")
    other.get_by_label("Search").press("Enter")
    see(other, "2 of")
    for number, choice in enumerate(other.locator(".card").get_by_role("checkbox").all(), 1):
        choice.click()
        see(other, f"{number} chosen")
    other.get_by_role("link", name="Compare").click()
    see(other, "What became of each thing")
    assert "left=" in other.url and "right=" in other.url
    other.reload()  # the address keeps both
    see(other, "Settings that differ")


@needs_browser
def test_a_rating_is_kept_in_the_folder(tab, out):
    folder = run_named(out, "dog-cat-")
    page = tab(f"/run?run={folder.name}")
    for label, value in (("Fits the words", "5"), ("Is painted well", "2"), ("Is arranged well", "4")):
        page.get_by_role("radiogroup", name=label).get_by_role("radio", name=value, exact=True).click()
    page.get_by_role("button", name="Keep the rating").click()
    see(page, "Kept: fit 5, quality 2, arrangement 4")
    assert rating_of(folder) == Rating(fit=5, quality=2, arrangement=4)


@needs_browser
def test_markup_stays_text(tab, out):
    name = run_named(out, "img-src").name
    page = tab("/runs")
    for path in (f"/run?run={name}", "/runs", f"/edit?run={name}"):
        page.goto(path)
        words = "<img src=x onerror=alert(1)> **dog**"
        if path.startswith("/edit"):
            see(page, "with the mouse, or both")
        elif path == "/runs":
            see(page, words)
        else:
            page.wait_for_function(
                "words => document.body.innerText.replaceAll('\u2060', '').includes(words)", arg=words
            )
        assert page.locator("img[src='x']").count() == 0
        assert page.locator("a[href='http://127.0.0.1/x']").count() == 0
        assert page.locator("strong", has_text="dog").count() == 0


@needs_browser
def test_a_box_is_moved_with_the_mouse_and_painted_again_from_the_same_noise(tab, out):
    draft = {"planner": "offline", "engine": "draft", "verifier": "draft", "rounds": 1}
    before = small_run(out, "a green car", **draft, settings=RenderSettings(num_inference_steps=2, seed=7))
    planned = load_layout(before.folder / before.best.layout, boxes="xywh")
    box = planned.instances[0].box
    page = tab(f"/edit?run={before.folder.name}")
    area = stage_area(page)
    x = area["x"] + (box.x0 + box.x1) / 2 * area["width"]
    y = area["y"] + (box.y0 + box.y1) / 2 * area["height"]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - 0.2 * area["height"], steps=5)
    page.mouse.up()
    page.get_by_role("button", name="Change and paint").click()
    page.wait_for_url("**/run?run=*")
    see(page, "What was planned and found in round 0")
    after = edit_of(before)
    moved = load_layout(after.folder / after.best.layout, boxes="xywh").instances[0]
    wanted = [box.x0, box.y0 - 0.2, box.x1, box.y1 - 0.2]
    assert moved.caption == planned.instances[0].caption and moved.box.xyxy == pytest.approx(
        wanted, abs=1.5 / planned.height
    )
    assert after.best.seed == before.best.seed == 7
    assert after.request.settings.num_inference_steps == 2 and after.image.read_bytes() != before.image.read_bytes()


def delete(page, what):
    """Delete an instance in the editor of a page; how many are left."""
    editor = page.locator(".editor")
    rows = editor.locator(".row")
    rows.filter(has_text=what).first.click()
    editor.get_by_role("button", name="Delete", exact=True).click()
    return rows.count()


def painted(run) -> Layout:
    return load_layout(run.folder / run.best.layout, boxes="xywh")


@needs_browser
def test_a_plan_that_waits_is_painted_as_it_is_drawn(tab, out):
    from playwright.sync_api import expect

    draft = {"planner": "offline", "engine": "draft", "verifier": "draft", "review": True, "rounds": 1}
    waiting = small_run(out, "a kitchen", **draft, settings=RenderSettings(num_inference_steps=2))
    planned = load_layout(waiting.folder / "round-0" / "layout.json", boxes="xywh")
    assert "refrigerator" in [instance.name for instance in planned.instances]
    page = tab(f"/run?run={waiting.folder.name}")
    see(page, "This plan waits for you")
    delete(page, "refrigerator")
    see(page, "It is changed.")
    page.reload()  # a new window: it goes on where the other one was
    see(page, "It is changed.")
    expect(page.locator(".editor .row")).to_have_count(len(planned.instances) - 1)
    page.locator(".editor .row").first.click()
    page.locator(".editor").get_by_label("Caption").fill("made of green glass")  # the focus is still there
    page.get_by_role("button", name="Paint it").click()
    see(page, "What was planned and found in round 0")
    kept = [instance for instance in planned.instances if instance.name != "refrigerator"]
    kept[0] = kept[0].model_copy(update={"caption": "made of green glass"})
    assert painted(Run.load(waiting.folder)) == planned.with_instances(kept)


@needs_browser
def test_what_cannot_be_painted_is_not_painted(tab, out):
    draft = {"planner": "offline", "engine": "draft", "verifier": "draft", "review": True, "rounds": 1}
    waiting = small_run(out, "a brown horse", **draft, settings=RenderSettings(num_inference_steps=2))
    page = tab(f"/run?run={waiting.folder.name}")
    see(page, "This plan waits for you")
    page.locator(".editor .row").first.click()
    for label in ("Caption", "Category"):
        page.locator(".editor").get_by_label(label).fill("")
    page.get_by_role("button", name="Paint it").click(force=True)  # it is enabled until the words are left
    see(page, "What is drawn cannot be painted")
    page.locator("button:disabled", has_text="Paint it").wait_for()
    assert Run.load(waiting.folder).review == "waiting"


@needs_browser
def test_a_drawing_stays_when_its_page_is_left_and_words_change_what_is_drawn(tab, out):
    from playwright.sync_api import expect

    draft = {"planner": "offline", "engine": "draft", "verifier": "draft", "rounds": 1}
    before = small_run(out, "a cozy living room", **draft, settings=RenderSettings(num_inference_steps=2))
    names = [instance.name for instance in painted(before).instances]
    page = tab(f"/edit?run={before.folder.name}")
    left = delete(page, names[0])
    assert left == len(names) - 1
    see(page, f"Changed: {left} things")  # the page has the drawing: who leaves now comes back to it
    page.get_by_role("link", name="Runs").first.click()
    see(page, "Ratings as CSV")
    page.locator(f"a[href*='{before.folder.name}']").first.click()
    page.get_by_role("link", name="Edit and paint again").click()
    see(page, f"Changed: {left} things")
    expect(page.locator(".editor .row")).to_have_count(left)
    page.locator(".editor").get_by_role("button", name="Undo").click()
    page.get_by_text("Changed:").wait_for(state="detached")
    page.locator(".editor").get_by_role("button", name="Redo").click()
    page.get_by_label("In words").fill("add a cat")
    page.get_by_label("In words").press("Enter")
    page.wait_for_url("**/run?run=*add-a-cat*")
    page.go_back()  # to the run that was edited
    expect(page.get_by_role("combobox").first).to_have_value(re.compile(before.folder.name))
    expect(page.locator(".editor .row")).to_have_count(len(names))  # what was drawn is painted, and done with
    page.go_forward()
    see(page, "What was planned and found in round 0")
    after = Run.load(run_named(out, "add-a-cat"))
    assert [instance.name for instance in painted(after).instances] == [*names[1:], "cat"]
    assert after.request.edited.notes[0] == "changed by hand"
    page.get_by_role("link", name="Undo").click()
    page.locator(f"a[href*='edit?run={before.folder.name}']").click()
    expect(page.locator(".editor .row")).to_have_count(len(names))  # what was drawn is painted, and done with
    assert page.get_by_text("Changed:").count() == 0


@needs_browser
def test_what_a_box_is_drawn_round_is_removed_and_the_picture_before_is_a_click_away(tab, out):
    draft = {"planner": "offline", "engine": "draft", "verifier": "draft", "rounds": 1}
    before = small_run(out, "a green car", **draft, settings=RenderSettings(num_inference_steps=2, seed=7))
    page = tab(f"/edit?run={before.folder.name}")
    page.get_by_role("radio", name="what is to go").click()
    page.locator(".editor").get_by_role("button", name="Box", exact=True).click()
    page.mouse.move(*place_on(page, 0.5, 0.1))
    page.mouse.down()
    page.mouse.move(*place_on(page, 0.75, 0.4), steps=5)
    page.mouse.up()
    page.get_by_role("button", name="Change and paint").click()
    page.wait_for_url("**/run?run=*remove-what-is-not-wanted*")
    see(page, "Asked for: remove what is not wanted")
    after = edit_of(before)
    (region,) = after.request.edited.regions
    assert region.xyxy == pytest.approx((0.5, 0.1, 0.75, 0.4), abs=0.01) and after.request.edited.apart == ()
    plans = [load_layout(run.folder / run.best.layout, boxes="xywh") for run in (before, after)]
    assert plans[0].instances == plans[1].instances
    old, new = (np.asarray(Image.open(run.image).convert("RGB")).astype(int) for run in (before, after))
    x0, y0, x1, y1 = (round(side) for side in region.to_corners(new.shape[1::-1]))
    inside = np.zeros(new.shape[:2], dtype=bool)
    inside[max(y0 - 1, 0) : y1 + 1, max(x0 - 1, 0) : x1 + 1] = True
    assert (old[~inside] == new[~inside]).all() and (old[inside] != new[inside]).any()
    page.get_by_role("link", name="Undo").click()
    page.wait_for_url(f"**/run?run={before.folder.name}")
    see(page, "What was planned and found in round 0")


@needs_browser
def test_the_thing_that_is_clicked_in_the_picture_is_repaired(tab, out):
    run, _ = mended_run(out)
    page = tab(f"/edit?run={run.folder.name}")
    cat = load_layout(run.folder / run.best.layout, boxes="xywh").instances[1].box
    page.mouse.click(*place_on(page, cat.centre.x, cat.centre.y))
    see(page, "Selected: cat 2.")
    page.get_by_role("button", name="Repair the selected thing").click()
    page.wait_for_url("**/run?run=*repair-cat-2*")
    (folder,) = out.glob("*-repair-cat-2-*")
    assert json.loads((folder / "run.json").read_text())["request"]["edited"]["apart"] == [1]


@needs_browser
def test_a_row_is_marked_with_the_mouse(tab, out):
    run, _ = mended_run(out)
    page = tab(f"/run?run={run.folder.name}")
    page.get_by_role("checkbox", name="mark row 1").click()
    button = page.get_by_role("button", name="Repair what is marked")
    button.click()  # once it is enabled
    page.wait_for_url("**/run?run=*repair-dog-1*")
    page.go_back()
    see(page, run.folder.name)


@needs_browser
def test_an_address_reaches_nothing_outside(tab):
    page = tab("/run?run=..%2F..%2Fetc")
    see(page, "there is no run")


def test_ratings_come_as_csv(tmp_path):
    runs = [tmp_path / name for name in ("one", "two", "three")]
    for run in runs:
        run.mkdir()
    rate(runs[0], Rating(fit=1, quality=2, arrangement=3))
    rate(runs[0], Rating(fit=5, quality=2, arrangement=3))
    rate(runs[2], Rating(fit=4, quality=4, arrangement=4))
    rows = list(csv.DictReader(io.StringIO(ratings_csv(runs))))
    assert rows == [
        {"picture": "one/best.png", "fit": "5", "quality": "2", "arrangement": "3"},
        {"picture": "three/best.png", "fit": "4", "quality": "4", "arrangement": "4"},
    ]
    (runs[1] / "ratings.json").write_text('{"fit": 9, "quality": 1, "arrangement": 1}')
    with pytest.raises(BadInput, match="fit"):
        rating_of(runs[1])
    assert len(list(csv.DictReader(io.StringIO(ratings_csv(runs))))) == 2


def test_what_changed_is_said_in_sentences():

    def box(x):
        return Box(x0=x, y0=0.25, x1=x + 0.25, y1=0.5)

    def thing(name, x, caption=""):
        return Instance(caption=caption or name, category=name, box=box(x))

    picture = {"width": 100, "height": 100, "caption": "c"}
    before = Layout(**picture, instances=(thing("dog", 0), thing("dog", 0.5), thing("cat", 0)))
    after = Layout(**picture, instances=(thing("dog", 0), thing("dog", 0.25), thing("car", 0)))
    assert changes(before, after) == ["dog: from 50 25 75 50 to 25 25 50 50", "car: new, at 0 25 25 50", "cat: gone"]
    assert changes(before, before) == []
    red = Layout(**picture, instances=(thing("dog", 0, "a red dog"), *before.instances[1:]))
    assert changes(before, red) == ["dog: described as a red dog, before as dog"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {
            "rounds": 2,
            "size": (128, 96),
            "settings": RenderSettings(seed=3, num_inference_steps=7, mis=0.25, num_images=2),
        },
        {"planner": "chat:m@http://127.0.0.1:9/v1", "planning": "boxes", "max_tokens": 500},
    ],
)
def test_the_command_asks_for_the_same_run(tmp_path, options):
    agent = Agent(**{"planner": "offline", "verifier": "none", **options}, out=tmp_path)
    request = agent.request.model_copy(update={"prompt": "--a 'dog' and \"$(ls)\""})
    words = shlex.split(request.command())
    given = vars(run_agent.build_parser().parse_args(words[2:]))
    assert run_agent.build_request(given, {}).model_copy(update={"prompt": given["prompt"]}) == request


def test_figures_are_the_numbers_of_a_result():
    result = {"box": {"ap": 0.5, "names": ["a"]}, "count": 3, "done": True, "title": "t", "table": {"rows": 4}}
    assert evaluations_page.figures(result) == {"box.ap": 0.5, "count": 3.0}
