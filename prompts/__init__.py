"""What is said to language and vision models, as text files beside this one, and the client that says it."""

from pathlib import Path


def read(name: str) -> str:
    """The text of a prompt, e.g. ``read("plan_system.md")``."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8").strip()
