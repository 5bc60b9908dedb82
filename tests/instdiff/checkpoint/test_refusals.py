"""Nothing in a checkpoint is run; what is damaged, missing or unexplained is named in a line and leaves no trace."""

import os
import pickle
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from golden_checkpoint import CLIP, convert, mini_content, same, save, weights

from instdiff.checkpoint.__main__ import main
from instdiff.engine import DRAFT_FOLDER


def refusal(capsys, *arguments) -> str:
    """The one line that the command refuses with."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ")
    return lines[0]


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def attacks() -> dict:
    """Calls that leave a file behind if a pickle that holds them is run."""
    write = "open('PWNED', 'w').close()"
    return {
        "exec": Call(exec, write),
        "eval": Call(eval, write),
        "system": Call(os.system, "echo > PWNED"),
        "process": Call(subprocess.call, ["touch", "PWNED"]),
        "open": Call(open, "PWNED", "w"),
        "attribute": Call(getattr, torch.Tensor, "save"),
        "inner pickle": Call(pickle.loads, pickle.dumps(Call(exec, write))),
        "import": Call(__import__, "antigravity"),
        "storage": Call(torch.storage._load_from_bytes, b"x"),
    }


@pytest.mark.parametrize("where", ["config_dict", "model", "opt"])
@pytest.mark.parametrize("attack", attacks())
@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_in_a_pickle_is_run(tmp_path, monkeypatch, capsys, where, attack, zipped):
    monkeypatch.chdir(tmp_path)
    content = {"model": {"position_net.in_conv.bias": torch.zeros(3)}, "opt": {}, "config_dict": {}}
    content[where]["x"] = attacks()[attack]
    torch.save(content, "bad.pth", _use_new_zipfile_serialization=zipped)
    assert "refused: it asks to run" in refusal(capsys, "bad.pth", "--out", "out")
    assert sorted(os.listdir()) == ["bad.pth"]


@pytest.mark.parametrize("attack", ["exec", "eval", "system", "process", "open", "inner pickle"])
def test_the_attacks_are_real(tmp_path, monkeypatch, attack):
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(attacks()[attack]))
    assert os.listdir() == ["PWNED"]


class Forged:
    """Pickles as a harmless call whose result is then changed."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "forged",
    [
        Forged(torch._utils._rebuild_parameter, (torch.zeros(3), False, OrderedDict()), {"load": OrderedDict}),
        Forged(torch._utils._rebuild_parameter, (torch.zeros(3), False, OrderedDict()), (None, {"load": OrderedDict})),
        Forged(torch._utils._rebuild_parameter, (OrderedDict, False, OrderedDict()), (None, {"function": OrderedDict})),
    ],
)
def test_a_pickle_cannot_change_what_stands_for_tensors_and_functions(tmp_path, capsys, forged):
    torch.save({"model": {"position_net.in_conv.bias": forged}}, tmp_path / "x.pth")
    assert "is damaged" in refusal(capsys, tmp_path / "x.pth", "--out", tmp_path / "out")


@pytest.mark.parametrize("name", ["malicious_checkpoint.pth", "malicious_checkpoint_dotted.pth"])
def test_the_malicious_checkpoints_are_refused(golden, tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    assert "refused: it asks to run" in refusal(capsys, golden / name, "--out", "out")
    assert not os.listdir()


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]


