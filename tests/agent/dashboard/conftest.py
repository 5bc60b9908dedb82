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


@pytest.fixture(scope="module")
def window(browser, address):
    """Where a module's tabs open; each stays for the next test, as a tab that has loaded the scripts loads fast."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=address)
    context.set_default_timeout(PATIENCE_MS)
    yield context
    context.close()


@pytest.fixture
def tab(window, address):
    """Opens tabs; a script that a page starts by mistake fails the test, and so does a request to another machine."""
    from playwright.sync_api import expect

    expect.set_options(timeout=PATIENCE_MS)
    alerts = []
    elsewhere = []

    def watch(request):
        if not request.url.startswith((address, address.replace("http", "ws"), "data:", "blob:")):
            elsewhere.append(request.url)

    def dismiss(dialog):
        alerts.append(dialog.message)
        dialog.dismiss()

    window.on("request", watch)
    window.on("dialog", dismiss)
    left = list(window.pages)
    used = []

    def opened(path):
        page = left.pop() if left else window.new_page()
        used.append(page)
        page.goto(path)
        return page

    yield opened
    for page in used:
        page.evaluate("localStorage.clear(); sessionStorage.clear()")
        page.goto("about:blank")  # the session on the server ends, and nothing of it is seen by the next test
    window.clear_cookies()
    window.remove_listener("request", watch)
    window.remove_listener("dialog", dismiss)
    assert alerts == []
    assert elsewhere == []
