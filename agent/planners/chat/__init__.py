"""The planner that asks a chat model."""

from agent.planners.chat.planner import ChatOptions, ChatPlanner

__all__ = ["ChatOptions", "ChatPlanner"]
