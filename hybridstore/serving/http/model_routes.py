"""Learning: the versions of the model, what questions were asked, and which hits were of use."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from hybridstore.backends.learning import LoggedQuestion, ModelVersion
from hybridstore.errors import InputError
from hybridstore.serving.http.context import WRITES, Context, Shared
from hybridstore.tuning import model_versions

router = APIRouter(tags=["learning"])


class Version(BaseModel):
    """A version of the model that was learned, with what was measured about it in `report`."""

    number: int
    kind: str
    state: str
    made: str
    previous: int | None
    source: str
    target: str
    report: dict[str, Any]

    @classmethod
    def of(cls, model: ModelVersion) -> Version:
        """Return it without its weights."""
        return cls(**{name: getattr(model, name) for name in cls.model_fields})


class Versions(BaseModel):
    """All versions, oldest first, and the number of the active one; null is the plain embedder."""

    active: int | None
    embedder: str | None
    versions: list[Version]


class Promotion(BaseModel):
    """The version to make active; null is the plain embedder. One that the gate refused needs `force`."""

    model_config = ConfigDict(extra="forbid")

    number: int | None = Field(ge=1, le=2**62, description="The version; null is the plain embedder.")
    force: bool = Field(False, description="Also one that the gate refused.")


class Feedback(BaseModel):
    """Whether a passage was useful for a question; `chunk_id` is that of a hit."""

    model_config = ConfigDict(extra="forbid")

    query: str = Field(max_length=4096, description="The question.")
    chunk_id: int = Field(ge=0, le=2**62, description="Of the hit.")
    used: bool = Field(True, description="Whether it was useful.")


class Queries(BaseModel):
    """Logged questions, the most frequent first."""

    queries: list[LoggedQuestion]
    total: int


class Forgotten(BaseModel):
    """How many questions were removed."""

    removed: int


@router.get("/models")
def models(context: Shared) -> Versions:
    """List the versions of the model that the store has learned, and which one is active."""
    return _versions(context)


@router.post("/models/promote", dependencies=[WRITES])
async def promote(context: Shared, body: Promotion) -> Versions:
    """Make a version active, in one step; one that is another embedder gets its vectors first."""

    def promoted() -> Versions:
        refused = [each.number for each in context.store.learning.models() if each.state == "refused"]
        if body.number in refused and not body.force:
            raise InputError(f"version {body.number} was refused by the gate; force promotes it anyway")
        model_versions.promote(context.store, body.number, force=body.force)
        return _versions(context)

    return await context.in_thread(promoted)


@router.post("/models/rollback", dependencies=[WRITES])
async def rollback(context: Shared) -> Versions:
    """Return to the version before the active one, or to the plain embedder."""
    await context.in_thread(model_versions.rollback, context.store)
    return await context.in_thread(_versions, context)


@router.get("/queries")
def queries(
    context: Shared, limit: Annotated[int, Query(ge=1, le=1000, description="Questions of the answer.")] = 100
) -> Queries:
    """List the questions that were logged."""
    logged = context.store.query_log()
    return Queries(queries=logged[:limit], total=len(logged))


@router.delete("/queries", dependencies=[WRITES])
async def forget_queries(
    context: Shared, q: Annotated[list[str] | None, Query(description="These; without any, all.")] = None
) -> Forgotten:
    """Remove logged questions, with the triples and the feedback for them."""
    return Forgotten(removed=await context.in_thread(context.store.forget_queries, q))


@router.post("/feedback", status_code=204, dependencies=[WRITES])
async def feedback(context: Shared, body: Feedback) -> None:
    """Record whether a passage was useful, to learn from."""
    await context.in_thread(context.store.feedback, body.query, body.chunk_id, body.used)


def _versions(context: Context) -> Versions:
    active, embedding = context.store.learning.model(), context.store.embeddings.active
    versions = [Version.of(model) for model in context.store.learning.models()]
    return Versions(
        active=None if active is None else active.number,
        embedder=None if embedding is None else embedding.fingerprint,
        versions=versions,
    )
