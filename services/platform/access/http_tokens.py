"""Tokens over HTTP: issue, list, revoke."""

from functools import partial
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import FastAPI, Query, Request, Response

from schemas.base import Id
from schemas.vocabulary import Role
from services.platform.access.access import Access
from services.platform.access.administration import Administration
from services.platform.access.errors import as_problems
from services.platform.access.guard import allow
from services.platform.access.principal import Principal
from services.platform.access.views import TokenIn, TokenPage, TokenView, TokenWithSecret
from services.platform.body import read_key
from services.platform.cursor import bad_cursor, read_cursor, write_cursor
from services.platform.problem import documented

_S = HTTPStatus
_GUARDED = (_S.UNAUTHORIZED, _S.FORBIDDEN, _S.UNPROCESSABLE_ENTITY)
Administrator = Annotated[Principal, allow(Role.ADMINISTRATOR)]
READER = allow(Role.ADMINISTRATOR, Role.AUDITOR)
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes a repeat safe: under one key one token is issued, and a repeat is refused (409).",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}


def add_tokens(app: FastAPI, access: Access) -> None:
    """Add the routes."""
    tokens = access.tokens

    def by(caller: Principal, request: Request) -> Administration:
        return Administration(access, partial(access.note, caller, request=request))

    @app.get("/v1/tokens", operation_id="list_tokens", responses=documented(*_GUARDED), tags=["access"],
             dependencies=[READER])  # fmt: skip
    async def list_tokens(
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        cursor: Annotated[str | None, Query(max_length=1_000)] = None,
    ) -> TokenPage:
        """List tokens, newest first, those that are over too; their secrets are not kept."""
        found = await tokens.list(before=_place(cursor), at_most=limit + 1)
        more = write_cursor(str(found[limit - 1].id)) if len(found) > limit else None
        return TokenPage(items=[TokenView.of(token) for token in found[:limit]], next=more)

    @app.post("/v1/tokens", operation_id="issue_token", status_code=201, tags=["access"],
              responses=documented(*_GUARDED, _S.BAD_REQUEST, _S.CONFLICT),
              openapi_extra={"parameters": [_KEY]})  # fmt: skip
    async def issue_token(
        request: Request, caller: Administrator, given: TokenIn, response: Response
    ) -> TokenWithSecret:
        """Issue a token. Its text is told this once."""
        with as_problems():
            token, text = await by(caller, request).issue(
                given.name,
                [str(scope) for scope in given.scopes],
                given.departments,
                given.expires_at,
                by=caller.name,
                namespaces=given.namespaces,
                key=read_key(request),
            )
        response.headers["Location"] = f"/v1/tokens/{token.id}"
        return TokenWithSecret(**TokenView.of(token).model_dump(), token=text)

    @app.delete("/v1/tokens/{token_id}", operation_id="revoke_token", tags=["access"],
                responses=documented(*_GUARDED, _S.NOT_FOUND))  # fmt: skip
    async def revoke_token(request: Request, caller: Administrator, token_id: Id) -> TokenView:
        """Revoke a token at once; a second time changes nothing."""
        with as_problems():
            return TokenView.of(await by(caller, request).revoke(token_id))


def _place(cursor: str | None) -> UUID | None:
    try:
        return UUID(read_cursor(cursor, 1)[0]) if cursor else None
    except ValueError:
        raise bad_cursor() from None
