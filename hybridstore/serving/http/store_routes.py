"""The store as a whole: its health and what it contains."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from hybridstore import __version__
from hybridstore.serving.http.context import Shared

router = APIRouter(tags=["store"])


class Health(BaseModel):
    """The server answers, and can read its store."""

    status: Literal["ok"] = "ok"
    version: str = __version__
    revision: int
    read_only: bool


@router.get("/health")
def health(context: Shared) -> Health:
    """Say that the server answers, and can read its store."""
    return Health(revision=context.store.state().revision, read_only=context.read_only)
