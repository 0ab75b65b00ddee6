"""Improvement items over HTTP: what drills showed must be better, with an owner and a day, until it is closed."""

from datetime import UTC, date, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import FastAPI, Query, Request, Response
from pydantic import model_validator

from schemas.base import Id, Text
from services.drills import improvements as items
from services.drills.http_models import ImprovementPage, ImprovementState, ImprovementView, StepView
from services.drills.http_shared import (
    READ,
    WRITE,
    Backstage,
    Cursor,
    In,
    Limit,
    Line,
    Reader,
    Reviewer,
    S,
    known,
    once,
    read_said,
    refusals,
)
from services.platform.cursor import bad_cursor, read_cursor, write_cursor
from services.platform.described import json_body
from services.platform.problem import ProblemError

Wanted = Literal["open", "overdue", "closed", "all"]


class ImprovementIn(In):
    """An item in a person's own words. ``title_zh`` says the same in Chinese, if somebody has written it."""

    drill_id: Id
    title: Line
    title_zh: Line | None = None
    owner: Line
    due: date


class ImprovementChange(In):
    """What becomes of an item: another owner or day, closed with what was done about it, or open again; and why."""

    owner: Line | None = None
    due: date | None = None
    state: Literal["open", "closed"] | None = None
    reason: Line

    @model_validator(mode="after")
    def _changes_something(self) -> "ImprovementChange":
        if self.owner is None and self.due is None and self.state is None:
            raise ValueError("owner: say what changes: owner, due, or state")
        if self.state == "closed" and (self.owner is not None or self.due is not None):
            raise ValueError("state: an item that is closed needs no owner and no day; change them or close it")
        return self


def add_improvements(app: FastAPI, backstage: Backstage) -> None:
    """Add improvement items."""
    pool = backstage.pool

    @app.get("/v1/improvements", operation_id="list_improvements", responses=READ)
    async def improvements(
        caller: Reader,
        drill: Id | None = None,
        state: Wanted = "open",
        owner: Annotated[str | None, Query(max_length=300)] = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> ImprovementPage:
        """List improvement items, oldest first; ``state=open`` has the overdue ones too."""
        del caller
        after = _place(cursor)
        found = [view_of(item) for item in await items.read_improvements(pool, drill)]
        chosen = [each for each in found if _is_wanted(each, state) and owner in {None, each.owner}]
        if after is not None:
            places = [number for number, each in enumerate(found) if each.id == after]
            if not places:
                raise bad_cursor()
            passed = {each.id for each in found[: places[0] + 1]}
            chosen = [each for each in chosen if each.id not in passed]
        more = len(chosen) > limit
        return ImprovementPage(items=chosen[:limit], next=write_cursor(str(chosen[limit - 1].id)) if more else None)

    @app.post("/v1/improvements", status_code=201, operation_id="add_improvement", response_model=ImprovementView,
              responses=WRITE, openapi_extra=json_body(ImprovementIn, key=True))  # fmt: skip
    async def add(request: Request, caller: Reviewer) -> Response:
        """Put an item of one's own on record, for a drill that showed it."""
        said = await read_said(request, ImprovementIn)
        await known(pool, said.drill_id)

        async def act() -> ImprovementView:
            text = Text(en=said.title, zh=said.title_zh or said.title)
            with refusals():
                id_ = await items.add(pool, said.drill_id, text, owner=said.owner, due=said.due, by=caller.name)
                return view_of(await items.read_improvement(pool, id_))

        return await once(backstage, request, caller, said, act, S.CREATED)

    @app.patch("/v1/improvements/{improvement_id}", operation_id="change_improvement", response_model=ImprovementView,
               responses=WRITE, openapi_extra=json_body(ImprovementChange, key=True))  # fmt: skip
    async def change(request: Request, improvement_id: Id, caller: Reviewer) -> Response:
        """Give an item another owner or day, close it, or open it again; the reason stays on record."""
        said = await read_said(request, ImprovementChange)
        if not [each for each in await items.read_improvements(pool) if each.id == improvement_id]:
            detail = f"improvement {improvement_id}: there is none on record; see GET /v1/improvements"
            raise ProblemError(S.NOT_FOUND, detail, kind="unknown")

        async def act() -> ImprovementView:
            with refusals():
                return view_of(await _change(backstage, improvement_id, said, caller.name))

        return await once(backstage, request, caller, said, act)


async def _change(backstage: Backstage, id_: UUID, said: ImprovementChange, by: str) -> items.Improvement:
    pool = backstage.pool
    if said.state == "closed":
        return await items.close(pool, id_, by=by, reason=said.reason)
    if said.state == "open":
        done = await items.reopen(pool, id_, by=by, reason=said.reason, due=said.due)
        if said.owner is None:
            return done
    return await items.assign(pool, id_, owner=said.owner, due=said.due, by=by, reason=said.reason)


def _place(cursor: str | None) -> UUID | None:
    if cursor is None:
        return None
    try:
        return UUID(read_cursor(cursor, 1)[0])
    except ValueError:
        raise bad_cursor() from None


def _is_wanted(item: ImprovementView, state: Wanted) -> bool:
    if state == "all":
        return True
    if state == "open":
        return item.state is not ImprovementState.CLOSED
    return item.state.value == state


def view_of(item: items.Improvement) -> ImprovementView:
    """Tell an item as it stands today."""
    state = ImprovementState.OPEN if item.is_open else ImprovementState.CLOSED
    if item.is_overdue(datetime.now(UTC).date()):
        state = ImprovementState.OVERDUE
    return ImprovementView(
        id=item.id,
        drill_id=item.drill_id,
        drill=item.drill,
        finding=item.finding,
        title=item.title,
        owner=item.owner,
        due=item.due,
        state=state,
        history=[StepView.model_validate(step, from_attributes=True) for step in item.history],
    )