@pytest.mark.parametrize("name", ["mini.pth", "sd.safetensors", "old.ckpt"])
@pytest.mark.parametrize("share", [0.0, 0.0001, 0.3, 0.9, 0.99999])
def test_a_file_that_is_cut_off_is_refused(files, tmp_path, capsys, name, share):
    data = (files / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(data[: int(share * len(data))])
    assert name in refusal(capsys, path, "--tokenizer", CLIP, "--out", tmp_path / "out")
    assert os.listdir(tmp_path) == [name]


def test_a_damaged_tensor_is_found_by_its_checksum_and_leaves_nothing_behind(files, tmp_path, capsys):
    path = tmp_path / "mini.pth"
    path.write_bytes(flipped((files / "mini.pth").read_bytes()))
    assert "is damaged" in refusal(capsys, path, "--tokenizer", CLIP, "--out", tmp_path / "out")
    assert os.listdir(tmp_path) == ["mini.pth"]


def changed(**change):
    content = mini_content()
    for name, value in change.items():
        group, _, key = name.partition("__")
        key = key.replace("__", ".")
        if value is None:
            del content[group][key]
        else:
            content[group][key] = value
    return content


BIAS = "ema__input_blocks__0__0__bias"


@pytest.mark.parametrize(
    ("change", "options", "word"),
    [
        ({"ema__input_blocks__0__0__bias": None}, [], "1 tensors are missing: conv_in.bias"),
        ({"ema__position_net__in_conv__bias": None}, [], "missing: seg_conv_in.bias"),
        ({"autoencoder__quant_conv__bias": None}, [], "missing: quant_conv.bias"),
        ({"text_encoder__transformer__text_model__final_layer_norm__bias": None}, [], "missing: final_layer_norm.bias"),
        ({"ema__stranger": torch.zeros(1)}, [], "cannot be explained: ema.stranger"),
        ({"ema__input_blocks__1__0__extra": torch.zeros(1)}, [], "left over"),
        ({"text_encoder__extra": torch.zeros(1)}, [], "left over: extra"),
        ({"diffusion__betas": torch.linspace(0.1, 0.2, 1000)}, [], "noise schedule"),
        ({BIAS: torch.zeros(31).half()}, [], "has shape [31]"),
        ({BIAS: torch.full((32,), torch.nan).half()}, [], "not finite"),
        ({BIAS: torch.full((32,), 1e6)}, ["--dtype", "fp16"], "--dtype fp32"),
    ],
)
def test_what_is_missing_left_over_or_wrong_is_named(tmp_path, capsys, change, options, word):
    save(changed(**change), tmp_path / "x.pth")
    assert word in refusal(capsys, tmp_path / "x.pth", "--tokenizer", CLIP, "--out", tmp_path / "out", *options)
    assert os.listdir(tmp_path) == ["x.pth"]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ({"a": torch.zeros(2)}, "is neither"),
        ([torch.zeros(2)], "no named tensors"),
        ({"weight": torch.zeros(2, 4, 3, 3), "bias": torch.zeros(2)}, "--stock"),
    ],
)
def test_other_files_are_refused(tmp_path, capsys, content, word):
    torch.save(content, tmp_path / "x.pth")
    assert word in refusal(capsys, tmp_path / "x.pth", "--out", tmp_path / "out")


def test_arguments_that_make_no_sense_are_refused(files, mini, tmp_path, capsys):
    out = tmp_path / "out"
    checkpoint = files / "mini.pth"
    assert "no such file" in refusal(capsys, tmp_path / "none", "--out", out)
    assert "cannot be used together" in refusal(
        capsys, checkpoint, "--stock", checkpoint, "--backbone", checkpoint, "--out", out
    )
    assert "makes no sense" in refusal(capsys, checkpoint, "--backbone", checkpoint, "--tokenizer", CLIP, "--out", out)
    assert "holds none" in refusal(capsys, checkpoint, "--tokenizer", tmp_path, "--out", out)
    assert "knows 514 tokens" in refusal(capsys, DRAFT_FOLDER, "--tokenizer", CLIP, "--out", out)
    assert "--out" in refusal(capsys, checkpoint)
    assert not out.exists()


def test_without_a_tokenizer_it_says_what_to_fetch(files, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert "hf download openai/clip-vit-large-patch14" in refusal(capsys, files / "mini.pth", "--out", tmp_path / "out")


def test_only_a_model_folder_is_replaced_and_only_by_force(mini, tmp_path, capsys):
    out = tmp_path / "out"
    other = tmp_path / "other"
    convert(mini, out)
    (out / "mark").touch()
    other.mkdir()
    (other / "letter.txt").write_text("dear")
    assert "--force" in refusal(capsys, mini, "--out", out)
    assert "no model folder" in refusal(capsys, mini, "--out", other, "--force")
    assert (out / "mark").exists() and (other / "letter.txt").read_text() == "dear"
    convert(mini, out, "--force")
    assert not (out / "mark").exists() and same(weights(out), weights(mini))
    assert sorted(os.listdir(tmp_path)) == ["other", "out"]


def test_a_draft_has_no_names_in_the_reference(tmp_path, capsys):
    assert "to_reference" in refusal(capsys, DRAFT_FOLDER, "--to-reference", "--out", tmp_path / "x.pth")


def test_help_and_bad_input_cost_no_torch(tmp_path):
    script = (
        "import sys; from instdiff.checkpoint.__main__ import main\ntry: main(sys.argv[1:])\nfinally: assert 'torch'"
        " not in sys.modules"
    )
    for arguments in (["--help"], [str(tmp_path / "none"), "--out", "x"], []):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments], capture_output=True, text=True, cwd=Path(__file__).parents[3]
        )
        assert "Traceback" not in done.stderr
    assert (
        "--to-reference --out back.pth"
        in subprocess.run(
            [sys.executable, "-m", "instdiff.checkpoint", "--help"],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[3],
        ).stdout
    )
