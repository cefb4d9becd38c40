"""Expectations: questions whose answers are known, kept in the store and run as its tests."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from hybridstore.backends.learning import Expectation
from hybridstore.serving.http.context import WRITES, Context, Shared
from hybridstore.store.expectations import WITHIN, TestedExpectation

router = APIRouter(tags=["learning"])


class NewExpectation(BaseModel):
    """A question, and the document that is to be among the first `within` that it finds."""

    model_config = ConfigDict(extra="forbid")

    query: str = Field(max_length=4096, description="The question.")
    document_id: str = Field(description="The document that answers it.")
    within: int = Field(WITHIN, ge=1, le=1000, description="The lowest rank that will do.")


class Expectations(BaseModel):
    """What is expected of this store, oldest first."""

    expectations: list[Expectation]


class TestResult(BaseModel):
    """What came of an expectation: `rank` is null for a document that is not among the first `within`."""

    query: str
    document_id: str
    within: int
    holds: bool
    rank: int | None
    stored: bool = Field(description="Whether the document is in the store at all.")

    @classmethod
    def of(cls, result: TestedExpectation) -> TestResult:
        """Return it in JSON types."""
        return cls(**{name: value for name, value in result.to_dict().items() if name in cls.model_fields})


class TestResults(BaseModel):
    """What came of all expectations, and how many fail."""

    results: list[TestResult]
    failed: int


class Dropped(BaseModel):
    """Whether it was expected before."""

    dropped: bool


@router.get("/expectations")
def expectations(context: Shared) -> Expectations:
    """List what is expected of searches."""
    known = context.store.expectations()
    return Expectations(expectations=[each for each in known if context.scope.is_document(each.document_id)])


@router.post("/expectations", status_code=201, dependencies=[WRITES])
async def expect(context: Shared, body: NewExpectation) -> TestResult:
    """Expect a document for a question from now on; the answer says where it stands today."""
    return TestResult.of(await context.in_thread(keep, context, body.query, body.document_id, body.within))


def keep(context: Context, query: str, document_id: str, within: int = WITHIN) -> TestedExpectation:
    """Expect a document for a question from now on, and see whether it is found; raises NotFound, InputError."""
    id_ = str(context.scope.document(document_id).id)
    context.store.expect(query, id_, within=within)
    (result,) = context.store.test(
        [each for each in context.store.expectations() if (each.query, each.document_id) == (query.strip(), id_)]
    )
    return result


@router.delete("/expectations", dependencies=[WRITES])
async def drop_expectation(
    context: Shared,
    q: Annotated[str, Query(max_length=4096, description="The question.")],
    document_id: Annotated[str, Query(description="The document.")],
) -> Dropped:
    """Expect a document for a question no more."""
    return Dropped(dropped=await context.in_thread(context.store.drop_expectation, q, document_id))


@router.get("/expectations/test")
async def test(context: Shared) -> TestResults:
    """Search for the question of each expectation; nothing is logged or changed."""
    results = await context.in_thread(_tested, context)
    return TestResults(results=results, failed=sum(not each.holds for each in results))


def _tested(context: Context) -> list[TestResult]:
    results = map(TestResult.of, context.store.test())
    return [each for each in results if context.scope.is_document(each.document_id)]
