"""What people say about a drill afterwards, over HTTP: corrections to its timeline, ratings, proposed improvements."""

from datetime import UTC, date, datetime, timedelta

from fastapi import FastAPI, Request, Response
from pydantic import model_validator

from schemas.base import Id, Slug, Time
from services.drills import improvements as items
from services.drills.corrections import correct
from services.drills.http_models import Corrected, ProposedView, RatedView
from services.drills.http_shared import (
    WRITE,
    Backstage,
    DrillId,
    In,
    Line,
    Prose,
    Reviewer,
    S,
    known,
    once,
    read_said,
    refusals,
)
from services.drills.ratings import Grade, rate
from services.drills.reading import read_report
from services.platform.described import json_body

DUE_AFTER = timedelta(days=30)
"""The time a proposed improvement item has, unless it is said."""


class CorrectionIn(In):
    """What is right about a timeline entry: when it happened, in seconds after STARTEX or as an instant, or a note."""

    entry_id: Id
    occurred_at: Time | None = None
    after: float | None = None
    note: Prose | None = None
    reason: Line

    @model_validator(mode="after")
    def _says_when_once(self) -> "CorrectionIn":
        if self.occurred_at is not None and self.after is not None:
            raise ValueError("after: says the same as occurred_at; give one of them")
        return self


class RatingIn(In):
    """An evaluator's judgement of one objective."""

    objective: Slug
    rating: Grade
    notes: Prose | None = None


class ProposalsIn(In):
    """By when the proposed items shall be done; in thirty days unless it is said."""

    due: date | None = None


def add_review(app: FastAPI, backstage: Backstage) -> None:
    """Add what is said afterwards."""
    pool = backstage.pool

    @app.post("/v1/drills/{drill_id}/corrections", status_code=201, operation_id="correct_drill",
              response_model=Corrected, responses=WRITE, openapi_extra=json_body(CorrectionIn, key=True))  # fmt: skip
    async def add_correction(request: Request, drill_id: DrillId, caller: Reviewer) -> Response:
        """Say what is right about a timeline entry; what was recorded stays, and all numbers follow what is right."""
        said = await read_said(request, CorrectionIn)
        drill = await known(pool, drill_id)

        async def act() -> Corrected:
            at = said.occurred_at
            if said.after is not None:
                at = drill.started_at + timedelta(seconds=min(max(said.after, -_YEAR), _YEAR))
            with refusals(S.UNPROCESSABLE_ENTITY):
                done = await correct(
                    pool, drill_id, said.entry_id, occurred_at=at, note=said.note, reason=said.reason, by=caller.name
                )
            return Corrected.model_validate(done, from_attributes=True)

        return await once(backstage, request, caller, said, act, S.CREATED)

    @app.post("/v1/drills/{drill_id}/ratings", status_code=201, operation_id="rate_drill", response_model=RatedView,
              responses=WRITE, openapi_extra=json_body(RatingIn, key=True))  # fmt: skip
    async def add_rating(request: Request, drill_id: DrillId, caller: Reviewer) -> Response:
        """Rate one objective of a drill that is over; the last rating counts."""
        said = await read_said(request, RatingIn)
        await known(pool, drill_id)

        async def act() -> RatedView:
            with refusals():
                done = await rate(pool, drill_id, said.objective, said.rating, notes=said.notes, by=caller.name)
            return RatedView.model_validate(done, from_attributes=True)

        return await once(backstage, request, caller, said, act, S.CREATED)

    @app.post("/v1/drills/{drill_id}/proposals", status_code=201, operation_id="propose_improvements",
              response_model=ProposedView, responses=WRITE, openapi_extra=json_body(ProposalsIn, key=True))  # fmt: skip
    async def propose(request: Request, drill_id: DrillId, caller: Reviewer) -> Response:
        """Put an improvement item on record for each gap of a drill that has none yet."""
        said = await read_said(request, ProposalsIn)
        await known(pool, drill_id)

        async def act() -> ProposedView:
            found = (await read_report(pool, drill_id)).evaluation
            due = said.due or datetime.now(UTC).date() + DUE_AFTER
            with refusals():
                new = await items.propose(pool, drill_id, found.proposals, due=due, by=caller.name)
            return ProposedView(new=new, gaps=len(found.gaps))

        return await once(backstage, request, caller, said, act, S.CREATED)


_YEAR = 366 * 86_400.0
