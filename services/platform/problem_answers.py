"""Every error of an application becomes a problem document, whatever raised it."""

from http import HTTPStatus
from urllib.parse import quote

import asyncpg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from services.platform.logs import get_logger
from services.platform.one_line import one_line
from services.platform.postgres import TRANSIENT
from services.platform.problem import MEDIA_TYPE, Problem, ProblemError
from services.platform.strict_json import MalformedError

RETRY_AFTER = 2
"""Seconds after which a client may try again while the database is away."""

_log = get_logger(__name__)


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
