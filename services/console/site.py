"""One world's site: its API, its pages, and what the browser loads with them."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

import httpx
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.types import Scope

from schemas.vocabulary import Namespace
from services.console.assets import STATIC, libraries
from services.console.page import NotSignedInError, Page
from services.platform.access.asking import Access
from services.platform.problem import ProblemError

KEPT = "public, max-age=31536000, immutable"
"""Cache-Control of a file whose address changes with its content."""
FOR_A_DAY = "public, max-age=86400"


class _Files(StaticFiles):
    """Static files; those asked for by version are kept for good."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = KEPT if scope["query_string"].startswith(b"v=") else FOR_A_DAY
        return response


def add_static(app: FastAPI) -> None:
    """Serve what the browser loads; raises `MissingError` when the libraries aren't installed."""
    for name, folder in libraries().items():
        app.mount(f"/static/lib/{name}", _Files(directory=folder), name=f"lib-{name}")
    app.mount("/static", _Files(directory=STATIC), name="static")


def add_console(
    app: FastAPI,
    world: Namespace,
    access: Access,
    pages: Iterable[Callable[[FastAPI], None]],
    roots: Mapping[str, str],
) -> None:
    """Make an API's app a site: add its pages, and show people its problems as pages too.

    ``roots`` says where the sites are that one process serves, by ``actual``, ``exercise`` and ``shared``.
    """
    app.state.world = world
    app.state.roots = roots
    app.state.access = access
    app.state.api = httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app, raise_app_exceptions=False),
        base_url="http://console.invalid",
        trust_env=False,
    )
    for add_page in pages:
        add_page(app)
    for kind in (ProblemError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _as_page(app.exception_handlers[kind]))
    app.add_exception_handler(NotSignedInError, _sign_in)


async def _sign_in(request: Request, error: Exception) -> Response:
    assert isinstance(error, NotSignedInError)  # noqa: S101 - the handler is registered for nothing else
    if request.headers.get("hx-request"):
        return Response(status_code=HTTPStatus.UNAUTHORIZED, headers={"HX-Redirect": error.location})
    return RedirectResponse(error.location, HTTPStatus.SEE_OTHER)


def _as_page(answer: Callable[[Request, Any], Any]) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(request: Request, error: Exception) -> Response:
        told = await answer(request, error)
        wants_page = "text/html" in request.headers.get("accept", "")
        path = request.url.path.removeprefix(request.scope.get("root_path", ""))
        if not isinstance(told, JSONResponse) or not wants_page or path.startswith("/v1/"):
            return told  # type: ignore[no-any-return] # whatever the API's own handler answers
        page = Page(request, None)
        status = HTTPStatus(told.status_code)
        detail = getattr(error, "detail", "") if isinstance(error, ProblemError) else ""
        return page.render("error.html.j2", code=told.status_code, status=status, detail=detail)

    return handle
