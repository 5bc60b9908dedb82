"""A grid that is painted, compared and left again, and failures that are clicked, in a real browser."""

import pytest

from agent.dashboard import grids
from agent.runs import Run
from tests.agent.dashboard_pages import PATIENCE_MS, needs_browser, see, small_run

PAINTS = True
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), needs_browser]


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outputs")
    small_run(folder, "dog cat", rounds=1)
    small_run(folder, "dog", rounds=1)
    return folder


def test_a_grid_of_seeds_is_painted_and_two_of_it_are_compared(tab, out):
    page = tab("/")
    page.get_by_label("The scene in words").fill("a green car")
    page.get_by_role("spinbutton", name="Rounds at most").fill("1")
    page.get_by_text("A grid: a picture for each").click()
    page.get_by_role("button", name="Make the picture").scroll_into_view_if_needed()
    page.get_by_label("Values").fill("3, 5-6")
    page.get_by_label("Vary").click()
    page.get_by_role("option", name="Seed").click()
    page.get_by_role("button", name="Make the picture").click()
    page.wait_for_url("**/grid?grid=*")
    page.get_by_text("3 of 3 done").wait_for(timeout=6 * PATIENCE_MS)
    ((_, grid),) = grids_of(out)
    seeds = [Run.load(out / cell.run).request.settings.seed for cell in grid.cells]
    assert seeds == [3, 5, 6] and [cell.value for cell in grid.cells] == ["3", "5", "6"]
    page.reload()  # the address keeps the grid
    see(page, "3 of 3 done")
    boxes = page.locator(".card").get_by_role("checkbox")
    boxes.nth(0).click()
    boxes.nth(2).click()
    page.get_by_role("link", name="Compare the two").click()
    see(page, "Settings that differ")
    assert f"left={grid.cells[0].run}&right={grid.cells[2].run}" in page.url
    page.go_back()
    see(page, "3 of 3 done")
    page.locator(".card a").nth(1).click()
    see(page, "Make more of it")
    assert grid.cells[1].run in page.url
    page.go_back()
    see(page, "3 of 3 done")


def grids_of(out):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INSTDIFF_OUTPUTS", str(out))
        return list(grids.all_grids())


def test_a_marked_category_filters_and_a_card_leads_to_its_run_and_back(tab):
    from playwright.sync_api import expect

    page = tab("/failures?q=dog")
    see(page, "2 things failed, in 2 of 2 runs")
    page.get_by_role("checkbox", name="mark row 1").click()
    page.wait_for_url("**thing=dog*")
    page.locator(".card a").first.click()  # that of the run with the least found
    see(page, "Make more of it")
    page.go_back()
    see(page, "2 things failed, in 2 of 2 runs")
    assert "thing=dog" in page.url
    expect(page.get_by_role("checkbox", name="mark row 1")).to_be_checked()
