"""Every script in ``examples/`` runs as it stands, from a checkout."""

import runpy
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
PACKAGES = ("agent", "evaluators", "instdiff", "prompts")


@pytest.mark.parametrize("script", EXAMPLES, ids=[script.stem for script in EXAMPLES])
def test_an_example_runs_and_leaves_pictures(script, tmp_path, monkeypatch, capfd):
    for name in PACKAGES:  # a checkout whose outputs are ours
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "outputs").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(script)])
    runpy.run_path(str(script), run_name="__main__")  # in this process: each of its own would import torch anew
    assert "float16" not in capfd.readouterr().err  # diffusers warns of it on a CPU
    pictures = sorted((tmp_path / "outputs").glob("*.png"))
    assert pictures
    for picture in pictures:
        colours = Image.open(picture).convert("RGB").getcolors(1 << 16)
        assert colours is None or len(colours) > 50  # more than a blank


def test_the_documentation_names_every_example():
    page = (ROOT / "docs" / "python.md").read_text()
    assert [script.name for script in EXAMPLES if f"examples/{script.name}" not in page] == []
