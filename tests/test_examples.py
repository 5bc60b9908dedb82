"""Every script in ``examples/`` runs as it stands, from a checkout."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("script", EXAMPLES, ids=[script.stem for script in EXAMPLES])
def test_an_example_runs_and_leaves_pictures(script, tmp_path):
    for name in ("agent", "evaluators", "examples", "instdiff", "prompts"):  # a checkout whose outputs are ours
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "outputs").mkdir()
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "float16" not in done.stderr  # diffusers warns of it on a CPU
    pictures = sorted((tmp_path / "outputs").rglob("*.png"))
    assert pictures
    for picture in pictures:
        colours = Image.open(picture).convert("RGB").getcolors(1 << 16)
        assert colours is None or len(colours) > 50  # more than a blank
