"""Scorecards over HTTP: how fast departments and roles answer, in this world only: real incidents, or drills.

The two are never mixed: each site reads its own world's orders, through connections that see no other.
"""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import FastAPI, Query, Request, Response
from pydantic import BaseModel, Field

from schemas.base import Slug, Text
from schemas.vocabulary import Namespace
from services.console.performance import Card, Done, Figure, Month, card_of, grouped, read_done, turnouts
from services.console.world import statement
from services.domain.segments import NEEDS, NEVER, Quantile
from services.platform.access.guard import allow
from services.platform.access.principal import Principal
from services.platform.cursor import read_cursor, write_cursor
from services.platform.decider import statuses
from services.platform.etag import with_etag
from services.platform.postgres import Pool
from services.platform.problem import ProblemError, documented

_S = HTTPStatus
MOST = 200_000
"""Orders that are reckoned with at most: the latest ones."""
DOTS = 200
"""Single orders that are given with a department's card."""

Seconds = float | Literal["never"] | None
Months = Annotated[int, Query(ge=1, le=60, description="How many months back, this one included.")]
Answered = Annotated[
    Literal["all", "people"], Query(description="In drills: all orders, or those that people answered themselves.")
]


class Within(BaseModel):
    """How many kept their deadline, of those of whom it can be said."""

    kept: int
    n: int
    share: float | None


class FigureView(BaseModel):
    """A span of time in numbers. A percentile is seconds, ``"never"``, or null for too few observations."""

    n: int
    never: int = Field(description="Who never did; they are in n and in every percentile.")
    never_share: float | None
    p50: Seconds
    p90: Seconds
    p95: Seconds
    longest: float | None = Field(description="The longest that ended.")
    within: Within | None


class MonthView(BaseModel):
    """One month's turnout."""

    month: str
    orders: int
    turnout: FigureView


class CardView(BaseModel):
    """The numbers of one department or role. ``received``: order to receipt; ``turnout``: receipt to yes or start.

    ``completion``: order to done. ``unanswered`` said nothing though their time was over; ``cut_short`` were taken
    back before and count neither way; ``simulated`` were answered by a program, in a drill.
    """

    id: str
    title: Text
    orders: int
    incidents: int
    answered: int
    declined: int
    unanswered: int
    cut_short: int
    completed: int
    simulated: int
    received: FigureView
    turnout: FigureView
    completion: FigureView
    months: list[MonthView]


class OrderDot(BaseModel):
    """One order: ``took`` is its turnout in seconds, or ``"never"``; null where it tells nothing about it."""

    id: UUID
    incident_id: UUID
    task: str
    role: str
    issued_at: datetime
    took: Seconds
    within: bool | None
    simulated: bool


class Scorecards(BaseModel):
    """Cards by id. ``needs``: how many observations a percentile takes. ``truncated``: older orders were left out."""

    items: list[CardView]
    next: str | None
    by: Literal["department", "role"]
    since: datetime
    until: datetime
    orders: int
    truncated: bool
    needs: dict[str, int]


class DepartmentScorecard(CardView):
    """A department's card, one for each of its roles, and its latest orders one by one."""

    since: datetime
    until: datetime
    truncated: bool
    needs: dict[str, int]
    roles: list[CardView]
    dots: list[OrderDot]


def add_scorecards_api(app: FastAPI, pool: Pool, namespace: Namespace) -> None:
    """Add the routes to a namespace's app; ``pool`` is held to the namespace."""
    problems = documented(_S.UNAUTHORIZED, _S.FORBIDDEN, _S.UNPROCESSABLE_ENTITY)

    @app.get("/v1/scorecards", operation_id="list_scorecards", responses=problems)
    async def scorecards(
        caller: Annotated[Principal, allow()],
        by: Literal["department", "role"] = "department",
        months: Months = 12,
        answered: Answered = "all",
        limit: Annotated[int, Query(ge=1, le=200)] = 100,
        cursor: Annotated[str | None, Query(max_length=200)] = None,
    ) -> Scorecards:
        """List the cards of all departments, or of all roles; a department's member is given its own only."""
        if by == "role" and not caller.is_staff:
            raise _not_yours("the roles of all departments are for staff")
        since, until = _span(months)
        orders, truncated = await _read(pool, namespace, since, until, answered)
        if not caller.is_staff:
            orders = [order for order in orders if caller.may_act_for(order.department)]
        titles = await _titles(pool, by)
        groups = await asyncio.to_thread(grouped, orders, lambda order: getattr(order, by))
        after = "" if cursor is None else read_cursor(cursor, 1)[0]
        ids = [name for name in sorted(groups) if name > after]
        cards = await asyncio.to_thread(lambda: [_view(name, titles, card_of(groups[name])) for name in ids[:limit]])
        return Scorecards(
            items=cards,
            next=write_cursor(ids[limit - 1]) if len(ids) > limit else None,
            by=by,
            since=since,
            until=until,
            orders=len(orders),
            truncated=truncated,
            needs=_NEEDS,
        )

    @app.get("/v1/scorecards/{department}", operation_id="show_scorecard", response_model=DepartmentScorecard,
             responses=problems | documented(_S.NOT_FOUND))  # fmt: skip
    async def scorecard(
        request: Request,
        department: Slug,
        caller: Annotated[Principal, allow()],
        months: Months = 12,
        answered: Answered = "all",
    ) -> Response:
        """Show one department's card, one for each of its roles, and its latest orders; for itself and for staff."""
        if not (caller.is_staff or caller.may_act_for(department)):
            raise _not_yours(f"you are no member of {department}")
        since, until = _span(months)
        orders, truncated = await _read(pool, namespace, since, until, answered, department)
        departments = await _titles(pool, "department")
        if not orders and department not in departments:
            raise ProblemError(
                _S.NOT_FOUND, f"department {department}: there is none; see GET /v1/departments", kind="unknown"
            )
        roles = await _titles(pool, "role")
        found = await asyncio.to_thread(_whole, department, orders, departments, roles)
        return with_etag(
            request, DepartmentScorecard(**found, since=since, until=until, truncated=truncated, needs=_NEEDS)
        )


