"""Datasets one by one: decisions with keys, boxes put right in their places, and the export of what is accepted."""

import hashlib
import json
import shutil
import time

import pytest
from PIL import Image

from agent.dashboard.accepted import export_pictures
from agent.dashboard.dataset_pictures import as_made, dataset_of, manifest_of, may_have, on_picture
from agent.dashboard.review import keep_said, read_said
from agent.dataset.__main__ import main
from agent.dataset.review import correct, correction, decide, decisions
from evaluators.manifest import Manifest, Picture
from instdiff.errors import BadInput
from instdiff.formats import layouts_from_coco, write_png
from instdiff.layout import Box, Instance, Layout
from tests.agent.dashboard_pages import PATIENCE_MS, needs_browser, see
from tests.agent.doubles_dataset import placed

pytestmark = pytest.mark.timeout(900)

SIZE = (128, 96)
ZEBRA = Instance(caption="a zebra", category="zebra", box=Box.from_coco([8, 16, 32, 24], SIZE))


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """An outputs folder with a dataset of four pictures."""
    folder = tmp_path_factory.mktemp("outputs")
    prompts = folder / "prompts.txt"
    prompts.write_text("a dog\na cat\na dog and a cat\n")
    with pytest.MonkeyPatch.context() as patch:
        placed(patch)
        command = ["make", str(folder / "pets"), "--prompts", str(prompts), "--count", "4", "--batch", "4"]
        assert main([*command, "--size", "128x96"]) == 0
    return folder


def until(found, *wanted):
    """Wait until a file says what it is to say: the page keeps it a moment after it is done."""
    end = time.monotonic() + PATIENCE_MS / 1000
    while found() not in wanted and time.monotonic() < end:
        time.sleep(0.05)
    assert found() in wanted


@needs_browser
def test_pictures_are_decided_with_keys_and_put_right_in_their_places(tab, out):
    from playwright.sync_api import expect

    items = out / "pets" / "items"
    page = tab("/datasets?folder=pets%2Fitems&view=one+by+one")
    place = page.locator("[data-review=place]")
    expect(place).to_have_text("1 of 4, 4 undecided")
    page.get_by_label("With", exact=True).focus()
    page.keyboard.type("arju")  # words, and no decisions
    expect(place).to_have_text("1 of 4, 4 undecided")
    page.get_by_label("With", exact=True).fill("")
    page.locator(".review .stage").focus()
    for key in "arau":  # accepted, rejected, accepted and taken back
        page.keyboard.press(key)
    expect(place).to_have_text("3 of 4, 2 undecided")
    until(lambda: decisions(items), {"000000": "accepted", "000001": "rejected"})
    page.get_by_role("button", name="Previous").click()
    page.keyboard.press("k")
    expect(page.locator("[data-review=decision]")).to_have_text("accepted")
    page.locator(".review .row").first.click()
    page.keyboard.press("Delete")
    page.keyboard.press("b")
    area = page.locator(".review .stage").bounding_box()
    page.mouse.move(area["x"] + area["width"] / 4, area["y"] + area["height"] / 2)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] / 2, area["y"] + area["height"] * 3 / 4, steps=3)
    page.mouse.up()
    page.keyboard.type("zebra")  # the category has the focus
    page.keyboard.press("Escape")
    first = manifest_of(items).pictures[0]

    def names():
        return [instance.name for instance in correction(items, first.key, first.sha256) or ()]

    until(names, ["zebra"])
    page.keyboard.press("j")  # and back: what was drawn is there still
    page.keyboard.press("k")
    expect(page.locator(".review .name")).to_have_text(["zebra"])
    page.reload()
    expect(place).to_have_text("3 of 4, 2 undecided")  # the first that is not decided
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".review .name")).to_have_text(["zebra"])
    see(page, "; corrected")
    page.get_by_role("radio", name="undecided").click()
    expect(place).to_have_text("1 of 2, 2 undecided")
    page.get_by_text("Export what is accepted").click()
    page.get_by_role("button", name="Export", exact=True).click()
    see(page, "1 picture with 1 label in")
    data = json.loads((out / "pets/accepted/coco/annotations/instances_train.json").read_text())
    (anno,) = data["annotations"]
    assert anno["bbox"] == pytest.approx([32, 48, 32, 24], abs=0.5)
    assert [one["name"] for one in data["categories"] if one["id"] == anno["category_id"]] == ["zebra"]
    assert len((out / f"pets/accepted/yolo/labels/train/{first.key}.txt").read_text().split()) == 5


