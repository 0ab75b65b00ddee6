"""The guard before every route: a route without one is refused by a test, a caller without the role by this."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

from fastapi import Depends, Request

from schemas.vocabulary import Role
from services.platform.access.principal import Principal
from services.platform.problem import ProblemError


class Access(Protocol):
    """What the guard needs: ``app.state.access``."""

    async def identify(self, request: Request) -> Principal | None:
        """Say who asks, by session cookie or bearer token; None for nobody. Raises `ProblemError` for a bad token."""
        ...


@dataclass(frozen=True)
class Allow:
    """Lets callers with one of the roles pass and gives the route its `Principal`; no roles: whoever is known."""

    roles: frozenset[Role]

    async def __call__(self, request: Request) -> Principal:
        """Identify the caller, or stop the request with 401 or 403."""
        access: Access = request.app.state.access
        caller = await access.identify(request)
        if caller is None:
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED,
                "sign in, or send a token as `Authorization: Bearer ...`",
                kind="not-signed-in",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if self.roles and not self.roles & caller.roles:
            wanted = " or ".join(sorted(role.value for role in self.roles))
            raise ProblemError(HTTPStatus.FORBIDDEN, f"this takes the role {wanted}", kind="not-allowed")
        return caller


@dataclass(frozen=True)
class Everyone:
    """Marks a route that anybody may call."""

    async def __call__(self) -> None:
        """Let everyone pass."""


def allow(*roles: Role) -> Any:
    """Let only callers with one of these roles through; without roles, whoever is known. Goes into ``Annotated``."""
    return Depends(Allow(frozenset(roles)))


def everyone() -> Any:
    """Mark a route as open: ``dependencies=[everyone()]``."""
    return Depends(Everyone())
