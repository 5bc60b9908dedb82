"""The wheel and the sdist, each in a clean environment without the checkout: ``pytest -m slow tests/test_wheel.py``."""

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from instdiff import __version__
from instdiff.formats import read_png

ROOT = Path(__file__).parents[1]
PACKAGES = {"agent", "evaluators", "instdiff", "prompts"}
LEFT_OUT = ("tests", "docs", "examples", "outputs")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def call(*words: object, cwd: Path) -> str:
    """What a command says; nothing of this environment or of the checkout reaches it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run([str(word) for word in words], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with the sdist, and the wheel that is made of it, of the files that git does not ignore."""
    source = tmp_path_factory.mktemp("source")
    for name in call("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    out = tmp_path_factory.mktemp("dist")
    call(sys.executable, "-m", "build", "--outdir", out, source, cwd=source)
    return out


def test_the_archives_hold_the_code_and_the_weights_and_nothing_else(built):
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = wheel.namelist()
    assert {name.split("/")[0] for name in names} == PACKAGES | {f"instdiff_agent-{__version__}.dist-info"}
    assert "instdiff/draft/unet/weights_int8.safetensors" in names and "instdiff/draft/judge/config.json" in names
    tracked = [name for name in call("git", "ls-files", *PACKAGES, cwd=ROOT).splitlines() if (ROOT / name).is_file()]
    assert sorted(set(tracked) - set(names)) == []
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        parts = {Path(name).parts[1] for name in sdist.getnames() if len(Path(name).parts) > 1}
    assert parts.isdisjoint(LEFT_OUT)


@pytest.mark.parametrize("archive", ["*.whl", "*.tar.gz"])
def test_an_installed_archive_makes_a_picture(built, archive, tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    call(programs / "pip", "install", "--quiet", next(built.glob(archive)), cwd=tmp_path)
    assert __version__ in call(programs / "instdiff-agent", "--version", cwd=tmp_path)
    call(programs / "instdiff-agent", "make", "a red ball", "--seed", "1", cwd=tmp_path)
    best = next((tmp_path / "outputs").glob("*/best.png"))
    layout, settings = read_png(best)
    assert layout.instances[0].category == "ball" and settings["engine"] == "draft"
