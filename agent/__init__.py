"""The agent: a scene in words becomes a layout, a picture, a verdict on the picture, and a better layout.

Importing this package costs nothing; the loop (and with it langgraph) loads on first use.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.loop import Agent

__all__ = ["Agent"]


def __getattr__(name: str):
    if name == "Agent":
        from agent.loop import Agent

        return Agent
    raise AttributeError(f"module 'agent' has no attribute {name!r}")
