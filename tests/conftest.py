"""What all tests share. Tests use no network, no key and no model folder of the person who runs them."""

import os
from pathlib import Path

os.environ.update({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "LANGSMITH_TRACING": "false"})  # read on import
# Tests side by side share the cores: with a thread for every core each, they would wait for one another. Read on import
# of torch.
if side_by_side := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // side_by_side)))

import pytest
from hypothesis import settings

settings.register_profile("shared machine", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("shared machine")


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    """Variables that would send a test to a service or to other weights are not set."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "INSTDIFF_MODELS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of reference figures."""
    return Path(__file__).parent / "golden"
