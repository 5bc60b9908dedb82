"""What was odd in a file: counted by kind, the first few named."""

from __future__ import annotations

from collections.abc import Callable

NAMED = 3  # of each kind; the others are counted


class Tally:
    """Kinds of faults in the order in which they were met, such as "boxes cut at the border: 2 (annotations 1, 7)"."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._named: dict[str, list[str]] = {}

    def add(self, kind: str, name: str | Callable[[], str], count: int = 1) -> None:
        """Count a fault; ``name`` says where it is, and is asked for the first few alone."""
        self._counts[kind] = self._counts.get(kind, 0) + count
        named = self._named.setdefault(kind, [])
        if len(named) < NAMED:
            named.append(name if isinstance(name, str) else name())

    def __getitem__(self, kind: str) -> int:
        """How many there are of a kind."""
        return self._counts.get(kind, 0)

    @property
    def sentences(self) -> list[str]:
        """One for each kind."""
        return [
            f"{kind}: {count} ({', '.join(self._named[kind])}{', ...' if count > len(self._named[kind]) else ''})"
            for kind, count in self._counts.items()
        ]

    def __str__(self) -> str:
        return "; ".join(self.sentences)
