"""What is asked of access by whoever guards, answers or records a request."""

from http import HTTPStatus
from typing import Any, Protocol

from starlette.requests import Request

from services.platform.access.principal import Principal
from services.platform.problem import ProblemError

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that change nothing (RFC 9110, 9.2.1)."""


class Access(Protocol):
    """What the guard and the routes need: ``app.state.access``."""

    async def identify(self, request: Request) -> Principal | None:
        """Say who asks, by session cookie or bearer token; None for nobody.

        Raises `ProblemError` for a bad token, and for an unsafe request of a session that may be forged.
        """
        ...

    async def note(
        self,
        caller: Principal | None,
        action: str,
        target: str | None = None,
        *,
        outcome: str = "done",
        request: Request | None = None,
        **detail: Any,
    ) -> None:
        """Put on the audit what somebody did."""
        ...

    async def refused(self, request: Request, caller: Principal | None, problem: ProblemError) -> None:
        """Put on the audit what somebody was kept from."""
        ...


def unauthorized(detail: str, kind: str) -> ProblemError:
    """Say that who asks is not known well enough (RFC 9110, 15.5.2, wants the header)."""
    return ProblemError(HTTPStatus.UNAUTHORIZED, detail, kind=kind, headers={"WWW-Authenticate": "Bearer"})
