"""What a client is told when something is wrong: RFC 9457 problem documents, for every error there is."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote
from uuid import UUID

import asyncpg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from services.platform.logs import get_logger
from services.platform.postgres import TRANSIENT

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = 2
"""Seconds after which a client may try again while the database is away."""
_LONGEST = 1_000
"""Longest detail, in characters."""

_log = get_logger(__name__)


class Problem(BaseModel):
    """A problem document (RFC 9457, 3.1). ``dead_letter`` names the copy of the message that was kept, if one was."""

    type: str = Field(description="What kind of problem this is; about:blank where the status says it all.")
    title: str
    status: int
    detail: str = Field(description="What is wrong with this request, and what to do.")
    instance: str = Field(description="The path that was asked for.")
    dead_letter: UUID | None = None


class ProblemError(Exception):
    """Stops a request with a problem document; ``kind`` makes its type, ``urn:muster:problem:<kind>``."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        kind: str | None = None,
        headers: Mapping[str, str] | None = None,
        dead_letter: UUID | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.kind = kind
        self.headers = dict(headers or {})
        self.dead_letter = dead_letter


class MalformedError(ValueError):
    """A body that isn't JSON as RFC 8259 and RFC 7493 (I-JSON) have it; the text says why, in one line."""


def one_line(text: str) -> str:
    """Make text safe to store, log and send: printable, on one line, of bounded length."""
    return "".join(char if char.isprintable() else " " for char in text[:_LONGEST])


def add_problems(app: FastAPI) -> None:
    """Make every error of an application a problem document."""
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(MalformedError, _on_malformed)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    for transient in TRANSIENT:
        app.add_exception_handler(transient, _on_transient)
    app.add_exception_handler(asyncpg.CharacterNotInRepertoireError, _on_unstorable)
    app.add_exception_handler(Exception, _on_bug)


async def _on_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemError)  # noqa: S101 - the handler is registered for nothing else
    return _answer(request, error)


async def _on_malformed(request: Request, error: Exception) -> JSONResponse:
    return _answer(request, ProblemError(HTTPStatus.BAD_REQUEST, str(error), kind="malformed"))


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - the handler is registered for nothing else
    status = HTTPStatus(error.status_code)
    detail = _DETAILS.get(status, str(error.detail))
    return _answer(request, ProblemError(status, detail, headers=error.headers))


async def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - the handler is registered for nothing else
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return _answer(
        request, ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, f"{where}: {first['msg']}", kind="invalid-request")
    )


async def _on_transient(request: Request, error: Exception) -> JSONResponse:
    _log.warning("database away", path=one_line(request.scope["path"]), error=repr(error))
    return _answer(
        request,
        ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "the database can't be reached and nothing was stored; send the same request again",
            kind="unavailable",
            headers={"Retry-After": str(RETRY_AFTER)},
        ),
    )


async def _on_unstorable(request: Request, error: Exception) -> JSONResponse:
    del error
    detail = "a text holds a NUL character, which can't be kept; send it without"
    return _answer(request, ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail, kind="invalid"))


async def _on_bug(request: Request, error: Exception) -> JSONResponse:
    _log.error("request failed", path=one_line(request.scope["path"]), exc_info=error)
    detail = "Muster failed to answer; the log has the reason, and the same request may be sent again"
    return _answer(request, ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, detail))


def _answer(request: Request, error: ProblemError) -> JSONResponse:
    problem = Problem(
        type=f"urn:muster:problem:{error.kind}" if error.kind else "about:blank",
        title=_TITLES.get(error.kind or "", error.status.phrase),
        status=error.status,
        detail=one_line(error.detail),
        instance=quote(request.scope["path"], errors="replace"),
        dead_letter=error.dead_letter,
    )
    content = problem.model_dump(mode="json", exclude_none=True)
    return JSONResponse(content, error.status, error.headers, MEDIA_TYPE)


_DETAILS = {
    HTTPStatus.NOT_FOUND: "there is nothing under this path; see /openapi.json for what there is",
    HTTPStatus.METHOD_NOT_ALLOWED: "this path doesn't take this method; the Allow header lists those it takes",
}
_TITLES = {
    "malformed": "The body can't be read",
    "invalid": "The body can't be taken",
    "invalid-request": "The request is not valid",
    "conflict": "The idempotency key was used before",
    "unavailable": "The database is away",
    "too-much": "Too much waits",
    "too-fast": "Too many requests",
    "unknown-incident": "There is no such incident",
}


def documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Describe the problems an operation may answer with, for OpenAPI."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        int(status): {"description": status.phrase, "content": {MEDIA_TYPE: schema}}
        for status in (*statuses, HTTPStatus.SERVICE_UNAVAILABLE)
    }
