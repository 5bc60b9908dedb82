"""What comes back from a chat model, whoever runs it, and how a request can fail."""

from __future__ import annotations

from dataclasses import dataclass

from agent.planners.chat.answer import BadAnswer

CUT_OFF = "truncated: the answer was cut off before its end; plan fewer objects and use shorter captions"


class ServiceFailure(Exception):
    """A request failed.

    Args:
        reason: one line, without the key.
        again: whether another request has a chance.
        wait_s: how long to wait first; None if the service names no time.
        worked: whether the model may have worked on it, and been paid for it, all the same.
    """

    def __init__(self, reason: str, again: bool = False, wait_s: float | None = None, worked: bool = False):
        self.reason = reason
        self.again = again
        self.wait_s = wait_s
        self.worked = worked
        super().__init__(reason)


@dataclass(frozen=True)
class Reply:
    """One answer: its text, the tokens that the model took as far as it says, and what is wrong with it, if anything
    is.
    """

    text: str = ""
    prompt_tokens: int | None = None
    answer_tokens: int | None = None
    trouble: ServiceFailure | BadAnswer | None = None
