"""The mouse editor of a layout: all its tools in a real browser."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agent.dashboard import editor
from instdiff.layout import MAX_INSTANCES, Box, Instance, Mask, Point
from tests.agent.editor_page import LAYOUT, MARKUP, OPTIONS, PATIENCE_S, SCRIPT, SIZE, EditorPage, near, wait_for


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("editor")
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    Image.fromarray(np.stack([rows // 2, columns // 3, 255 - rows // 2], axis=-1).astype(np.uint8)).save(
        folder / "picture.png"
    )
    (folder / "layout.json").write_text(LAYOUT.model_dump_json())
    (folder / "page.py").write_text(SCRIPT)
    return folder


@pytest.fixture(scope="module")
def address(folder):
    pytest.importorskip("streamlit", reason="streamlit is not installed: the editor is a part of its pages")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(folder / "page.py"), f"--server.port={port}", *OPTIONS]
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command, cwd=Path(__file__).parents[3], stdout=log, stderr=log)
    try:
        yield wait_for(f"http://127.0.0.1:{port}", server, folder / "server.log")
    finally:
        server.terminate()
        server.wait(timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: it drives the browser")
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("no chromium on PATH: the editor is driven in a real browser")
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def opened(browser, address, folder):
    return EditorPage(browser, address, folder)


@pytest.fixture
def page(opened):
    return opened.again()


def test_nothing_changed_is_as_it_was(page):
    assert page.drawn() == LAYOUT


@pytest.mark.parametrize(
    "moves",
    [
        [  # dragged
            ([(128, 160), (168, 190)], [104, 126, 232, 254]),
            ([(128, 160), (-300, 900)], [0, 256, 128, 384]),  # as far as the picture goes
        ],
        [  # resized by a handle
            ([(192, 224), (300, 260)], [64, 96, 300, 260]),  # south-east
            ([(128, 96), (400, 40)], [64, 40, 192, 224]),  # north: x does not matter
            ([(64, 224), (700, 20)], [188, 96, 192, 100]),  # south-west past the corner opposite: four pixels are left
            ([(192, 160), (900, 160)], [64, 96, 512, 224]),  # east, past the edge of the picture
        ],
    ],
)
def test_a_box_is_moved_and_resized_and_stays_on_the_picture(page, moves):
    page.button("1 dog box").click()
    for path, corners in moves:
        page.drag(*path)
        edited = page.drawn()
        assert near(edited.instances[0].box, corners)
        assert edited.instances[1:] == LAYOUT.instances[1:]
        page.press("Control+z")


def test_a_new_box_is_drawn_named_and_taken_back(page):
    page.button("Box").click()
    page.drag((240, 200), (300, 350))
    page.page.keyboard.type("crisp car")  # the caption has the focus; c and r are shortcuts of Streamlit
    page.root.get_by_label("Category").fill("car")
    edited = page.drawn()
    assert (edited.instances[3].caption, edited.instances[3].category) == ("crisp car", "car")
    assert near(edited.instances[3].box, [240, 200, 300, 350])
    assert page.page.get_by_role("dialog").count() == 0
    for _ in range(3):
        page.button("Undo").click()
    assert page.rows() == ["1 dog", f"2 {MARKUP}", "3 the moon"]
    page.stage.press("Control+Shift+Z")
    assert len(page.rows()) == 4
    page.stage.press("Control+z")
    assert page.drawn() == LAYOUT


def test_a_click_draws_no_box(page):
    page.button("Box").click()
    page.drag((240, 200), (241, 201))
    assert len(page.rows()) == 3
    assert page.button("Undo").is_disabled()


def test_delete_undo_and_the_focus_of_the_keyboard(page):
    page.stage.focus()
    page.press("Tab", "Tab", "Tab", "Enter", "Delete")  # picture, New, first row, second row
    assert page.rows() == ["1 dog", "2 the moon"]
    page.press("Control+z")
    assert len(page.rows()) == 3
    page.press("Delete")
    assert [instance.name for instance in page.drawn().instances] == ["dog", "the moon"]


def test_arrow_keys_move_by_pixels_and_are_one_step(page):
    page.drag((128, 160))
    page.press("ArrowRight", "ArrowRight", "Shift+ArrowDown", "ArrowUp")
    assert near(page.drawn().instances[0].box, [66, 105, 194, 233])
    page.press("Control+z")
    assert page.button("Undo").is_enabled() is False
    page.stage.press("Control+y")
    page.press(*["Shift+ArrowLeft"] * 8)
    assert page.drawn().instances[0].box.x0 == 0


def test_escape_cancels_a_drag(page):
    page.drag((128, 160), (300, 300), release=False)
    page.press("Escape")
    page.page.mouse.up()
    assert page.button("Undo").is_disabled()
    assert page.drawn() == LAYOUT


def test_a_point_and_a_scribble_belong_to_the_selected_instance(page):
    page.drag((128, 160))
    page.button("Point").click()
    page.drag((100, 120))
    page.button("Scribble").click()
    page.drag((70, 110), (170, 110), (170, 210))
    dog = page.drawn().instances[0]
    assert dog.box == LAYOUT.instances[0].box
    assert (round(dog.point.x * SIZE[0]), round(dog.point.y * SIZE[1])) == pytest.approx((100, 120), abs=1)
    points = np.array([[point.x, point.y] for point in dog.scribble.points]) * SIZE
    assert len(points) == 20
    assert np.abs(points[[0, -1]] - [[70, 110], [170, 210]]).max() <= 1
    assert np.linalg.norm(np.diff(points, axis=0), axis=1) == pytest.approx(
        np.full(19, 200 / 19), abs=4
    )  # even, but for the corner
    page.button("Remove the point").click()
    assert page.drawn().instances[0].point is None


def test_a_mask_is_painted_and_erased(page):
    page.button("Brush").click()
    page.root.get_by_role("slider").fill("40")
    page.drag((200, 300), (300, 300))
    mask = page.drawn().instances[3].mask
    assert mask.array.sum() / mask.array.size * SIZE[0] * SIZE[1] == pytest.approx(100 * 40 + np.pi * 20**2, rel=0.03)
    assert near(mask.box, [180, 280, 320, 320])
    page.button("Erase").click()
    page.drag((250, 270), (250, 330))
    less = page.drawn().instances[3].mask
    assert not less.array[:, 235:265].any()
    assert (mask.array & ~less.array).any() and not (less.array & ~mask.array).any()


def test_a_mask_from_elsewhere_is_dragged_as_it_is(page):
    page.drag((320, 280), (360, 260))
    moved = page.drawn().instances[2].mask
    assert moved.size == LAYOUT.instances[2].mask.size
    assert np.array_equal(moved.array, np.roll(LAYOUT.instances[2].mask.array, (-5, 10), axis=(0, 1)))


def test_the_last_of_a_mask_cannot_be_erased(page):
    page.button("3 the moon mask").click()
    page.button("Erase").click()
    page.root.get_by_role("slider").fill("160")
    page.drag((320, 280))
    assert "only place" in page.status()
    assert page.drawn() == LAYOUT


def test_points_scribbles_and_masks_are_moved_and_taken_away(page):
    page.drag((128, 160))
    page.press("p")
    page.drag((100, 120))
    page.press("s")
    page.drag((80, 200), (180, 200))
    page.press("m")
    page.drag((150, 150), (170, 150))
    page.press("v")
    whole = page.drawn().instances[0]
    assert whole.point and whole.scribble and whole.mask
    page.drag((100, 120), (90, 140))  # the point by itself
    dog = page.drawn().instances[0]
    assert (round(dog.point.x * SIZE[0]), round(dog.point.y * SIZE[1])) == pytest.approx((90, 140), abs=1)
    assert (dog.box, dog.scribble, dog.mask) == (whole.box, whole.scribble, whole.mask)
    page.drag((130, 200), (150, 230))  # all of it by its scribble
    moved = page.drawn().instances[0]
    assert near(moved.box, [84, 126, 212, 254])
    assert moved.scribble.points[0].x - dog.scribble.points[0].x == pytest.approx(20 / SIZE[0], abs=0.003)
    assert moved.point.y - dog.point.y == pytest.approx(30 / SIZE[1], abs=0.003)
    assert np.subtract(moved.mask.box.xyxy, dog.mask.box.xyxy) == pytest.approx(
        [20 / SIZE[0], 30 / SIZE[1]] * 2, abs=0.003
    )
    for place in ("box", "point", "scribble"):
        page.button(f"Remove the {place}").click()
    assert page.button("Remove the mask").is_disabled()  # the last
    left = page.drawn().instances[0]
    assert (left.box, left.point, left.scribble) == (None, None, None) and left.mask == moved.mask
    page.press("Control+z")
    page.button("Remove the mask").click()
    assert page.drawn().instances[0].mask is None


def test_a_box_is_typed_in_pixels(page):
    page.button("1 dog box").click()
    fields = {name: page.root.get_by_label(name, exact=True) for name in ("X", "Y", "Width", "Height")}
    assert [field.input_value() for field in fields.values()] == ["64", "96", "128", "128"]
    for typed, corners in (
        ({"X": "100", "Y": "20.5"}, [100, 20.5, 228, 148.5]),
        ({"Width": "50", "Height": "30"}, [64, 96, 114, 126]),
        ({"X": "900", "Y": "-3"}, [384, 0, 512, 128]),  # as far as the picture goes
        ({"Width": "900", "Height": "0"}, [64, 96, 512, 97]),
        ({"X": "", "Height": ""}, [64, 96, 192, 224]),
    ):
        for name, text in typed.items():
            fields[name].fill(text)
        fields[name].press("Enter")
        assert np.array(page.drawn().instances[0].box.to_corners(SIZE)) == pytest.approx(corners, abs=0.01)
        assert float(fields["X"].input_value()) == pytest.approx(corners[0])  # what is typed follows what is drawn
        while page.button("Undo").is_enabled():
            page.press("Control+z")


def test_a_copy_is_another_thing_beside_the_first(page):
    page.drag((128, 160))
    page.press("Control+d", "Control+d")
    names = ["1 dog", f"2 {MARKUP}", "3 the moon", "4 dog", "5 dog"]
    assert page.rows() == names
    drawn = page.drawn()
    assert drawn.instances[:3] == LAYOUT.instances
    assert near(drawn.instances[4].box, [96, 128, 224, 256])
    page.button("3 the moon mask").click()
    page.button("Copy").click()
    moon = page.drawn().instances[5]
    assert moon.caption == "the moon" and moon.mask.array.sum() == LAYOUT.instances[2].mask.array.sum()
    page.press("Control+z")
    assert page.rows() == names


def test_what_is_hidden_stays_in_the_plan_and_what_is_locked_stays_in_its_place(page):
    page.drag((128, 160))
    page.press("h")
    assert "still in the plan" in page.status() and page.root.get_by_text("1 hidden here").is_visible()
    assert page.stage.locator(".label").all_text_contents() == [f"2 {MARKUP}", "3 the moon"]
    page.drag((128, 160), (168, 190))  # nothing is there
    assert page.drawn() == LAYOUT
    page.root.get_by_role("button", name="Show all").click()
    assert page.stage.locator(".label").count() == 3
    page.button("Lock 1 dog").click()
    page.drag((128, 160), (168, 190))
    page.press("ArrowRight", "Delete")
    assert "locked" in page.status()
    assert page.root.get_by_label("X", exact=True).is_disabled()
    page.press("b")
    page.drag((100, 120), (150, 150))  # a box on the locked one is a new one
    page.page.keyboard.type("hat")
    page.press("Escape")
    page.drag((120, 130), (130, 140))  # and moves, though the locked one is below it
    drawn = page.drawn()
    assert drawn.instances[:3] == LAYOUT.instances and near(drawn.instances[3].box, [110, 130, 160, 160])
    page.button("Unlock 1 dog").click()
    page.drag((180, 210), (190, 220))
    assert near(page.drawn().instances[0].box, [74, 106, 202, 234])


def test_places_are_drawn_where_they_are_seen_however_near_one_looks(page):
    area = page.stage.bounding_box()
    page.page.mouse.move(area["x"] + area["width"] / 4, area["y"] + area["height"] / 4)
    page.page.mouse.wheel(0, -460)
    whole = page.button("The whole picture")
    assert 1.9 < int(whole.text_content().rstrip("%")) / 100 < 2.1
    page.button("The whole picture").click()
    page.stage.focus()
    page.press("+", "+")
    zoom = 1.5**2
    pan = [(side - side / zoom) / 2 for side in SIZE]  # what was in the middle is there still
    page.page.keyboard.down("Space")
    page.drag((256, 192), (256 + 30 * zoom, 192 - 20 * zoom))
    page.page.keyboard.up("Space")
    pan = [pan[0] - 30, pan[1] + 20]
    page.press("b")
    page.drag((100, 100), (300, 280))
    corners = [pan[0] + 100 / zoom, pan[1] + 100 / zoom, pan[0] + 300 / zoom, pan[1] + 280 / zoom]
    assert near(page.drawn().instances[3].box, corners)
    page.press("Escape", "0")
    assert whole.text_content() == "100%"
    page.drag(((corners[0] + corners[2]) / 2, corners[3] - 5), (200, 300))
    assert page.drawn().instances[3].box != Box.from_corners(corners, SIZE)


def test_keys_choose_tools_but_not_while_typing(page):
    page.stage.focus()
    for key, tool in {"b": "Box", "p": "Point", "s": "Scribble", "m": "Brush", "e": "Erase", "v": "Select"}.items():
        page.press(key)
        assert page.button(tool).get_attribute("aria-pressed") == "true"
    page.press("?")
    assert page.root.get_by_text("hide or show, lock or unlock").is_visible()
    page.press("?")
    assert not page.root.get_by_text("hide or show, lock or unlock").is_visible()
    page.button("1 dog box").click()
    page.root.get_by_label("Category").fill("")
    page.page.keyboard.type("bpsmehl?")
    assert page.drawn().instances[0].category == "bpsmehl?"
    assert page.button("Select").get_attribute("aria-pressed") == "true"
    assert page.stage.locator(".label").count() == 3


def test_a_caption_with_markup_is_text(page):
    page.button(f"2 {MARKUP} box").click()
    assert page.root.get_by_label("Caption").input_value() == MARKUP
    assert page.stage.locator(".label.chosen").text_content() == f"2 {MARKUP}"
    assert page.root.locator("img").count() == 1  # the picture
    assert page.page.title() != "run"


def test_a_thing_without_words_is_refused_until_it_has_some(page):
    page.button("3 the moon mask").click()
    page.root.get_by_label("Caption").fill("")
    alert = page.page.get_by_role("alert")
    alert.wait_for()  # typing has paused
    assert "instances.2" in alert.text_content().replace("\u2060", "")
    page.root.get_by_label("Category").fill("moon")
    alert.wait_for(state="detached")
    assert page.drawn().instances[2].name == "moon"


def test_a_refused_edit_is_one_line_of_plain_words_on_the_page(page):
    instance = {"caption": "![a](https://example.org/a.png) <b>dog</b>"}
    page.root.evaluate("(root, instance) => root.editor.send('drawn', { instances: [instance] })", instance)
    alert = page.page.get_by_role("alert")
    alert.wait_for()
    assert 'instances.0: "![a](https://example.org/a.png) <b>dog</b>" has no place' in alert.text_content().replace(
        "\u2060", ""
    )
    assert alert.locator("img, a, b").count() == 0


def test_another_layout_from_the_page_starts_afresh(page):
    page.drag((128, 160), (168, 190))
    page.plan([])
    page.root.get_by_text("None yet").wait_for()
    assert not page.root.locator("img").is_visible()  # the page has no picture for an empty layout
    assert page.button("Undo").is_disabled()
    assert page.drawn().instances == ()


def test_no_more_instances_than_the_model_has_room_for(page):
    page.plan([Instance(caption=f"star {index}", point=Point(x=index / 40, y=0.1)) for index in range(MAX_INSTANCES)])
    page.button("30 star 29 point").wait_for()
    page.button("New").click()
    page.drag((200, 300), (300, 350))
    assert "room for 30" in page.status()
    assert len(page.drawn().instances) == MAX_INSTANCES


@pytest.mark.parametrize("seed", range(3))
def test_run_lengths_are_read_and_written_as_in_python(opened, seed):
    height, width = ((7, 5), (40, 64), (1, 90))[seed]
    mask = Mask.from_array(np.random.RandomState(seed).rand(height, width) < (0.5, 0.02, 1.0)[seed])
    code = (Path(editor.__file__).parent / "rle.js").read_text()
    sent = {"size": list(mask.size), "counts": mask.counts}
    bits, again = opened.page.evaluate(
        f"sent => {{ {code}; const map = bitmapOf(sent); return [[...map.bits], maskOf(map)]; }}", sent
    )
    assert np.array_equal(np.array(bits).reshape(height, width), mask.array)
    assert again == sent
