"""The benchmark: every saving alone leaves the latents as they are, and bad arguments are refused without torch."""

import json
import subprocess
import sys

import pytest
import torch
from golden_figures import tensors

from evaluators.speed import __main__ as bench
from evaluators.speed.measure import Calls, Models, Workload, fill
from evaluators.speed.reference_schedule import SAVINGS, fft_filter
from instdiff.model.defaults import ModelDefaults
from instdiff.model.unet import InstanceUNet
from instdiff.model.unifusion import UniFusion


@pytest.fixture(scope="module", params=[False, True], ids=["published attention", "instance-masked"])
def models(request):
    from golden_figures import plms

    unet = InstanceUNet(
        block_out_channels=(32, 32),
        attention_levels=(True, True),
        layers_per_block=1,
        cross_attention_dim=16,
        attention_heads=2,
        instance_masked=request.param,
        has_stock_conv_in=True,
    )
    unifusion = UniFusion(
        text_dim=16, out_dim=16, mid_dim=16, seg_size=64, convnext_dims=(8, 8, 8, 8), convnext_depths=(1, 1, 1, 1)
    )
    for model in (unet, unifusion):
        fill(model.eval())
    return Models(unet, unifusion, plms(), 8, ModelDefaults(num_inference_steps=5, guidance_scale=3.0, alpha=0.8))


def paint(models, *off):
    return Workload(models, 2, 0.4, None, frozenset(off)).paint()


@pytest.mark.parametrize(
    "off", [[name] for name in SAVINGS] + [list(SAVINGS)], ids=lambda off: off[0] if len(off) == 1 else "all"
)
def test_without_a_saving_the_latents_are_equal(models, off):
    engine = paint(models)
    assert engine.std() > 0.1
    assert (paint(models, *off) - engine).abs().max() <= 1e-3 * engine.std()


def test_the_reference_does_the_published_number_of_evaluations(models):
    found = {}
    for mode, off in (("engine", frozenset()), ("reference", frozenset(SAVINGS))):
        case = Workload(models, 2, 0.4, None, off)
        calls = Calls()
        with calls.recorded(case):
            case.paint()
        found[mode] = len(calls.batches), sum(calls.batches), calls.flops(case, torch.no_grad())
    steps = 5
    apart = 2
    n = 2
    published = 2 * ((n + 1) * (apart + 1) + steps - apart)  # the first step of PLMS counts twice for every branch
    assert found["reference"][:2] == (published, published)
    assert found["engine"][:2] == (steps + 1, published - n)  # one negative for all branches at the first evaluation
    assert found["reference"][2] > 1.5 * found["engine"][2] > 0
    assert "forward" not in models.unet.__dict__


def test_an_estimate_times_each_shape_and_counts_all_calls(models):
    """All calls are counted as they are in a picture, few are done."""
    found = {}
    for timed in (None, 1):
        case = Workload(models, 2, 0.4, None, frozenset())
        found[timed] = Calls(timed)
        with found[timed].recorded(case):
            case.paint()
    whole, estimate = found.values()
    assert estimate.counts == whole.counts and estimate.batches == whole.batches
    assert {key: len(watch.seconds) for key, watch in estimate.watches.items()} == dict.fromkeys(whole.counts, 1)
    assert estimate.wall >= sum(watch.wall for watch in estimate.watches.values()) > 0 and estimate.cpu > 0
    assert not whole.watches


@pytest.mark.parametrize("size", ["8x8", "16x12", "5x3"])
@pytest.mark.parametrize("scale", ["0.0", "1.7"])
def test_fft_filter_equals_the_reference(size, scale):
    golden = tensors("fourier")
    filtered = fft_filter(golden[f"filter.{size}.in"], torch.tensor(float(scale)))
    assert (filtered - golden[f"filter.{size}.s{scale}.out"]).abs().max() <= 1e-5


