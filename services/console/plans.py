"""Plans over HTTP: the catalogue, each plan with its versions, what changed, its findings; and checking a text."""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query, Request, Response

from schemas.base import DEPARTMENT_PATTERN
from schemas.vocabulary import Category, PlanKind
from services.console.plans_check import MAX_BYTES, check_text
from services.console.plans_store import PlanStore, Shelf, Wording
from services.console.plans_view import (
    Checked,
    DiffView,
    Findings,
    PlanLine,
    PlanList,
    PlanView,
    VersionList,
    make_difference,
    make_findings,
    make_line,
    make_versions,
    make_view,
)
from services.platform.access.guard import allow
from services.platform.access.principal import STAFF
from services.platform.body import read_body
from services.platform.cursor import read_cursor, write_cursor
from services.platform.etag import with_etag
from services.platform.postgres import Pool
from services.platform.problem import ProblemError, documented
from services.playbooks.diff import diff
from services.playbooks.plans import compile_plan
from services.playbooks.problem import PlaybookError

_S = HTTPStatus
_GUARDED = (_S.UNAUTHORIZED, _S.FORBIDDEN)
_SAME: dict[int | str, dict[str, Any]] = {304: {"description": "It is what the caller has."}}
YAML = ("application/yaml", "text/yaml", "application/x-yaml", "text/plain")
"""Media types of a plan's text: RFC 9512's own, what went before it, and what a browser calls a pasted text."""
PlanId = Annotated[str, Path(pattern=DEPARTMENT_PATTERN, max_length=60)]
Version = Annotated[int, Query(ge=1, le=2**31 - 1)]
_READERS = [allow(*STAFF)]


def today() -> date:
    """Give the date here, which reviews and exercises are held against."""
    return datetime.now(UTC).astimezone().date()


def add_plans_api(
    app: FastAPI, pool: Pool, exercises: Pool | None = None, *, today: Callable[[], date] = today
) -> None:
    """Add the plans' routes. ``exercises`` reads the exercise namespace, for the last drill of each plan."""
    store = PlanStore(pool, exercises)
    _add_catalogue(app, store, today)
    _add_history(app, store, today)
    _add_checking(app, store, today)


def _add_catalogue(app: FastAPI, store: PlanStore, today: Callable[[], date]) -> None:
    @app.get("/v1/plans", operation_id="list_plans", dependencies=_READERS,
             responses=documented(*_GUARDED, _S.NOT_FOUND, _S.UNPROCESSABLE_ENTITY))  # fmt: skip
    async def plans(
        category: Category | None = None,
        kind: PlanKind | None = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        cursor: Annotated[str | None, Query(max_length=200)] = None,
    ) -> PlanList:
        """List the plans in force, by id; those of one category or kind only, when asked."""
        shelf, drills = await store.shelf(), await store.last_drills()
        after = "" if cursor is None else read_cursor(cursor, 1)[0]
        chosen = [
            wording
            for wording in shelf.plans.values()
            if wording.plan > after
            and (category is None or category in wording.document.match.categories)
            and (kind is None or wording.document.kind is kind)
        ]
        chosen.sort(key=lambda wording: wording.plan)
        lines: list[PlanLine] = [
            make_line(wording, shelf, today(), drills.get(wording.plan)) for wording in chosen[:limit]
        ]
        return PlanList(items=lines, next=write_cursor(lines[-1].id) if len(chosen) > limit else None)

    @app.get("/v1/plans/{plan}", operation_id="show_plan", response_model=PlanView, dependencies=_READERS,
             responses=documented(*_GUARDED, _S.NOT_FOUND, _S.UNPROCESSABLE_ENTITY) | _SAME)  # fmt: skip
    async def plan(request: Request, plan: PlanId, version: Version | None = None) -> Response:
        """Show a plan as it is in force, or one version of it: the document as written, and what follows from it."""
        shelf, wording = await store.shelf(), await store.wording(plan, version)
        return with_etag(request, await asyncio.to_thread(_whole, wording, shelf))


