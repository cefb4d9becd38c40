"""Errors as problem details (RFC 9457, application/problem+json): what is wrong, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from hybridstore import errors
from hybridstore.serving.error_sentences import error_sentence, misused
from hybridstore.serving.http.context import NotModifiedError

_DESCRIBED = "GET /api/openapi.json describes the API."

_PLACES = ("query", "body", "path", "one", "list", "several")  # where a mistake is, of no interest to its maker

# The status, and what to do, by the kind of error; the first that fits.
_KINDS: tuple[tuple[type[errors.HybridstoreError], int, str], ...] = (
    (errors.EmptyQuery, 422, "Write at least one word."),
    (errors.InputError, 422, _DESCRIBED),
    (errors.NotFound, 404, "GET /api/documents and GET /api/memory list what there is."),
    (errors.StoreBusy, 503, "Nothing was changed; try again."),
    (errors.StoreDamaged, 500, "Run `hybridstore check --repair`, or restore a backup."),
    (errors.Unsupported, 409, "Use a store in a file on this machine."),
    (errors.ExpectationsBroken, 409, "Force it, or drop what is no longer expected: `hybridstore expect --remove`."),
    (errors.EmbedderMismatch, 409, "Restart the server, or run `hybridstore reembed`."),
    (errors.StoreRefused, 409, "`hybridstore info` shows the store's state."),
    (errors.ModelUnavailable, 503, "`hybridstore doctor` shows what is missing."),
    (errors.MissingExtra, 501, "Install the extra, and restart the server."),
)


class Problem(BaseModel):
    """Why a request was not answered, after RFC 9457."""

    type: str = Field(default="about:blank", description="Always about:blank: the status is the kind of problem.")
    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong with this request.")
    remedy: str = Field(description="What to do about it.")


class ProblemResponse(JSONResponse):
    """An answer that is a problem."""

    media_type = "application/problem+json"


def problem(status: int, detail: str, remedy: str, headers: Mapping[str, str] | None = None) -> ProblemResponse:
    """Return the answer for a problem."""
    body = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, remedy=remedy)
    return ProblemResponse(body.model_dump(), status, dict(headers or {}))


def of_error(error: errors.HybridstoreError) -> ProblemResponse:
    """Return the answer for an error of this project."""
    status, remedy = next(
        ((status, remedy) for kind, status, remedy in _KINDS if isinstance(error, kind)),
        (500, "`hybridstore doctor` shows what is missing."),
    )
    return problem(status, error_sentence(error), remedy, {"Retry-After": "1"} if status == 503 else None)


def handle_problems(app: FastAPI) -> None:
    """Let an app answer errors with problems."""

    @app.exception_handler(errors.HybridstoreError)
    def of_ours(_: Request, error: errors.HybridstoreError) -> Response:
        return of_error(error)

    @app.exception_handler(RequestValidationError)
    def of_request(request: Request, error: RequestValidationError) -> Response:
        mistakes: list[dict[str, Any]] = []
        for each in error.errors():
            if each["type"] == "json_invalid":
                return problem(422, f"the body is not valid JSON: {each['ctx']['error']}", _DESCRIBED)
            place = [part for part in each["loc"] if part not in _PLACES]
            if not place and not isinstance(error.body, dict | list):
                return problem(422, "the body is not a JSON object", "Send one, with Content-Type: application/json.")
            mistakes.append({**each, "loc": place})
        return problem(422, misused(f"{request.method} {request.url.path}", mistakes), _DESCRIBED)

    @app.exception_handler(HTTPException)
    def of_http(_: Request, error: HTTPException) -> Response:
        return problem(error.status_code, str(error.detail), _DESCRIBED, error.headers)

    @app.exception_handler(NotModifiedError)
    def of_unchanged(_: Request, error: NotModifiedError) -> Response:
        return Response(status_code=304, headers={"ETag": error.etag})

    @app.exception_handler(Exception)
    def of_unexpected(_: Request, __: Exception) -> Response:
        return problem(500, "the server made a mistake; its standard error says more", "Report it, with these lines.")
