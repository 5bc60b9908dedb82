"""The few errors of this project. Each carries what was wrong, where, and what to do about it."""


def printable(text: str) -> str:
    """The text on one line that no terminal obeys: control characters and halves of characters become spaces."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


class InstDiffError(Exception):
    """Base of every error raised on purpose. The message is one printable line, whoever's words it repeats."""

    def __str__(self) -> str:
        return printable(super().__str__())


class BadInput(InstDiffError):
    """Something handed in from outside cannot be used (exit code 2 of the command line).

    Args:
        field: where, in the words of the input, e.g. ``annos[3].bbox``.
        reason: what is wrong with it, with the offending values and the cure.
    """

    def __init__(self, field: str, reason: str):
        self.field = field
        self.reason = reason
        super().__init__(f"{field}: {reason}")


MAX_FAILURES = 3  # so many failures of a service in a row end the work: it can be gone on with later


class ServiceError(InstDiffError):
    """A planner, model or detector that the work needs failed or cannot be reached (exit code 4)."""
