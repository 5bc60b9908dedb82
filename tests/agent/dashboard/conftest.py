"""A dashboard over a module's own ``out`` folder, and a browser that opens its pages."""

import pytest

from agent import job
from agent.dashboard import shots
from tests.agent.dashboard_pages import PATIENCE_MS


@pytest.fixture(scope="module")
def address(out, request):
    """Where the dashboard is; a module that says ``PAINTS`` has a worker which loads its models from the beginning."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INSTDIFF_WORKER_IDLE", "300")
        if getattr(request.module, "PAINTS", False):
            job.wake(out)
        with shots.serve(out) as place:
            yield place


@pytest.fixture(scope="module")
def browser():
    with shots.open_browser() as browser:
        yield browser


@pytest.fixture
def tab(browser, address):
    """Opens tabs; a script that a page starts by mistake fails the test, and so does a request to another machine."""
    from playwright.sync_api import expect

    expect.set_options(timeout=PATIENCE_MS)
    context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=address)
    context.set_default_timeout(PATIENCE_MS)
    alerts = []
    elsewhere = []

    def watch(request):
        if not request.url.startswith((address, address.replace("http", "ws"), "data:", "blob:")):
            elsewhere.append(request.url)

    context.on("request", watch)

    def opened(path):
        page = context.new_page()
        page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
        page.goto(path)
        return page

    yield opened
    context.close()
    assert alerts == []
    assert elsewhere == []
