"""What all commands share."""

import gc

import pytest

from instdiff.cli import exit_code


@pytest.fixture
def often():
    """Garbage is looked for as often as in a Python that was told nothing."""
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield gc.get_threshold()
    gc.set_threshold(*before)


def test_a_command_collects_garbage_seldom_and_leaves_its_caller_as_it_was(often):
    seen = []

    def work():
        seen.append(gc.get_threshold()[0])
        raise OSError("the disk is full")

    assert exit_code(work) == 2
    assert seen[0] > 10 * often[0] and gc.get_threshold() == often
