"""The terms on which a service is asked, and what is left out of them where it refuses."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from prompts.budget import LEAST_ANSWER_TOKENS

WAYS = ("json_schema", "function_calling", "json_mode", "plain")  # how an answer with a schema is asked for, in order
REFUSES = (400, 422, 500, 501)  # statuses that may be about one parameter; llama_cpp.server says 500
REFUSES_THE_FORM = (400, 422, 501)
ABOUT_THE_FORM = re.compile(
    r"response_format|json_schema|json_object|structured output|tool_choice|\btools?\b|requested parameters"
)
LIMIT = re.compile(
    r"\bmax_(?:completion_|output_|new_)?tokens\b|\bmax(?:Completion|Output)?Tokens\b|\bnum_predict\b|in the completion"
)
TOO_LARGE = re.compile(
    r"too (?:large|high|big|long)|at most|maximum|exceed|less than|greater than|between", re.IGNORECASE
)


@dataclass(frozen=True)
class Refusal:
    """An error of a service: its HTTP status, what it says, and the parameter that it names, empty if it names none."""

    status: int
    reason: str
    parameter: str = ""


@dataclass(frozen=True)
class Terms:
    """How a service is asked. The plain way sends as little as it can, which is what every service understands.

    Args:
        way: of `WAYS`.
        limit: under which of its two names the limit of an answer is sent: the one that is usual for the provider, or
            the other; or not at all.
        limit_divisor: by how much the limit is made smaller for a model that cannot answer at such length.
    """

    way: str = WAYS[0]
    with_temperature: bool = True
    with_seed: bool = True
    limit: Literal["usual", "other", "none"] = "usual"
    limit_divisor: int = 1

    def after_empty(self) -> Terms | None:
        """Terms with the next way of asking, None after the last: some servers answer nothing where a form is asked."""
        following = WAYS[WAYS.index(self.way) + 1 :]
        return replace(self, way=following[0]) if following else None

    def weaker(self, refusal: Refusal, with_schema: bool, needs_limit: bool, limit: int) -> Terms | None:
        """Terms without what a service refused, None if nothing can be left out.

        Args:
            with_schema: whether a form was asked for.
            needs_limit: whether an answer without a limit may cost more than is allowed.
            limit: of the answer, in tokens.
        """
        is_plain = with_schema and self.way == "plain"
        named = refusal.parameter or refusal.reason
        if refusal.status in REFUSES:
            if self.limit != "none" and (needs_limit or not is_plain) and LIMIT.search(named):
                return self._with_other_limit(refusal.reason, needs_limit, limit)
            # models that reason take no temperature, some servers know no seed
            with_temperature = self.with_temperature and (is_plain or not re.search(r"\btemperature\b", named))
            with_seed = self.with_seed and (is_plain or not re.search(r"\bseed\b", named))
            less = replace(self, with_temperature=with_temperature, with_seed=with_seed)
            if less != self:
                return less
        refuses_the_form = refusal.status in REFUSES_THE_FORM or (
            refusal.status in (404, 500) and ABOUT_THE_FORM.search(named)
        )
        return self.after_empty() if with_schema and refuses_the_form else None

    def _with_other_limit(self, reason: str, needs_limit: bool, limit: int) -> Terms | None:
        """The limit under its other name if that is proposed, smaller if it has to be sent, or left out."""
        proposes = re.search(r"\buse\b\W*['\"`]?max_\w*tokens|max_\w*tokens['\"`]?\W+instead", reason, re.IGNORECASE)
        if self.limit == "usual" and proposes:
            return replace(self, limit="other")
        if not needs_limit:
            return replace(self, limit="none")
        if TOO_LARGE.search(reason):
            is_enough = limit // 2 >= LEAST_ANSWER_TOKENS
            return replace(self, limit_divisor=2 * self.limit_divisor) if is_enough else None
        return replace(self, limit="other") if self.limit == "usual" else None
