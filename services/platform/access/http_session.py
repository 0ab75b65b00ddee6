"""A person's session over HTTP: sign in, who am I, sign out, change the password."""

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from services.platform.access.access import Access
from services.platform.access.cookies import is_secure, write_cookie
from services.platform.access.guard import allow, everyone
from services.platform.access.principal import Principal
from services.platform.access.signing_in import Entered, SigningIn
from services.platform.access.views import PasswordChange, SessionView, SignIn
from services.platform.problem import documented

_S = HTTPStatus
_WRONG = (_S.UNAUTHORIZED, _S.FORBIDDEN, _S.TOO_MANY_REQUESTS, _S.UNPROCESSABLE_ENTITY)
Anybody = Annotated[Principal, allow(pending=True)]


def add_session(app: FastAPI, access: Access) -> None:
    """Add the routes."""
    door = SigningIn(access)

    def entered(request: Request, found: Entered) -> Response:
        response = JSONResponse(SessionView.of(found.caller).model_dump(mode="json"))
        response.headers["Set-Cookie"] = access.cookie(request, found.token)
        return response

    @app.post("/v1/session", operation_id="sign_in", response_model=SessionView,
              responses=documented(*_WRONG), dependencies=[everyone()], tags=["access"])  # fmt: skip
    async def sign_in(request: Request, given: SignIn) -> Response:
        """Sign in with a password. The answer sets a cookie and tells the token that unsafe requests must carry."""
        return entered(request, await door.with_password(given.login, given.password, request))

    @app.get("/v1/session", operation_id="show_session", responses=documented(_S.UNAUTHORIZED), tags=["access"])
    async def show_session(caller: Anybody) -> SessionView:
        """Say who asks, by session or token."""
        return SessionView.of(caller)

    @app.delete("/v1/session", operation_id="sign_out", status_code=204, tags=["access"],
                responses=documented(_S.UNAUTHORIZED, _S.FORBIDDEN))  # fmt: skip
    async def sign_out(request: Request, caller: Anybody) -> Response:
        """Sign out this browser; a token stays as it is."""
        await door.sign_out(caller, request)
        secure = is_secure(request, access.settings.public_url)
        gone = write_cookie("", secure=secure, lasts=timedelta(0))
        return Response(status_code=_S.NO_CONTENT, headers={"Set-Cookie": gone})

    @app.post("/v1/session/password", operation_id="change_password", response_model=SessionView,
              responses=documented(*_WRONG), tags=["access"])  # fmt: skip
    async def change_password(request: Request, caller: Anybody, given: PasswordChange) -> Response:
        """Change one's own password. Every session of the person ends, and this browser gets a new one."""
        return entered(request, await door.change_password(caller, given.current, given.new, request))
