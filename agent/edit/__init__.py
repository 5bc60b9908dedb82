"""Edits in words: "add a cat on the sofa". What is not spoken of stays where it is, and so does the noise.

`edit_plan` changes a plan; `source` takes plan and settings from a run that is over, `new_run` keeps what was changed.
The grammar of edits loads on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.edit.edit import edit_plan
    from agent.edit.runs import Source, new_run, source

_LAZY = {"edit_plan": "edit", "Source": "runs", "new_run": "runs", "source": "runs"}

__all__ = ["Source", "edit_plan", "new_run", "source"]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module(f"agent.edit.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'agent.edit' has no attribute {name!r}")
