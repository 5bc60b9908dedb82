"""The page of evaluations shows what evaluations of plans left."""

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from agent.benchmarks import lmd
from agent.benchmarks.__main__ import main
from instdiff.formats import layout_to_json

SAMPLES = Path(__file__).parents[1] / "benchmarks" / "plans" / "samples"


def page():
    from agent.dashboard import evaluations_page

    evaluations_page.show()


@pytest.fixture
def plans(tmp_path, monkeypatch):
    """The plans of one prompt of LMD, in a folder with outputs of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INSTDIFF_OUTPUTS", str(tmp_path / "outputs"))
    prompt, layout = next(iter(lmd.gpt4_layouts().items()))
    line = {"prompt": prompt, "layout": layout_to_json(layout), "seed": 0}
    (tmp_path / "plans.jsonl").write_text(json.dumps(line) + "\n")
    return str(tmp_path / "plans.jsonl")


def test_results_of_plans_are_tables_beside_each_other(plans, capsys):
    assert not AppTest.from_function(page, default_timeout=60).run().dataframe
    for name, files in {
        "nsr": ["nsr_counting.json"],
        "compbench": ["compbench.jsonl"],
        "readings": ["readings.jsonl"],
        "lmd": [],
    }.items():
        assert main([name, *(str(SAMPLES / file) for file in files), "--layouts", plans]) == 0
    app = AppTest.from_function(page, default_timeout=60).run()
    app.multiselect[0].set_value(["compbench", "lmd-layout", "nsr", "readings"]).run()
    assert not app.exception and not app.error
    shown = [text.value for text in app.text]
    for title in ("NSR-1K, nsr_counting.json", "T2I-CompBench, compbench.jsonl", "Free English, readings.jsonl"):
        assert title in shown
    assert "LMD benchmark, layouts" in shown and len(app.dataframe) >= 4
