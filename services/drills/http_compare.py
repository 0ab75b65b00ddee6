"""Whether a drill was better, over HTTP: two sets of drills compared, and the drills of a plan in order."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from fastapi import FastAPI, Query, Response
from pydantic import BaseModel, ConfigDict
from pydantic_core import to_json

from schemas.base import Slug, Text
from schemas.drill import Segment
from services.drills.http_shared import READ, Backstage, Reader, S, known, refusals
from services.platform.problem import ProblemError, documented

if TYPE_CHECKING:  # they need scipy, whose import takes longer than most requests do
    from services.drills.compare import Pair, Played
    from services.drills.survival import Sample

MOST = 20
"""Drills on one side at most."""
POINTS = 120
"""Points of a curve at most."""
_ALONE = asyncio.Semaphore(1)
"""Comparisons deal chance many times over, and one takes a processor for seconds."""

Ids = Annotated[str, Query(min_length=1, max_length=1_000, description="A drill's id, or several with commas.")]


class ComparisonView(BaseModel):
    """Two sets of drills compared; times are seconds, ``"never"``, or null for what isn't told.

    ``outcome``: better, worse, cant_tell or insufficient_data. Each row has its own, with n and intervals. ``curves``
    say for each row which share had answered after how many seconds, of base and candidate.
    """

    model_config = ConfigDict(extra="allow")

    outcome: str
    alpha: float
    base: list[dict[str, Any]]
    candidate: list[dict[str, Any]]
    rows: list[dict[str, Any]]
    notes: list[Text]
    names: dict[str, Text]


class TrendView(BaseModel):
    """A plan's last drills, the oldest first, their numbers by segment, and the last one against those before it."""

    model_config = ConfigDict(extra="allow")

    plan: str
    drills: list[dict[str, Any]]
    segments: dict[str, list[dict[str, Any]]]
    last: dict[str, Any] | None


def add_compare(app: FastAPI, backstage: Backstage) -> None:
    """Add comparison and trend; before the paths with a drill's id."""

    @app.get("/v1/drills/compare", operation_id="compare_drills", response_model=ComparisonView,
             responses=READ | documented(S.CONFLICT))  # fmt: skip
    async def comparison(
        caller: Reader,
        base: Ids,
        candidate: Ids,
        segment: Annotated[list[Segment] | None, Query(max_length=len(Segment))] = None,
        by_department: bool = True,
        alpha: Annotated[float, Query(ge=0.001, le=0.2)] = 0.05,
        seed: Annotated[int, Query(ge=0, le=2**31 - 1)] = 7,
    ) -> Response:
        """Compare drills with those before, and tell a slower candidate from chance; false alarms stay below alpha."""
        del caller
        sides = [await _read(backstage, _ids(each)) for each in (base, candidate)]
        async with _ALONE:
            found = await asyncio.to_thread(
                _compare, sides, segments=segment or (), by_department=by_department, alpha=alpha, seed=seed
            )
        return Response(to_json(found), media_type="application/json")

    @app.get("/v1/drills/trend", operation_id="show_drill_trend", response_model=TrendView, responses=READ)
    async def trend(caller: Reader, plan: Slug, last: Annotated[int, Query(ge=1, le=MOST)] = 10) -> Response:
        """Say whether the drills of a plan get better: their numbers in order, and the last against all before it."""
        del caller
        from services.drills.trend import read_history

        with refusals(S.NOT_FOUND):
            history = await read_history(backstage.pool, plan, last)
        async with _ALONE:
            found = await asyncio.to_thread(_trend, plan, history)
        return Response(to_json(found), media_type="application/json")


def _ids(given: str) -> list[UUID]:
    parts = [part.strip() for part in given.split(",") if part.strip()]
    if not 1 <= len(parts) <= MOST:
        raise _odd(f"name 1 to {MOST} drills on each side, with commas between them")
    try:
        return [UUID(part) for part in parts]
    except ValueError:
        raise _odd(f"{given[:100]}: a drill is named by its id; see GET /v1/drills") from None


def _odd(detail: str) -> ProblemError:
    return ProblemError(S.UNPROCESSABLE_ENTITY, detail, kind="invalid-request")


async def _read(backstage: Backstage, ids: Sequence[UUID]) -> "tuple[Played, ...]":
    from services.drills.compare import read_side

    for id_ in ids:
        await known(backstage.pool, id_)
    with refusals():
        return await read_side(backstage.pool, ids)


def _compare(
    sides: "Sequence[tuple[Played, ...]]",
    *,
    segments: Sequence[Segment],
    by_department: bool,
    alpha: float,
    seed: int,
) -> dict[str, Any]:
    from services.drills.compare import compare, pair_up
    from services.drills.compare_json import comparison_json

    base, candidate = sides
    by_department = by_department and (not segments or Segment.TURNOUT in segments)
    found = compare(base, candidate, segments=segments, by_department=by_department, alpha=alpha, seed=seed)
    told = comparison_json(found)
    pairs = pair_up(base, candidate, segments=segments, by_department=by_department)
    rows = [{**row, "curves": _curves(pair)} for row, pair in zip(told["rows"], pairs, strict=True)]
    return {**told, "rows": rows, "notes": found.notes, "names": found.names}


def _curves(pair: "Pair") -> dict[str, list[tuple[float, float]]]:
    return {"base": _curve(pair.base), "candidate": _curve(pair.candidate)}


def _curve(sample: "Sample") -> list[tuple[float, float]]:
    """Give the share that had answered after so many seconds, thinned out; those who never did are in no point."""
    times = sorted(float(time) for time in sample.times if time != float("inf"))
    steps = [(round(time, 3), round((place + 1) / sample.n, 4)) for place, time in enumerate(times)]
    if len(steps) <= POINTS:
        return steps
    return [steps[round(place * (len(steps) - 1) / (POINTS - 1))] for place in range(POINTS)]


def _trend(plan: str, history: "tuple[Played, ...]") -> dict[str, Any]:
    from services.drills.compare_json import trend_json
    from services.drills.trend import trend_of

    found = trend_of(plan, history)
    names = {id_: name for played in history for id_, name in played.names.items()}
    told = trend_json(found)
    if found.last is not None:
        told["last"]["notes"] = found.last.notes
    return {**told, "names": names}
