"""Signing in with the identity provider over HTTP: there and back."""

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import RedirectResponse

from services.platform.access.access import Access
from services.platform.access.asking import unauthorized
from services.platform.access.cookies import check_way, is_secure, read_cookie, write_cookie
from services.platform.access.guard import everyone
from services.platform.access.oidc import RETURN_WITHIN, Provider, Returned
from services.platform.access.oidc_token import OidcError
from services.platform.access.origin import own_origin
from services.platform.access.paths import own_path
from services.platform.access.signing_in import SigningIn
from services.platform.one_line import one_line
from services.platform.problem import ProblemError, documented

COOKIE = "muster_oidc"
"""Ties a sign-in to the browser that began it."""
CALLBACK = "/v1/session/oidc/callback"
_S = HTTPStatus
_WRONG = documented(_S.UNAUTHORIZED, _S.FORBIDDEN, _S.NOT_FOUND, _S.CONFLICT, _S.UNPROCESSABLE_ENTITY)
_TO: dict[int | str, dict[str, Any]] = {303: {"description": "Go on there."}}


def add_oidc(app: FastAPI, access: Access) -> None:
    """Add the routes; they are there without a provider too, and then say so."""
    door = SigningIn(access)

    def provider() -> Provider:
        if access.provider is None:
            detail = "no identity provider is set up; see MUSTER_OIDC_ISSUER"
            raise ProblemError(_S.NOT_FOUND, detail, kind="no-identity-provider")
        return access.provider

    def back_at(request: Request) -> str:
        return f"{own_origin(request, access.settings.public_url)}{CALLBACK}"

    @app.get("/v1/session/oidc", operation_id="begin_oidc", status_code=303, response_class=Response,
             responses=_TO | _WRONG, dependencies=[everyone()], tags=["access"])  # fmt: skip
    async def begin(request: Request, target: Annotated[str, Query(alias="next", max_length=2_000)] = "/") -> Response:
        """Go to the identity provider to sign in, and come back to ``next``, a path of this site."""
        check_way(request, access.settings.public_url)
        try:
            begun = await provider().begin(back_at(request), own_path(target), access.now())
        except OidcError as error:
            raise unauthorized(str(error), "oidc") from None
        response = RedirectResponse(begun.url, _S.SEE_OTHER)
        secure = is_secure(request, access.settings.public_url)
        response.headers["Set-Cookie"] = write_cookie(begun.state, secure=secure, lasts=RETURN_WITHIN, name=COOKIE)
        return response

    @app.get(CALLBACK, operation_id="finish_oidc", status_code=303, response_class=Response,
             responses=_TO | _WRONG, dependencies=[everyone()], tags=["access"])  # fmt: skip
    async def finish(request: Request) -> Response:
        """Come back from the identity provider; sets the session's cookie as ``POST /v1/session`` does."""
        returned = Returned(dict(request.query_params), read_cookie(request, COOKIE))
        secure = is_secure(request, access.settings.public_url)
        forgotten = write_cookie("", secure=secure, lasts=timedelta(0), name=COOKIE)
        try:
            identity, target = await provider().finish(returned, back_at(request), access.now())
            entered = await door.with_identity(identity, request)
        except OidcError as error:
            await access.note(None, "session.begin", outcome="oidc", request=request, why=str(error))
            problem: ProblemError = unauthorized(str(error), "oidc")
            return _failed(request, problem, forgotten)
        except ProblemError as problem:
            return _failed(request, problem, forgotten)
        response = RedirectResponse(target, _S.SEE_OTHER)
        response.headers.append("Set-Cookie", access.cookie(request, entered.token))
        response.headers.append("Set-Cookie", forgotten)
        return response


def _failed(request: Request, problem: ProblemError, forgotten: str) -> Response:
    """Tell a person on the sign-in page, a program with the problem itself."""
    if "text/html" not in request.headers.get("accept", ""):
        problem.headers["Set-Cookie"] = forgotten
        raise problem
    why = quote(one_line(problem.detail))
    return RedirectResponse(f"/sign-in?problem={why}", _S.SEE_OTHER, headers={"Set-Cookie": forgotten})
