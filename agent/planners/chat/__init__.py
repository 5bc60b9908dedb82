"""The planner that asks a chat model."""

from agent.planners.chat.planner import ChatPlanner
from agent.planners.plan import ChatOptions

__all__ = ["ChatOptions", "ChatPlanner"]
