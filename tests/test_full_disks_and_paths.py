"""Full disks, folders that may not be written, names that point elsewhere: one clear line, and finished work stays."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from PIL import Image

import run_agent
from agent import Agent, loop
from agent.runs import Run, new_folder
from evaluators.manifest import prompt_key
from instdiff.layout import Box, Instance, Layout
from tests.agent import doubles
from tests.agent.doubles import SIZE, ColourDetector, ListPlanner, RectanglePainter

ROOT = Path(__file__).parents[1]
SCRIPT = """
import resource, sys
from tests.agent import doubles
doubles.install()
limit = int(sys.argv.pop(1))
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
import run_agent
sys.exit(run_agent.main(sys.argv[1:]))
"""


def command(*arguments, limit=0, **environment):
    """The command line with the doubles, in a process whose files may not grow past ``limit`` bytes."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(limit), *arguments],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=250,
    )


@pytest.fixture
def door(monkeypatch, capfd):
    """The command line with the doubles, in this process."""
    for name in ("load_planner", "load_engine", "load_detector"):
        monkeypatch.setattr(loop, name, getattr(loop, name))

    def call(*arguments, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        doubles.install()
        code = run_agent.main(list(arguments))
        return subprocess.CompletedProcess(arguments, code, *capfd.readouterr())

    return call


def check_whole(folder):
    """Everything that is there is whole."""
    assert not list(folder.rglob(".writing-*"))
    for path in folder.rglob("*.json"):
        json.loads(path.read_text())
    for path in folder.rglob("*.png"):
        with Image.open(path) as image:
            image.load()


def check_refused(done, code=2):
    """One line that says what is wrong, after what was told before, and no traceback."""
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    *before, last = done.stderr.splitlines()
    assert last.startswith("error: ") and not any("error" in line or "Traceback" in line for line in before), (
        done.stderr
    )
    return last


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own: a function of its size that mounts it. Skipped where that is not allowed."""
    mounted = []

    def mount(size):
        folder = tmp_path / "disk"
        folder.mkdir(exist_ok=True)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip("no right to mount")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


def test_files_that_may_not_grow(tmp_path):
    """Less than a picture and the checkpoint take: the run ends before its first round does."""
    done = command("dog cat", "--json", "--out", str(tmp_path), limit=20_000)
    error = check_refused(done)
    (folder,) = tmp_path.iterdir()
    assert error.endswith(f" make --resume {folder}")
    check_whole(folder)
    again = command("--resume", str(folder), "--json")
    assert again.returncode == 0 and json.loads(again.stdout)["verified"], again.stderr
    check_whole(folder)


def test_a_full_disk(small_disk, door):
    """A later round finds no room; the first is whole, and the run goes on when there is some."""
    disk = small_disk("200k")
    done = door("dog cat", "--json", "--rounds", "4", "--out", str(disk), DOUBLES_FORGETS="dog")
    check_refused(done)
    (folder,) = disk.iterdir()
    check_whole(folder)
    finished = len(Run.load(folder).rounds)
    assert 1 <= finished < 4 and "best.png" in os.listdir(folder)
    subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
    again = door("--resume", str(folder), "--json", DOUBLES_FORGETS="dog")
    assert again.returncode == 0 and len(json.loads(again.stdout)["rounds"]) > finished, again.stderr
    check_whole(folder)


def test_a_folder_that_may_not_be_written(small_disk, door):
    disk = small_disk("2m")
    first = door("dog", "--json", "--out", str(disk))
    assert first.returncode == 0
    (folder,) = disk.iterdir()
    kept = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    changed(folder / "run.json", lambda run: run.update(done=False))
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    for arguments in (
        ["dog", "--json", "--out", str(disk)],
        ["--resume", str(folder), "--json"],
        ["--edit", str(folder), "make the dog larger", "--json", "--out", str(disk)],
    ):
        check_refused(door(*arguments))
    assert {path: path.read_bytes() for path in kept if path.name != "run.json"} == {
        p: c for p, c in kept.items() if p.name != "run.json"
    }


def changed(path, change):
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


NAMES = (
    "../../x",
    "/etc/passwd",
    "..",
    "a/b\\c",
    "nul\x00l",
    "con\x1b[2J",
    "x" * 300,
    "-rf",
    "$(touch x)",
    "`id`",
    "%2e%2e%2f",
    "日本",
    ".hidden",
    "~",
)


WORST = ("../../x", "/etc/passwd", "nul\x00l", "x" * 300)  # of which whole runs are made


def test_names_never_leave_the_folder_and_nothing_is_overwritten(tmp_path):
    agent = Agent(
        planner=ListPlanner(), engine=RectanglePainter(), verifier=ColourDetector(), out=tmp_path / "out", rounds=1
    )
    before = {path.name for path in ROOT.iterdir()}
    made = {}
    for name in NAMES:
        folder = new_folder(tmp_path / "folders", name)
        assert folder.parent == tmp_path / "folders" and folder.name.isascii() and not folder.name.startswith(".")
        assert prompt_key(name).replace("-", "").isalnum()
    for name in (*WORST, *WORST[:1]):
        thing = Instance(caption=name, category=name[:200], box=Box(x0=0.1, y0=0.1, x1=0.9, y1=0.9))
        run = agent.run(layout=Layout(width=SIZE[0], height=SIZE[1], caption=name, instances=(thing,)))
        assert (
            run.folder.parent == tmp_path / "out" and run.folder.name.isascii() and not run.folder.name.startswith(".")
        )
        assert all(path.read_bytes() == content for path, content in made.items())
        made |= {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
    assert len(list((tmp_path / "out").iterdir())) == len(WORST) + 1
    assert (
        sorted(path.name for path in tmp_path.iterdir()) == ["folders", "out"]
        and {path.name for path in ROOT.iterdir()} == before
    )


def test_the_dashboard_is_for_this_machine_alone():
    config = ROOT / ".streamlit" / "config.toml"
    if not config.exists():
        pytest.skip("no dashboard")
    server = tomllib.loads(config.read_text())["server"]
    assert server["address"] == "127.0.0.1" and server["maxUploadSize"] <= 64  # MB


def test_no_server_of_ours_listens_elsewhere():
    for package in ("agent", "evaluators", "instdiff"):
        for path in (ROOT / package).rglob("*.py"):
            assert "0.0.0.0" not in path.read_text(encoding="utf-8"), path