@pytest.mark.parametrize(
    "arguments",
    [
        ["--size", "huge"],
        ["--instances", "-1"],
        ["--mis", "2"],
        ["--rows", "nowhere.jsonl"],
        ["--devise", "cpu"],
        ["--presets", "results.json"],
        ["--write", "page.md", "--presets", "nowhere.json"],
    ],
)
def test_bad_arguments_are_one_line(arguments, capsys):
    assert bench.main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_help_and_bad_arguments_cost_no_torch():
    code = (
        "import sys; from evaluators.speed import __main__ as b; assert b.main(['--mis', '2']) == 2; assert 'torch' not"
        " in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_rows_become_a_page(tmp_path, capsys):
    row = {
        "size": "small",
        "mode": "engine",
        "instances": 6,
        "mis": 0.36,
        "steps": 50,
        "seconds": 1.0,
        "cpu_seconds": 1.0,
        "unet_calls": 51,
        "evaluations": 324,
        "flops": 2e9,
        "of_matmul": 0.5,
        "peak_bytes": 3e8,
        "faster": 6.5,
        "difference": 1e-5,
        "machine": "a computer",
        "matmul_flops_per_s": 5e10,
    }
    batch = {"size": "draft", "batch": 4, "layouts": 16, "a_picture": 0.52, "evaluations": 22, "peak_bytes": 2e9}
    of_card = {"name": "engine, n 0", "size": "sd15", "machine": "a card", "torch": "2", "seconds": 0.5}
    lines = [json.dumps(each) + "\n" for each in (row, {**batch, "machine": "a computer"}, of_card)]
    (tmp_path / "rows.jsonl").write_text("".join(lines))
    table = {
        "title": "Presets, 64 layouts",
        "columns": ["preset", "faster"],
        "rows": [["exact", "1.00 x"], ["fast", "2.00 x"]],
    }
    (tmp_path / "results.json").write_text(json.dumps({"engine": "draft", "model_hash": "abc", "presets_table": table}))
    told = [
        "--rows",
        str(tmp_path / "rows.jsonl"),
        "--write",
        str(tmp_path / "page.md"),
        "--presets",
        str(tmp_path / "results.json"),
    ]
    assert bench.main(told) == 0
    page = (tmp_path / "page.md").read_text()
    expected = "| small | engine | 6 | 0.36 | 50 | 1.00 | 1.00 | 51 | 324 | 2 | 50% | 300 | 6.50 x | 1e-05 |"
    assert expected in capsys.readouterr().out and expected in page
    assert "| draft | 4 | 0.52 | 16 | 22 | 2000 | a computer |" in page
    assert "| a card | 2 | sd15 | engine, n 0 | 0.5 |" in page and "Not measured yet" not in page
    assert (
        "| preset | faster |\n| --- | --- |\n| exact | 1.00 x |\n| fast | 2.00 x |\n" in page and "weights abc" in page
    )
    (tmp_path / "results.json").write_text(json.dumps({"engine": "draft", "model_hash": "abc"}))
    assert bench.main(told) == 2


def test_each_takes_one_layout_and_few_steps_if_nothing_else_is_said():
    each = bench.read_options(["--each", "--steps", "4"])
    plain = bench.read_options([])
    assert (each.instances, each.mis, each.steps, each.repeat) == ([6], [0.36], 4, 1)
    assert (plain.instances, plain.mis, plain.steps, plain.repeat) == ([0, 1, 3, 6, 10], [0.0, 0.2, 0.36], None, 3)


def test_what_is_left_of_a_card_goes_on(tmp_path, capsys):
    told = ["--card", str(tmp_path / "card.jsonl"), "--size", "draft", "--steps", "1", "--repeat", "1", "--within", "1"]
    names = []
    for _ in range(2):
        assert bench.main(told) == 3
        *rows, last = map(json.loads, capsys.readouterr().out.splitlines())
        names += [row["name"] for row in rows]
        assert rows and last["left"] and not set(last["left"]) & set(names)
    written = [json.loads(line) for line in (tmp_path / "card.jsonl").read_text().splitlines()]
    assert [row["name"] for row in written] == names and len(set(names)) == len(names)
    assert names[:2] == ["matmul", "check float32"] and written[1]["equal"] and written[1]["off"] < 1e-5
    (tmp_path / "card.jsonl").write_text("[]\n")
    assert bench.main(told) == 2


def test_batches_go_through_the_whole_pipeline(capsys):
    assert bench.main(["--size", "draft", "--batches", "1", "2", "--steps", "2", "--repeat", "1"]) == 0
    one, two = map(json.loads, capsys.readouterr().out.splitlines())
    assert (one["batch"], two["batch"]) == (1, 2) and one["layouts"] == two["layouts"] == 2
    assert one["evaluations"] == two["evaluations"] == 4 and min(one["a_picture"], two["a_picture"]) > 0
