"""Expectations: queries whose answers are known, which are tests that live in the store.

They are tested by `Store.test`, and by everything that changes how a store ranks: what would break one that holds is
refused, unless the caller says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hybridstore.backends.learning import Expectation
from hybridstore.backends.protocols import Backend
from hybridstore.errors import ExpectationsBroken, InputError
from hybridstore.records import Trace

WITHIN = 10  # documents, as many as a search shows
_LONGEST = 4096  # characters of a query
_NAMED = 3  # expectations that a message names

Find = Callable[[str, int], Trace]
"""Searches for a query, for at most so many documents, one passage of each."""


@dataclass(frozen=True, slots=True)
class TestedExpectation:
    """An expectation, and the rank of its document among the documents found; None where it is not among them.

    `stored` is False for a document that is not in the store any more.
    """

    expectation: Expectation
    rank: int | None
    stored: bool = True

    @property
    def holds(self) -> bool:
        """Whether the document is where it is expected."""
        return self.rank is not None

    def to_dict(self) -> dict[str, Any]:
        """Return all of it in JSON types."""
        return {**asdict(self.expectation), "holds": self.holds, "rank": self.rank, "stored": self.stored}

    def __str__(self) -> str:
        wanted = self.expectation
        if not self.stored:
            return f"{wanted.query!r}: {wanted.document_id} is not in the store any more"
        if self.rank is not None:
            return f"{wanted.query!r}: {wanted.document_id} is at rank {self.rank}"
        return f"{wanted.query!r}: {wanted.document_id} is not among the first {wanted.within}"


def checked(query: str, document_id: str, within: int) -> tuple[str, str, int]:
    """Return the parts of an expectation as they are stored; raises InputError."""
    if not isinstance(query, str) or not (query := query.strip()):
        raise InputError(f"an expectation is about a query, a text that is not empty; not {query!r}")
    if len(query) > _LONGEST:
        raise InputError(f"the query of an expectation has at most {_LONGEST:,} characters, not {len(query):,}")
    if not isinstance(document_id, str):
        raise InputError(f"an expectation is of a document, by its id; not {document_id!r}")
    if not isinstance(within, int) or isinstance(within, bool) or not 0 < within <= 1000:
        raise InputError(f"within is a rank from 1 to 1000, not {within!r}")
    return query, document_id, within


def tested(backend: Backend, find: Find, wanted: Sequence[Expectation] | None) -> list[TestedExpectation]:
    """Search for the query of each expectation (None: all of the store's); return what came of them, in their order."""
    if wanted is None:
        wanted = backend.learning.expectations()
    stored = backend.digests(list({each.document_id for each in wanted}))
    results = []
    for each in wanted:
        hits = find(each.query, each.within).hits if each.document_id in stored else ()
        rank = next((rank for rank, hit in enumerate(hits, start=1) if hit.document_id == each.document_id), None)
        results.append(TestedExpectation(each, rank, each.document_id in stored))
    return results


def check_none_broken(before: Sequence[TestedExpectation], after: Sequence[TestedExpectation], change: str) -> None:
    """Raise ExpectationsBroken for expectations that hold before a change and not after it."""
    if broken := broken_by(before, after):
        named = "; ".join(map(str, broken[:_NAMED]))
        more = f"; and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
        raise ExpectationsBroken(change, f"{named}{more}", tuple(each.expectation.query for each in broken))


def broken_by(before: Sequence[TestedExpectation], after: Sequence[TestedExpectation]) -> list[TestedExpectation]:
    """Return those that hold before a change and not after it, as they are after it; removed documents aside."""
    held = {(each.expectation.query, each.expectation.document_id) for each in before if each.holds}
    return [
        each
        for each in after
        if each.stored and not each.holds and (each.expectation.query, each.expectation.document_id) in held
    ]
