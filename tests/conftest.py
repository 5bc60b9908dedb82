"""What all tests share. Tests use no network, no key and no model folder of the person who runs them."""

import os
from pathlib import Path

os.environ.update({"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "LANGSMITH_TRACING": "false"})  # read on import

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
