"""Small checkpoints that the tests of conversion share; they are written and converted once."""

from pathlib import Path

import pytest
from golden_checkpoint import convert, write_files


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> Path:
    """The mini checkpoint and a plain Stable Diffusion of its size, in all forms."""
    return write_files(tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture(scope="session")
def mini(files) -> Path:
    """The mini checkpoint as our folder."""
    return convert(files / "mini.pth", files / "mini")
