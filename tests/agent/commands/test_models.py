"""What this machine can use is told; weights are fetched from a server, gone on with, checked and converted."""

import hashlib
import json

import pytest
import torch
from filelock import FileLock
from golden_checkpoint import CLIP, mini_content, save, stable_diffusion
from safetensors import safe_open
from tiny_models import make_owlv2
from transformers import Owlv2ImageProcessor

from agent.commands import main
from agent.commands.registry import CHECKPOINT, MODELS, STOCK, TOKENIZER
from evaluators.detectors import default_verifier, owlv2
from instdiff.engine import engine_info
from instdiff.model import refine
from tests.agent.commands.hub import serve, stored

WEIGHTS = bytes(range(256)) * 400
DINO = {"config.json": b"{}", "model.safetensors": WEIGHTS, "preprocessor_config.json": b"{ }"}
DINO |= {"tokenizer.json": b"[1]", "tokenizer_config.json": b"[2]", "vocab.txt": b"a"}
REPO = "IDEA-Research/grounding-dino-tiny"
LARGE = f"/{REPO}/resolve/main/model.safetensors"


@pytest.fixture(autouse=True)
def models(tmp_path, monkeypatch):
    """An empty folder of models, and an empty cache of the Hub."""
    monkeypatch.setenv("INSTDIFF_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "models"


def get(*words):
    return main(["models", "get", *words])


def listed(capsys):
    capsys.readouterr()
    assert main(["models", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    return said, {
        part["name"] if part["kind"] != "verifier" else f"look: {part['name']}": part for part in said["parts"]
    }


def test_the_list_names_the_device_and_a_command_for_each_part_that_is_not_here(capsys, models):
    said, parts = listed(capsys)
    assert said["kind"] in ("cpu", "cuda") and said["memory"] > said["free"] > 0 and said["models"] == str(models)
    assert parts["draft"]["usable"] and parts["offline"]["usable"] and parts["look: draft"]["usable"]
    for name in ("sd15", "refiner", "look: owlv2", "look: grounding-dino"):
        assert not parts[name]["usable"]
        assert parts[name]["command"] == f"instdiff-agent models get {name.removeprefix('look: ')}"
    assert main(["models"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("device: ") and "instdiff-agent models get sd15" in shown


def test_a_model_is_fetched_checked_and_used(capsys, models):
    with serve(stored(DINO, REPO)) as (url, asked):
        assert get("grounding-dino", "--from", url) == 0
        assert "--engine sd15 --verifier grounding-dino" in capsys.readouterr().out
        folder = models / "grounding-dino-tiny"
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == DINO  # without what is optional
        assert [path.name for path in models.rglob("*.part")] == []
        count = len(asked)
        assert get("grounding-dino", "--from", url) == 0
        assert len(asked) == count and "is there already" in capsys.readouterr().err
    _, parts = listed(capsys)
    assert parts["look: grounding-dino"]["usable"] and parts["look: grounding-dino"]["about"] == str(folder)
    assert default_verifier("sd15")[0] == "grounding-dino"


@pytest.mark.parametrize("ranges", [True, False])
def test_a_stopped_download_is_gone_on_with(models, ranges, capsys, monkeypatch):
    monkeypatch.setattr("agent.commands.fetch.ATTEMPTS", 1)
    with serve(stored(DINO, REPO), ranges=ranges, breaks=(70_000,)) as (url, asked):
        assert get("grounding-dino", "--from", url) == 4
        error = capsys.readouterr().err
        assert "what is fetched stays; go on with:" in error and "models get grounding-dino" in error
        (part,) = models.rglob("*.part")
        assert part.stat().st_size == 70_000
        assert get("grounding-dino", "--from", url) == 0
        assert f"GET /cdn{LARGE} 70000" in asked
    assert (models / "grounding-dino-tiny" / "model.safetensors").read_bytes() == WEIGHTS


def test_a_connection_that_breaks_is_tried_again(models):
    with serve(stored(DINO, REPO), breaks=(50_000, 20_000)) as (url, asked):
        assert get("grounding-dino", "--from", url, "--quiet") == 0
    starts = [line.split()[-1] for line in asked if line.startswith(f"GET /cdn{LARGE}")]
    assert starts == ["0", "50000", "70000"]
    assert (models / "grounding-dino-tiny" / "model.safetensors").read_bytes() == WEIGHTS


def test_what_comes_damaged_is_refused_and_not_kept(models, capsys):
    files = stored(DINO, REPO)
    with serve({**files, f"{LARGE}.sha256": b"0" * 64}, hashes=False) as (url, _):
        assert get("grounding-dino", "--from", url) == 4  # nor do the others say a hash
        assert "sha256sum config.json > config.json.sha256" in capsys.readouterr().err
    said = {f"{path}.sha256": hashlib.sha256(content).hexdigest().encode() for path, content in files.items()}
    with serve({**files, **said, f"{LARGE}.sha256": b"0" * 64 + b"  model.safetensors\n"}, hashes=False) as (url, _):
        assert get("grounding-dino", "--from", url) == 4
        assert "came damaged" in capsys.readouterr().err
    assert not (models / "grounding-dino-tiny").exists() and not list(models.rglob("model.safetensors*"))
    with serve({**files, **said}, hashes=False) as (url, _):
        assert get("grounding-dino", "--from", url) == 0


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        ([], 2, "HF_HUB_OFFLINE is set"),
        (["--from", "mirror.local"], 2, "begins with http"),
        (["--from", "http://127.0.0.1:9"], 4, "cannot be reached"),
        (["--from", "http://"], 4, "cannot be reached"),
    ],
)
def test_what_cannot_be_fetched_from_is_one_line(words, code, reason, capsys, monkeypatch, models):
    monkeypatch.setattr("agent.commands.fetch.ATTEMPTS", 1)
    assert get("owlv2", *words) == code
    error = capsys.readouterr().err
    assert reason in error and error.count("\n") == 1
    assert not any(path.is_dir() for path in models.glob("*") if path.name != ".downloads")


def test_a_file_that_is_missing_is_named(capsys):
    with serve({}) as (url, _):
        assert get("refiner", "--from", url) == 4
    assert "model_index.json cannot be fetched: the server answers 404" in capsys.readouterr().err


def test_one_process_at_a_time_fetches_a_model(models, capsys):
    (models / ".downloads").mkdir(parents=True)
    with FileLock(models / ".downloads" / "grounding-dino-tiny.lock"), serve(stored(DINO, REPO)) as (url, asked):
        assert get("grounding-dino", "--from", url) == 2
        assert "is being fetched by another process" in capsys.readouterr().err and asked == []


def test_a_refiner_that_is_fetched_is_found(models, capsys):
    files = MODELS["refiner"].files
    index = {part: ["diffusers", "Any"] for part in refine.PARTS} | {"_class_name": refine.CLASSES[0]}
    contents = {file.path: b"{}" for file in files} | {"model_index.json": json.dumps(index).encode()}
    with serve(stored(contents, files[0].repo)) as (url, _):
        assert get("refiner", "--from", url, "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    assert refine.find_refiner("sd15") == models / MODELS["refiner"].folder
    _, parts = listed(capsys)
    assert parts["refiner"]["usable"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, golden):
    """What a mirror has of tiny weights: the checkpoint, the first convolution, the tokenizer, and OWLv2."""
    folder = tmp_path_factory.mktemp("weights")
    save(mini_content(), folder / "mini.pth")
    plain = stable_diffusion()
    first = {kind: plain[f"model.diffusion_model.input_blocks.0.0.{kind}"] for kind in ("weight", "bias")}
    torch.save(first, folder / "conv.pth")
    (folder / "owlv2").mkdir()
    make_owlv2(folder / "owlv2", golden)
    Owlv2ImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder / "owlv2")  # by the name of the Hub
    files = stored({CHECKPOINT.path: folder / "mini.pth"}, CHECKPOINT.repo)
    files |= stored({STOCK.path: folder / "conv.pth"}, STOCK.repo, STOCK.revision)
    files |= stored({path.name: path for path in CLIP.iterdir()}, TOKENIZER[0].repo)
    return files | stored({path.name: path for path in (folder / "owlv2").iterdir()}, owlv2.MODEL)


def test_one_command_gets_an_engine_with_its_verifier_and_the_next_paints(tiny, models, tmp_path, capsys, monkeypatch):
    content = tiny[f"/{STOCK.repo}/resolve/{STOCK.revision}/{STOCK.path}"]
    pinned = STOCK._replace(digest=hashlib.sha256(content).hexdigest())
    files = tuple(pinned if file == STOCK else file for file in MODELS["sd15"].files)
    monkeypatch.setitem(MODELS, "sd15", MODELS["sd15"]._replace(files=files))
    with serve(tiny) as (url, _):
        assert get("sd15", "--from", url) == 0
    assert 'make "two dogs on a sofa" --engine sd15' in capsys.readouterr().out
    assert sorted(path.name for path in models.iterdir() if path.name != ".downloads") == sorted(
        (MODELS["sd15"].folder, MODELS["owlv2"].folder)
    )
    assert not any(path.is_dir() for path in (models / ".downloads").iterdir())
    with safe_open(engine_info("sd15").folder / "unet" / "diffusion_pytorch_model.safetensors", "pt") as weights:
        assert weights.get_slice("conv_in.weight").get_dtype() == "F16"
    small = ["--size", "64", "--steps", "2", "--rounds", "1", "--out", str(tmp_path / "out"), "--json"]
    assert main(["make", "a dog", "--engine", "sd15", *small]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["engine"], answer["verifier"], len(answer["rounds"])) == ("sd15", "owlv2", 1)
    _, parts = listed(capsys)
    assert parts["sd15"]["usable"] and "precision" in parts["sd15"]["about"]
