"""Edits in words: "add a cat on the sofa". What is not spoken of stays where it is, and so does the noise.

`edit_plan` changes a plan; `source` takes plan and settings from a run that is over, `new_run` keeps what was changed.
"""

from agent.edit.edit import edit_plan
from agent.edit.runs import Source, new_run, source

__all__ = ["Source", "edit_plan", "new_run", "source"]