_NEEDS = {f"p{percent}": n for percent, n in NEEDS.items()}


def _not_yours(detail: str) -> ProblemError:
    return ProblemError(_S.FORBIDDEN, detail, kind="not-allowed")


def _span(months: int) -> tuple[datetime, datetime]:
    """Give the first of the month so many months back, and this minute."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    place = now.year * 12 + now.month - months
    return datetime(place // 12, place % 12 + 1, 1, tzinfo=UTC), now


async def _read(
    pool: Pool, namespace: Namespace, since: datetime, until: datetime, answered: str, department: str | None = None
) -> tuple[list[Done], bool]:
    everyone = answered == "all" or namespace is Namespace.ACTUAL
    given = (statuses(namespace), since, until, department, MOST + 1, everyone)
    rows = await pool.fetch(statement("scorecard_orders"), *given)
    orders = await asyncio.to_thread(lambda: [read_done(dict(row)) for row in rows[:MOST]])
    return orders, len(rows) > MOST


async def _titles(pool: Pool, kind: str) -> dict[str, Text]:
    rows = await pool.fetch(statement("scorecard_titles"))
    return {row["id"]: Text.model_validate(json.loads(row["title"])) for row in rows if row["kind"] == kind}


def _whole(department: str, orders: list[Done], departments: dict[str, Text], roles: dict[str, Text]) -> dict[str, Any]:
    own = grouped(orders, lambda order: order.role)
    took = turnouts(orders[:DOTS])
    return {
        **_view(department, departments, card_of(orders)).model_dump(),
        "roles": [_view(name, roles, card_of(own[name])) for name in sorted(own)],
        "dots": [_dot(order, took) for order in orders[:DOTS]],
    }


def _dot(order: Done, took: dict[UUID, timedelta | None]) -> OrderDot:
    lasted = took.get(order.id)
    return OrderDot(
        id=order.id,
        incident_id=order.incident_id,
        task=order.task,
        role=order.role,
        issued_at=order.issued_at,
        took=_seconds(NEVER if lasted is None else lasted) if order.id in took else None,
        within=order.kept_answer,
        simulated=order.simulated,
    )


def _view(id_: str, titles: dict[str, Text], card: Card) -> CardView:
    return CardView(
        id=id_,
        title=titles.get(id_) or Text(en=id_, zh=id_),
        orders=card.orders,
        incidents=card.incidents,
        answered=card.answered,
        declined=card.declined,
        unanswered=card.unanswered,
        cut_short=card.cut_short,
        completed=card.completed,
        simulated=card.simulated,
        received=_figure(card.received),
        turnout=_figure(card.turnout),
        completion=_figure(card.completion),
        months=[_month(month) for month in card.months],
    )


def _month(month: Month) -> MonthView:
    return MonthView(month=month.month, orders=month.orders, turnout=_figure(month.turnout))


def _figure(figure: Figure) -> FigureView:
    summary, within = figure.summary, figure.within
    return FigureView(
        n=summary.n,
        never=summary.censored,
        never_share=summary.never_responded,
        p50=_seconds(summary.p50),
        p90=_seconds(summary.p90),
        p95=_seconds(summary.p95),
        longest=summary.longest.total_seconds() if summary.longest is not None else None,
        within=Within(kept=within.kept, n=within.n, share=within.share) if within is not None else None,
    )


def _seconds(value: Quantile) -> Seconds:
    if value is None:
        return None
    return "never" if value is NEVER else round(value.total_seconds(), 3)
