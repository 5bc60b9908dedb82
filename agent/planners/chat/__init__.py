"""The planner that asks a chat model."""

from agent.planners.chat.planner import ChatPlanner

__all__ = ["ChatPlanner"]
