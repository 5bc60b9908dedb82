"""From which score on an answer should be a yes, and which categories a detector mistakes for which."""

from __future__ import annotations

import numpy as np

from evaluators.eye.answers import Answers


def found_score_at(answers: Answers, false_yes: float) -> float | None:
    """The lowest bar that at most a share of all answers about categories that are not there reaches.

    Returns:
        A score up to 1, the highest that there is: a detector that is as sure of too many false answers keeps to no
        bar. None if nothing else than what is there was asked for.
    """
    others = np.sort(answers.scores[answers.absent])[::-1]
    if not len(others):
        return None
    first_refused = others[min(int(false_yes * len(others)), len(others) - 1)]
    return float(min(np.nextafter(first_refused, 2.0), 1.0))


def most_similar(answers: Answers) -> dict[str, str]:
    """Category -> the other one that is answered with the highest mean score in its places; names of the questions.

    Only where such a score is above 0.
    """
    scores = np.where(answers.absent, answers.scores, np.nan)
    similar = {}
    for column in np.unique(answers.own):
        told = scores[answers.own == column]
        counts = (~np.isnan(told)).sum(axis=0)
        means = np.nansum(told, axis=0) / np.maximum(counts, 1)
        if means.max() > 0:
            similar[answers.names[column]] = answers.names[int(means.argmax())]
    return similar
