"""The few errors of this project. Each carries what was wrong, where, and what to do about it."""


class InstDiffError(Exception):
    """Base of every error that this project raises on purpose."""


class BadInput(InstDiffError):
    """Something handed in from outside cannot be used (exit code 2 of the command line).

    Args:
        field: where, in the words of the input, e.g. ``annos[3].bbox``.
        reason: what is wrong with it, with the offending values and the cure.
    """

    def __init__(self, field: str, reason: str):
        self.field, self.reason = field, reason
        super().__init__(f"{field}: {reason}")


class ServiceError(InstDiffError):
    """A planner, model or detector that the work needs failed or cannot be reached (exit code 4)."""
