"""The audit over HTTP."""

from http import HTTPStatus
from typing import Annotated

from fastapi import FastAPI, Query

from schemas.base import Time
from schemas.vocabulary import Role
from services.platform.access.access import Access
from services.platform.access.audit import AuditFilter
from services.platform.access.guard import allow
from services.platform.access.views import AuditPage, AuditView
from services.platform.cursor import bad_cursor, read_cursor, write_cursor
from services.platform.problem import documented

_S = HTTPStatus
_LARGEST = 2**63 - 1
Word = Annotated[str | None, Query(max_length=500)]


def add_audit(app: FastAPI, access: Access) -> None:
    """Add the route."""

    @app.get("/v1/audit", operation_id="list_audit", tags=["access"],
             dependencies=[allow(Role.ADMINISTRATOR, Role.AUDITOR)],
             responses=documented(_S.UNAUTHORIZED, _S.FORBIDDEN, _S.UNPROCESSABLE_ENTITY))  # fmt: skip
    async def list_audit(
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        cursor: Annotated[str | None, Query(max_length=1_000)] = None,
        by: Word = None,
        action: Word = None,
        target: Word = None,
        outcome: Word = None,
        since: Time | None = None,
        until: Time | None = None,
    ) -> AuditPage:
        """List who did what, newest first. ``action`` may be a beginning: ``person`` stands for ``person.add`` too."""
        wanted = AuditFilter(by, action, target, outcome, since, until)
        found = await access.audit.list(wanted, before=_place(cursor), at_most=limit + 1)
        more = write_cursor(str(found[limit - 1].id)) if len(found) > limit else None
        return AuditPage(items=[AuditView.of(entry) for entry in found[:limit]], next=more)


def _place(cursor: str | None) -> int | None:
    try:
        place = int(read_cursor(cursor, 1)[0]) if cursor else None
    except ValueError:
        raise bad_cursor() from None
    if place is not None and not 0 <= place <= _LARGEST:
        raise bad_cursor()
    return place
