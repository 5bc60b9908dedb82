"""What all tests share. Tests use no network, no key and no model folder of the person who runs them."""

import gc
import os
from pathlib import Path

os.environ.update({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "LANGSMITH_TRACING": "false"})  # read on import
os.environ.setdefault("INSTDIFF_WORKER_IDLE", "0")  # no worker outlives its jobs
# Tests side by side share the cores: with a thread for every core each, they would wait for one another. Read on import
# of torch.
if side_by_side := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // side_by_side)))

import pytest
from hypothesis import settings

settings.register_profile("shared machine", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("shared machine")

# Torch and 6,000 tests are millions of objects that stay: to look through them over and over takes a sixth of the time.
gc.set_threshold(50_000, 20, 20)

TESTS = Path(__file__).parent
LONGEST = [  # seconds, longest first; side by side, no worker may be left alone with one of them at the end
    "agent/dashboard/test_pages.py",
    "agent/dashboard/test_editor.py",
    "instdiff/model/test_sampler.py",
    "agent/test_job.py",
    "evaluators/draft/test_benchmark.py",
    "instdiff/training/draft/test_resuming.py",
    "evaluators/speed/test_speed.py",
    "instdiff/training/sd15/test_processes.py",
    "instdiff/checkpoint/test_convert.py",
    "instdiff/model/test_pipeline.py",
    "instdiff/test_engine_repaint.py",
    "test_examples.py",
    "instdiff/model/test_graphs.py",
    "agent/dashboard/test_datasets.py",
    "agent/dataset/test_kills.py",
    "instdiff/test_engine.py",
    "agent/test_user_script.py",
    "test_run_agent.py",
    "instdiff/training/sd15/test_training.py",
    "evaluators/coco/test_commands.py",
    "agent/dataset/test_export.py",
    "agent/dataset/test_making.py",
    "agent/dashboard/test_repairs.py",
    "instdiff/training/draft/test_detector.py",
    "instdiff/training/draft/test_stream.py",
    "test_keys_stay_secret.py",
    "agent/benchmarks/test_dataset_value.py",
]
RANKS = {TESTS / name: rank for rank, name in enumerate(LONGEST)}


def pytest_configure(config):
    """Files are handed out in the order below; xdist would begin with those of the most tests, which are the short."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items):
    """The files that take longest come first."""
    items.sort(key=lambda item: RANKS.get(item.path, len(RANKS)))


def pytest_collection_finish():
    """What was imported and collected is not looked through again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    """Variables that would send a test to a service or to other weights are not set."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "INSTDIFF_MODELS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of reference figures."""
    return TESTS / "golden"
