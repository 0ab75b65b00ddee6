"""``GET /v1/board``: the open incidents, worst first, as the hub keeps them in memory."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, FastAPI, Query

from schemas.base import Slug
from schemas.plan import LevelId
from services.console.board_models import BoardPage, BoardRow, Need
from services.console.live import Hub
from services.console.stream import until_ready
from services.platform.access.guard import allow
from services.platform.access.principal import STAFF, Principal
from services.platform.cursor import read_cursor, write_cursor
from services.platform.problem import documented

AT_FIRST = 24
"""Incidents on a page unless told otherwise: a screenful of the worst."""
AT_MOST = 200

_S = HTTPStatus


class Only(StrEnum):
    """What the incidents must have; the first ones are what `BoardCounts` counts."""

    OVERDUE = "overdue"
    NOT_RECEIVED = "not_received"
    NOT_ANSWERED = "not_answered"
    BLOCKED = "blocked"
    AWAITING_CONFIRMATION = "awaiting_confirmation"
    ATTENTION = "attention"
    MINE = "mine"


@dataclass(frozen=True, slots=True)
class BoardFilter:
    """Which incidents are asked for; what is not set asks for nothing."""

    only: Annotated[Only | None, Query(description="`mine`: with an obstacle that you took on.")] = None
    level: Annotated[LevelId | None, Query(description="Only incidents at this level.")] = None
    plan: Annotated[Slug | None, Query(description="Only incidents that this plan answers.")] = None
    department: Annotated[Slug | None, Query(description="Only incidents this department has an order in.")] = None

    def keeps(self, caller: str) -> Callable[[BoardRow], bool]:
        """Give the test that a row must pass."""

        def keep(row: BoardRow) -> bool:
            return (
                (self.level is None or any(plan.level == self.level for plan in row.plans))
                and (self.plan is None or any(plan.plan == self.plan for plan in row.plans))
                and (self.department is None or any(line.id == self.department for line in row.departments))
                and (self.only is None or _has(row, self.only, caller))
            )

        return keep


def _has(row: BoardRow, only: Only, caller: str) -> bool:
    return {
        Only.OVERDUE: row.overdue,
        Only.NOT_RECEIVED: row.counts.not_received > 0,
        Only.NOT_ANSWERED: row.counts.not_answered > 0,
        Only.BLOCKED: row.blocked,
        Only.AWAITING_CONFIRMATION: any(item.need is Need.CONFIRM for item in row.attention),
        Only.ATTENTION: bool(row.attention),
        Only.MINE: any(item.owner == caller for item in row.attention),
    }[only]


def add_board_api(app: FastAPI, hub: Hub) -> None:
    """Add the board of one namespace to its application."""

    @app.get(
        "/v1/board",
        operation_id="show_board",
        tags=["live"],
        responses=documented(_S.UNAUTHORIZED, _S.FORBIDDEN, _S.UNPROCESSABLE_ENTITY),
    )
    async def board(
        caller: Annotated[Principal, allow(*sorted(STAFF))],
        wanted: Annotated[BoardFilter, Depends()],
        limit: Annotated[int, Query(ge=1, le=AT_MOST)] = AT_FIRST,
        cursor: Annotated[str | None, Query(max_length=500)] = None,
    ) -> BoardPage:
        """List open incidents: overdue first, then by level, then the oldest; with their departments' states.

        Follow the stream from ``place`` to hear of what changes.
        """
        await until_ready(hub)
        after = read_cursor(cursor, 1)[0] if cursor else ""
        return show_board(hub, wanted, caller.name, after=after, limit=limit)


def show_board(hub: Hub, wanted: BoardFilter, caller: str, *, after: str = "", limit: int = AT_FIRST) -> BoardPage:
    """Give a part of the board, from behind a rank on."""
    rows, total, more = hub.board.page(wanted.keeps(caller), after=after, limit=limit)
    return BoardPage(
        items=list(rows),
        next=write_cursor(rows[-1].rank) if more else None,
        total=total,
        counts=hub.board.counts,
        levels=hub.board.levels,
        plans=hub.board.plans,
        revision=hub.board.revision,
        place=str(hub.place),
        now=hub.clock.now(),
    )