def test_what_the_browser_says_is_kept_or_refused_with_its_reason(out, tmp_path):
    items = out / "pets" / "items"
    by_key = {picture.key: picture for picture in manifest_of(items).pictures}
    before = decisions(items)
    for said in ("text", {"number": "3"}, {"decided": [], "drawn": 7, "held": "a"}):
        assert keep_said(items, by_key, read_said(said)) == ""
    told = keep_said(items, by_key, read_said({"decided": {"000003": "perhaps", "../x": "accepted"}}))
    assert "'perhaps' is none of accepted, rejected" in told
    told = keep_said(items, by_key, read_said({"drawn": {"000003": {"instances": [{"caption": "a dog"}]}}}))
    assert "has no place" in told and "\n" not in told
    assert decisions(items) == before and correction(items, "000003", by_key["000003"].sha256) is None


def test_a_picture_shows_its_labels_and_a_category_is_found_without_reading_all(out):
    items = out / "pets" / "items"
    assert dataset_of(items).path == items.parent and dataset_of(items.parent) is None
    third = manifest_of(items).pictures[2]  # nobody corrected it
    names = [instance.name for instance in as_made(items, third).layout.instances]
    assert sorted(names) == ["cat", "dog"] and on_picture(items, third) == as_made(items, third).layout
    assert may_have(items, third, "dog") and not may_have(items, third, "zebra")


def test_where_nobody_knows_is_shown_and_is_no_label(out, tmp_path):
    items = out / "pets" / "items"
    third = manifest_of(items).pictures[2]
    item = json.loads((items / f"{third.key}.json").read_text())
    seen = {"category": "bird", "score": 0.3, "box": {"x0": 0.5, "y0": 0.0, "x1": 0.6, "y1": 0.1}}
    (tmp_path / f"{third.key}.json").write_text(json.dumps({**item, "seen": [seen]}))
    shutil.copy(items / "manifest.json", tmp_path)
    made = as_made(tmp_path, third)
    assert made.regions == (("bird", Box(**seen["box"])),) and made.layout == as_made(items, third).layout


@pytest.fixture
def folder(tmp_path):
    """Pictures with a manifest that are no dataset."""
    layout = Layout(width=128, height=96, caption="a dog", instances=(ZEBRA.model_copy(update={"category": "dog"}),))
    pictures = []
    (tmp_path / "some").mkdir()
    for seed, key in enumerate(("a", "b")):
        write_png(Image.new("RGB", SIZE), tmp_path / "some" / f"{key}.png", layout, {})
        sha256 = hashlib.sha256((tmp_path / "some" / f"{key}.png").read_bytes()).hexdigest()
        pictures.append(Picture(key=key, seed=seed, sha256=sha256))
    manifest = Manifest(painted_with={"engine": "none"}, pictures=tuple(pictures))
    (tmp_path / "some" / "manifest.json").write_text(manifest.model_dump_json())
    return tmp_path / "some"


def test_accepted_pictures_of_any_folder_are_exported(folder, tmp_path):
    manifest = manifest_of(folder)
    first, second = manifest.pictures
    with pytest.raises(BadInput, match="accepted"):
        export_pictures(folder, manifest, ["coco"], tmp_path / "out")
    decide(folder, {first.key: "accepted", second.key: "rejected"})
    correct(folder, first.key, first.sha256, [ZEBRA])
    assert export_pictures(folder, manifest, ["coco", "yolo"], tmp_path / "out") == (1, 1)
    ((record, layout),) = layouts_from_coco(tmp_path / "out/coco/annotations.json")
    assert record["file_name"] == "a.png" and layout.instances[0].name == "zebra"
    assert layout.instances[0].box.to_coco(SIZE) == pytest.approx([8, 16, 32, 24])
    assert (tmp_path / "out/yolo/images/a.png").read_bytes() == (folder / "a.png").read_bytes()
    assert len((tmp_path / "out/yolo/labels/a.txt").read_text().split()) == 5
    (tmp_path / "out" / "notes.txt").touch()
    with pytest.raises(BadInput, match="something else"):
        export_pictures(folder, manifest, ["coco"], tmp_path / "out")
