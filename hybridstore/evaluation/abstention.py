"""How well a number tells the queries a store can answer from those it cannot: what an abstention rests on.

A query is foreign where the store holds no answer to it. The number is a confidence, such as the relevance of the
best hit; the higher it is, the surer the search is that there is an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hybridstore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def auroc(answerable: Sequence[float], foreign: Sequence[float]) -> float:
    """Give the chance that an answerable query has the higher confidence than a foreign one; ties count half.

    1 tells them apart without a fault, 0.5 is guessing. It is the area under the ROC curve, and the Mann-Whitney
    statistic over the number of pairs: Hanley and McNeil, "The meaning and use of the area under a receiver
    operating characteristic (ROC) curve", Radiology 143(1), 1982. No query on a side, and NaN, are InputErrors.
    """
    ours, theirs = _confidences(answerable, "answerable"), np.sort(_confidences(foreign, "foreign"))
    below = np.searchsorted(theirs, ours, side="left")
    not_above = np.searchsorted(theirs, ours, side="right")
    return float((below + not_above).sum() / 2 / (len(ours) * len(theirs)))


def balanced_accuracy(answerable: Sequence[float], foreign: Sequence[float], threshold: float) -> float:
    """Give the mean of two shares: of answerable queries at or above the threshold, of foreign ones below it.

    0.5 is what answering everything gives, or nothing, however many queries there are of either kind: Brodersen
    et al., "The balanced accuracy and its posterior distribution", ICPR 2010. The errors are those of `auroc`.
    """
    answered = _confidences(answerable, "answerable") >= threshold
    refused = _confidences(foreign, "foreign") < threshold
    return float((answered.mean() + refused.mean()) / 2)


def _confidences(values: Sequence[float], kind: str) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if not array.size:
        raise InputError(f"there is no {kind} query; a comparison takes at least one of either kind")
    if np.isnan(array).any():
        raise InputError(f"among the {kind} queries' confidences is one that is not a number")
    return array
