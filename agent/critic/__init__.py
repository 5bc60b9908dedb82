"""Looks at a plan before paint is spent on it."""

from agent.critic.critic import Critique, Finding, FindingKind, criticise, exact_counts

__all__ = ["Critique", "Finding", "FindingKind", "criticise", "exact_counts"]
