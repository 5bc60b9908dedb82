"""The dashboard in a real browser, on a real server; and what of it needs no browser."""

import csv
import io
import re
import shlex
from pathlib import Path

import pytest

import run_agent
from agent.dashboard import evaluations_page, run_index
from agent.dashboard.labels import Rating, rate, rating_of, ratings_csv
from agent.dashboard.navigation import plain
from agent.dashboard.rounds_view import changes
from agent.loop import Agent
from agent.runs import Run
from instdiff.errors import BadInput
from instdiff.formats import load_layout
from instdiff.layout import Box, Instance, Layout
from instdiff.render_settings import RenderSettings
from tests.agent.dashboard_pages import PATIENCE_MS, needs_browser, run_named, see, small_run

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
    for path in (f"/run?run={name}", "/runs", f"/edit?run={name}"):
        page = tab(path)
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
    area = page.locator(".editor .stage").bounding_box()
    x = area["x"] + (box.x0 + box.x1) / 2 * area["width"]
    y = area["y"] + (box.y0 + box.y1) / 2 * area["height"]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - 0.2 * area["height"], steps=5)
    page.mouse.up()
    page.get_by_role("button", name="Change and paint").click()
    page.wait_for_url("**/run?run=*")
    see(page, "What was planned and found in round 0")
    runs = [Run.load(path.parent) for path in out.glob("*/run.json")]
    (after,) = (run for run in runs if run.request.edited and Path(run.request.edited.run) == before.folder)
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
def test_an_address_reaches_nothing_outside(tab):
    page = tab("/run?run=..%2F..%2Fetc")
    see(page, "there is no run")


@pytest.mark.parametrize(
    "name", ["..", "../x", "/etc", "", ".", "a/b", "a\\b", "x" * 300, "no-such-run", "link", "a\0b"]
)
def test_names_that_are_no_run(tmp_path, monkeypatch, name):
    monkeypatch.setenv("INSTDIFF_OUTPUTS", str(tmp_path / "out"))
    run = small_run(tmp_path / "elsewhere")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to(run.folder)
    with pytest.raises(BadInput, match="^run: there is no run"):
        run_index.run_folder(name)


def test_a_run_folder_cannot_name_files_outside_of_itself(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.png").touch()
    (tmp_path / "in" / "link.png").symlink_to(tmp_path / "secret.png")
    for name in ("../secret.png", "/etc/passwd", "link.png"):
        with pytest.raises(BadInput, match="outside"):
            run_index.inside(tmp_path / "in", name)
    assert run_index.inside(tmp_path / "in", "round-0/image.png") == tmp_path / "in" / "round-0" / "image.png"


def test_lists_show_what_runs_say(tmp_path, monkeypatch):
    monkeypatch.setenv("INSTDIFF_OUTPUTS", str(tmp_path))
    assert run_index.summaries() == []
    first = small_run(tmp_path)
    second = small_run(tmp_path, "cat", review=True)
    found = {run.name: run for run in run_index.summaries()}
    assert set(found) == {first.folder.name, second.folder.name}
    assert (found[first.folder.name].state, found[first.folder.name].score) == ("verified", 1.0)
    assert (found[second.folder.name].state, found[second.folder.name].score) == ("waiting", None)
    Run.load(first.folder).model_copy(update={"verified": False}).save()
    assert {run.name: run.state for run in run_index.summaries()}[first.folder.name] == "not verified"
    filters = {
        run_index.Filter(): 2,
        run_index.Filter(words="DOG cat"): 1,
        run_index.Filter(states=("waiting",)): 1,
        run_index.Filter(planner="list", engine="rectangles"): 2,
        run_index.Filter(planner="offline"): 0,
        run_index.Filter(min_score=0.5): 1,
        run_index.Filter(thing="dog"): 1,
        run_index.Filter(min_rating=3): 0,
        run_index.Filter(tag="best"): 0,
        run_index.Filter(starred=True): 0,
    }
    assert {wanted: sum(map(wanted.passes, run_index.summaries())) for wanted in filters} == filters


@pytest.mark.parametrize(
    "text", ["a_b*c*", "[x](y)", "<b>", "1. a", "# h", "$x$", "a|b", "~~x~~", "`c`", "\\", "- a", "&amp;", ":red[x]"]
)
def test_every_sign_of_markdown_is_escaped(text):
    shown = plain(text).replace("\u2060", "")
    assert re.sub(r"\\(.)", r"\1", shown) == text
    assert re.fullmatch(r"(\w|\s|\\.)*", shown)


def test_addresses_and_emoji_are_broken():
    assert "http\\:\u2060" in plain("http://x") and "www\u2060" in plain("www.x.y") and "\\@\u2060" in plain("a@b.c")
    assert plain("a\n\n# b") == "a \\# b"


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
