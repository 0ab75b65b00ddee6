"""The guard before every route: a route without one is refused by a test, a caller without the role by this."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import Depends, Request

from schemas.vocabulary import Namespace, Role
from services.platform.access.asking import SAFE, Access, unauthorized
from services.platform.access.principal import Principal
from services.platform.problem import ProblemError

CHANGE_FIRST = "password-change-needed"
"""The kind of problem that a person with a one-time password is told of until it is changed."""


@dataclass(frozen=True)
class Allow:
    """Lets callers with one of the roles pass and gives the route its `Principal`; no roles: whoever has any.

    ``reporting`` lets tokens pass that may report and nothing else. ``pending`` is for a session's own routes: it lets
    whoever is known pass, also a person who must change the password.
    """

    roles: frozenset[Role]
    reporting: bool = False
    pending: bool = False

    async def __call__(self, request: Request) -> Principal:
        """Identify the caller, or stop the request with 401 or 403."""
        access: Access = request.app.state.access
        caller: Principal | None = None
        try:
            caller = await access.identify(request)
            return self._admit(caller, getattr(request.app.state, "namespace", None))
        except ProblemError as problem:
            if request.method not in SAFE:
                await access.refused(request, caller, problem)
            raise

    def _admit(self, caller: Principal | None, namespace: Namespace | None) -> Principal:
        if caller is None:
            raise unauthorized("sign in, or send a token as `Authorization: Bearer ...`", "not-signed-in")
        if caller.must_change and not self.pending:
            raise unauthorized(
                "the password is a one-time one; change it first with POST /v1/session/password", CHANGE_FIRST
            )
        if namespace is not None and namespace not in caller.namespaces and not self.pending:
            mine = " or ".join(sorted(each.value for each in caller.namespaces))
            detail = f"this is the {namespace.value} world, and the token is for {mine}"
            raise ProblemError(HTTPStatus.FORBIDDEN, detail, kind="other-world")
        held = (self.roles or frozenset(Role)) & caller.roles
        if not held and not self.pending and not (self.reporting and caller.may_report):
            wanted = " or ".join(sorted(role.value for role in self.roles)) or "of anybody"
            raise ProblemError(HTTPStatus.FORBIDDEN, f"this takes the role {wanted}", kind="not-allowed")
        return caller


@dataclass(frozen=True)
class Everyone:
    """Marks a route that anybody may call."""

    async def __call__(self) -> None:
        """Let everyone pass."""


def allow(*roles: Role, reporting: bool = False, pending: bool = False) -> Any:
    """Let only callers with one of these roles through; without roles, whoever has any. Goes into ``Annotated``."""
    return Depends(Allow(frozenset(roles), reporting, pending))


def everyone() -> Any:
    """Mark a route as open: ``dependencies=[everyone()]``."""
    return Depends(Everyone())