def _whole(wording: Wording, shelf: Shelf) -> PlanView:
    compiled = shelf.playbook.frozen.get(wording.digest) or compile_plan(wording.document)
    return make_view(wording, compiled, shelf)


def _add_history(app: FastAPI, store: PlanStore, today: Callable[[], date]) -> None:
    known = documented(*_GUARDED, _S.NOT_FOUND, _S.UNPROCESSABLE_ENTITY)

    @app.get("/v1/plans/{plan}/versions", operation_id="list_plan_versions", dependencies=_READERS, responses=known)
    async def versions(plan: PlanId) -> VersionList:
        """List every version of a plan that was published, the newest first, and when it was in force."""
        return make_versions(await store.wordings(plan), await store.history(plan))

    @app.get("/v1/plans/{plan}/diff", operation_id="compare_plan_versions", dependencies=_READERS, responses=known)
    async def differences(plan: PlanId, from_: Annotated[Version, Query(alias="from")], to: Version) -> DiffView:
        """Say what changed from one version of a plan to another, in a planner's words."""
        before, after = await store.wording(plan, from_), await store.wording(plan, to)
        changes = [make_difference(each) for each in diff(before.document, after.document)]
        return DiffView(plan=plan, from_version=from_, to_version=to, items=changes)

    @app.get("/v1/plans/{plan}/findings", operation_id="lint_plan", dependencies=_READERS, responses=known)
    async def findings(plan: PlanId) -> Findings:
        """Lint a plan in force, beside the other plans and the directory; an overdue review is a finding too."""
        shelf, wording = await store.shelf(), await store.wording(plan)
        problems = await asyncio.to_thread(shelf.problems, today())
        return make_findings([each for each in problems if each.file == wording.plan])


def _add_checking(app: FastAPI, store: PlanStore, today: Callable[[], date]) -> None:
    one_at_a_time = asyncio.Lock()  # it is work for a core, and the same process may serve a real incident
    text: dict[str, Any] = {"schema": {"type": "string", "description": "One plan, as in playbooks/plans."}}

    @app.post("/v1/plans/check", operation_id="check_plan", dependencies=_READERS,
              openapi_extra={"requestBody": {"required": True, "content": dict.fromkeys(YAML, text)}},
              responses=documented(_S.BAD_REQUEST, *_GUARDED, _S.NOT_FOUND, _S.REQUEST_ENTITY_TOO_LARGE,
                                   _S.UNSUPPORTED_MEDIA_TYPE))  # fmt: skip
    async def check(request: Request) -> Checked:
        """Check a plan's YAML text: findings with their lines, and what it changes. Nothing is stored."""
        _, body = await read_body(request, YAML)
        if len(body) > MAX_BYTES:
            raise ProblemError(_S.REQUEST_ENTITY_TOO_LARGE, f"the text has more than {MAX_BYTES} bytes; split the plan")
        shelf = await store.shelf()
        try:
            written = body.decode("utf-8-sig")
            async with one_at_a_time:
                return await asyncio.to_thread(check_text, written, shelf, today())
        except UnicodeDecodeError as error:
            line = body.count(b"\n", 0, error.start) + 1
            raise ProblemError(_S.BAD_REQUEST, f"line {line}: is not UTF-8", kind="malformed") from None
        except PlaybookError as error:
            raise ProblemError(_S.BAD_REQUEST, _said(error), kind="malformed") from None


def _said(error: PlaybookError) -> str:
    first, more = error.problems[0], len(error.problems) - 1
    place = f"line {first.line}: " if first.line else ""
    said = ": ".join(part for part in (first.path, first.message) if part)
    mend = f"; {first.mend}" if first.mend else ""
    return f"{place}{said}{mend}{f' (and {more} more)' if more else ''}"
