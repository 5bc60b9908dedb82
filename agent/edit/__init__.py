"""Edits in words: "add a cat on the sofa". What is not spoken of stays where it is, and so does the noise.

`edited` changes a plan; `source` takes the plan and the settings from a run that is over, `new_run` keeps what was
changed.
"""

from agent.edit.edit import edited
from agent.edit.runs import Source, new_run, source

__all__ = ["Source", "edited", "new_run", "source"]
