"""The search request: the options of one search, validated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from hybridstore.errors import InputError
from hybridstore.filters import Filter
from hybridstore.search.advanced_syntax import SYNTAXES
from hybridstore.search.neighbours import Around
from hybridstore.search.second_stage import Rerank
from hybridstore.search.selection import SelectionRequest

if TYPE_CHECKING:
    from hybridstore.backends.learning import ModelVersion
    from hybridstore.backends.values import Calibration
    from hybridstore.search.algebra import StructuredQuery
    from hybridstore.search.rewriting import Rewrite, Rewrites
    from hybridstore.search.vector_legs import QueryVectors

MODES = ("hybrid", "keyword", "vector")
FUSIONS = ("adaptive", "rrf", "idf-rrf", "convex")
PER = ("chunk", "document")  # what meets the conditions of a structured query
NORMS = ("product", "lukasiewicz", "godel")  # how it joins truths
MOST_HOPS = 4
# Least candidates per leg. Between 50 and 1,000 the fused quality moves by 0.013 nDCG@10 on eleven collections; beyond
# 200 the cost of the scan grows faster than that.
DEFAULT_DEPTH = 200
ACTIVE: Final = "active"  # the model version that the store has promoted


def check_choice(option: str, name: object, known: Sequence[str]) -> None:
    """Raise InputError unless an option's value is one of those known."""
    if name not in known:
        raise InputError(f"{option} {name!r} is not known; choose one of {', '.join(known)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The options of a search; see `Store.search`. Raises InputError for invalid values.

    `embed` returns the query's vectors, or None if the store has no vectors, none of its vector legs is wanted, or the
    query has no words. `structured` is the structured query that `query` is the text of, if it is one. `depth` None is
    200, or twice the limit if that is more. `model` and `calibration` are for trials: another model version than the
    active one, and the calibration measured with it.
    """

    query: str
    limit: int
    mode: str
    fusion: str
    where: Filter | None
    embed: Callable[[str], QueryVectors | None]
    selection: SelectionRequest
    depth: int | None = None
    syntax: str = "simple"
    min_relevance: float | None = None
    around: Around | None = None
    exclude: Iterable[str] = ()
    rerank: Rerank | None = None
    per: str = "chunk"
    norm: str = "product"
    structured: StructuredQuery | None = None
    hops: int = 1
    rewrite: Rewrite | Rewrites | None = None
    model: ModelVersion | Literal["active"] | None = ACTIVE
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        """Raise InputError for an invalid value."""
        if not isinstance(self.query, str):
            raise InputError(f"a query is a string, not {type(self.query).__name__}")
        if not isinstance(self.limit, int) or self.limit < 1:
            raise InputError(f"limit must be a whole number of at least 1, not {self.limit!r}")
        choices = (
            ("mode", self.mode, MODES),
            ("fusion", self.fusion, FUSIONS),
            ("syntax", self.syntax, SYNTAXES),
            ("per", self.per, PER),
            ("norm", self.norm, NORMS),
        )
        for option, name, known in choices:
            check_choice(option, name, known)
        self._check_structured()
        self._check_hops()
        self._check_rewrite()
        exclude = (self.exclude,) if isinstance(self.exclude, str) else tuple(self.exclude)
        if not all(isinstance(text, str) for text in exclude):
            raise InputError(f"exclude takes words and phrases, not {exclude!r}")
        object.__setattr__(self, "exclude", exclude)
        if self.depth is not None and (not isinstance(self.depth, int) or self.depth < self.limit):
            raise InputError(
                "depth (candidates of each leg) must be a whole number of at least "
                f"limit = {self.limit}, not {self.depth!r}"
            )
        least = self.min_relevance
        if least is not None and (not isinstance(least, int | float) or not 0.0 <= least <= 1.0):
            raise InputError(f"min_relevance must be a number from 0 to 1, not {least!r}")
        if least is not None and self.mode != "hybrid" and self.structured is None:
            raise InputError(f"min_relevance uses both legs: it needs mode='hybrid', not {self.mode!r}")
        if self.around is not None and (self.mode, self.fusion) != ("hybrid", "adaptive"):
            raise InputError("around uses the evidence of both legs: it needs mode='hybrid' and fusion='adaptive'")

    def _check_structured(self) -> None:
        if self.structured is None:
            if (self.per, self.norm) != ("chunk", "product"):
                raise InputError("per and norm are for structured queries, such as about(…) & about(…)")
            return
        if self.fusion != "adaptive":
            raise InputError(
                f"a structured query is judged by evidence: it needs fusion='adaptive', not {self.fusion!r}"
            )
        if self.around is not None:
            raise InputError("around is for a text, not for a structured query")

    def _check_hops(self) -> None:
        if not isinstance(self.hops, int) or isinstance(self.hops, bool) or not 1 <= self.hops <= MOST_HOPS:
            raise InputError(f"hops is a whole number from 1 to {MOST_HOPS}, not {self.hops!r}")
        if self.hops > 1 and self.structured is not None:
            raise InputError("hops follow a text, not a structured query; leave one of them out")
        if self.hops > 1 and self.min_relevance is not None:
            raise InputError(
                "min_relevance judges passages by the question alone, which those that others lead to are far from: "
                "leave it out, or hops"
            )

    def _check_rewrite(self) -> None:
        if self.rewrite is None:
            return
        if self.structured is not None or self.hops > 1 or self.around is not None:
            raise InputError(
                "a question can be rewritten (rewrite, keywords, meaning, answer) that is plain text: "
                "leave out the structured query, hops and around"
            )
        if (self.mode, self.fusion) != ("hybrid", "adaptive"):
            raise InputError(
                "rewrites (rewrite, keywords, meaning, answer) are further evidence: they need mode='hybrid' and "
                "fusion='adaptive'"
            )

    @property
    def candidates(self) -> int:
        """The number of candidates per leg."""
        return self.depth or max(DEFAULT_DEPTH, 2 * self.limit)
