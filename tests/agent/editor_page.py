"""A page with the layout editor, a server for it, and hands for a browser that shows it."""

import subprocess
import time
from pathlib import Path
from urllib.request import urlopen

import numpy as np

from agent.dashboard.editor import read_edit
from instdiff.layout import Box, Instance, Layout, Mask

MARKUP = "<img src=x onerror=\"document.title='run'\">"
SIZE = (512, 384)


def disc(height: int, width: int, x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return (columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 <= radius**2


LAYOUT = Layout(
    width=SIZE[0],
    height=SIZE[1],
    caption="a park",
    instances=(
        Instance(caption="a brown dog", category="dog", box=Box.from_corners([64, 96, 192, 224], SIZE)),
        Instance(caption=MARKUP, box=Box.from_corners([320, 64, 448, 160], SIZE)),
        Instance(
            caption="the moon", mask=Mask.from_array(disc(96, 128, 80, 70, 12))
        ),  # at 320, 280, radius 48 in pixels
    ),
)

OPTIONS = (
    "--server.address=127.0.0.1",
    "--server.headless=true",
    "--server.fileWatcherType=none",
    "--browser.gatherUsageStats=false",
)
PATIENCE_S = 60  # on a machine with much else to do

SCRIPT = """
import json
from pathlib import Path
import streamlit as st
from agent.dashboard.editor import edit_layout
from instdiff.layout import Layout

here = Path(__file__).parent
st.set_page_config(layout="wide")
round = st.session_state.setdefault("round", 0)
if st.button("Start again"):
    st.session_state.round = round = round + 1
    st.session_state.pop("layout", None)
if st.button("Plan again"):
    st.session_state.layout = Layout.model_validate_json((here / "planned.json").read_text())
layout = st.session_state.setdefault("layout", Layout.model_validate_json((here / "layout.json").read_text()))
drawn = edit_layout(here / "picture.png" if layout.instances else None, layout, key=f"editor-{round}")
(here / "drawn.json").write_text(drawn.model_dump_json() if drawn else "null")
"""


def near(box: Box, corners: list[float]) -> bool:
    """Whether a box is within a pixel of ``[x0, y0, x1, y1]``."""
    return bool(np.abs(np.subtract(box.to_corners(SIZE), corners)).max() <= 1)


def wait_for(address: str, server: subprocess.Popen, log: Path) -> str:
    for _ in range(10 * PATIENCE_S):
        assert server.poll() is None, log.read_text()
        try:
            urlopen(f"{address}/_stcore/health", timeout=1).close()
            return address
        except OSError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())


class EditorPage:
    """One page; `again` starts the next test with a fresh editor on it."""

    def __init__(self, browser, address: str, folder: Path):
        self.page = browser.new_page(viewport={"width": 1280, "height": 900})
        self.folder = folder
        self.round = 0
        self.page.set_default_timeout(1000 * PATIENCE_S)
        self.page.goto(address)
        self.stage.wait_for()

    def again(self):
        self.round += 1
        self.page.get_by_role("button", name="Start again").click()
        self.stage.wait_for()
        assert self.rows() == ["1 dog", f"2 {MARKUP}", "3 the moon"]
        return self

    @property
    def root(self):
        return self.page.locator(f"[class*='st-key-editor-{self.round}-'] .editor")

    @property
    def stage(self):
        return self.root.locator(".stage")

    def button(self, name: str):
        return self.root.get_by_role("button", name=name, exact=True)

    def status(self) -> str:
        return self.root.get_by_role("status").text_content()

    def rows(self) -> list[str]:
        return [" ".join(row.locator(".swatch, .name").all_text_contents()) for row in self.root.locator(".row").all()]

    def drag(self, *path: tuple[float, float], release: bool = True) -> None:
        """Press, move along the path in pixels of the layout, and release."""
        area = self.stage.bounding_box()
        places = [(area["x"] + x * area["width"] / SIZE[0], area["y"] + y * area["height"] / SIZE[1]) for x, y in path]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place, steps=5)
        if release:
            self.page.mouse.up()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def plan(self, instances: list[Instance]) -> None:
        """The page itself hands in other instances."""
        (self.folder / "planned.json").write_text(LAYOUT.with_instances(instances).model_dump_json())
        before = self.root.element_handle()
        self.page.get_by_role("button", name="Plan again").click()
        self.page.wait_for_function("editor => !editor.isConnected", arg=before)  # the new one may come before it goes

    def drawn(self) -> Layout:
        """What is drawn, once the page has it."""
        sent = {"instances": self.root.evaluate("root => root.editor.result()")}
        layout = read_edit(sent, LAYOUT)
        for _ in range(20 * PATIENCE_S):
            if (self.folder / "drawn.json").read_text() == layout.model_dump_json():
                return layout
            time.sleep(0.05)
        raise AssertionError("the page did not get what is drawn")
