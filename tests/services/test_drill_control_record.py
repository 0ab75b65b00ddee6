"""Controlling a drill through Postgres: requests, pauses that other processes follow, schedules and what is overdue."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from schemas.vocabulary import Namespace
from services.cli.processes import make_runtime
from services.drills.control import (
    Action,
    ask,
    find_running,
    follow_pauses,
    note_pause,
    note_resume,
    pausable,
    requests,
    settle,
)
from services.drills.record import DrillError, DrillRow, Ending, Seat, begin, end, read_drill
from services.drills.schedule import (
    MISSED,
    Schedule,
    add_schedule,
    list_due,
    list_schedules,
    next_time,
    remove_schedule,
    take_due,
    watch_schedule,
)
from services.platform.clock import ScaledClock
from services.platform.postgres import Pool, connect
from services.platform.rights import role_name
from tests.domain.builders import MINUTE, START
from tests.playbooks.sample import plan
from tests.services.support import settings, until
from tests.services.test_drill_scenario import parse

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


def drill(**given: Any) -> DrillRow:
    row = DrillRow(uuid7(), parse().document, 1, 60, START, START, seats={"water": Seat.STAND_IN})
    return replace(row, **given)


@asynccontextmanager
async def controller(pool: Pool, row: DrillRow, refused: str | None = None) -> AsyncIterator[list[str]]:
    """A controller that takes whatever it is asked."""
    taken: list[str] = []

    async def take() -> None:
        while True:
            for request in await requests(pool, row.id):
                taken.append(f"{request.action} {request.inject or ''} by {request.by}")
                await settle(pool, request, refused)
            await asyncio.sleep(0.01)

    work = asyncio.create_task(take())
    yield taken
    work.cancel()


async def test_a_request_is_taken_once_and_the_asker_hears_of_it(pool: Pool) -> None:
    row = drill()
    await begin(pool, row)
    async with controller(pool, row) as taken:
        await ask(pool, row, Action.PAUSE, by="li")
        await ask(pool, row, Action.INJECT, by="wang", inject="caller")
    assert taken == ["pause  by li", "inject caller by wang"]


async def test_a_refused_request_says_why_and_stays_on_record(pool: Pool) -> None:
    row = drill()
    await begin(pool, row)
    async with controller(pool, row, refused="it stands still already"):
        with pytest.raises(DrillError, match="drill flood-drill: it stands still already"):
            await ask(pool, row, Action.PAUSE, by="li")
    assert await pool.fetchval("SELECT refused FROM drill_controls") == "it stands still already"


async def test_a_drill_is_found_by_id_by_name_or_because_it_is_the_only_one(pool: Pool) -> None:
    with pytest.raises(DrillError, match="no drill runs"):
        await find_running(pool, None)
    row = drill()
    await begin(pool, row)
    assert (await find_running(pool, None)).id == row.id
    assert (await find_running(pool, "flood-drill")).seats == {"water": Seat.STAND_IN}
    with pytest.raises(DrillError, match="drill other: does not run"):
        await find_running(pool, "other")
    await begin(pool, drill())
    with pytest.raises(DrillError, match="2 drills are under way; name one by its id"):
        await find_running(pool, "flood-drill")
    assert (await find_running(pool, str(row.id))).id == row.id


async def test_a_drill_read_back_tells_the_time_that_its_clock_told(pool: Pool) -> None:
    row = drill()
    await begin(pool, row)
    await note_pause(pool, row.id, START + 10 * SECOND, "li", "a real call")
    assert (await read_drill(pool, row.id)).clock.is_paused
    await note_resume(pool, row.id, START + 70 * SECOND)
    clock = (await read_drill(pool, row.id)).clock
    assert clock.at(START + 71 * SECOND) == START + 11 * MINUTE


async def test_the_first_order_of_a_drill_that_stood_still_is_reckoned_by_its_clock(pool: Pool) -> None:
    row, incident = drill(), uuid7()
    await begin(pool, row)
    await note_pause(pool, row.id, START, "li", None)
    await note_resume(pool, row.id, START + 30 * SECOND)
    await pool.execute(
        "INSERT INTO drill_injects (event_id, drill_id, inject, incident_id, status, played_at)"
        " VALUES ($1, $2, 'water-rises', $3, 'Exercise', $4)",
        uuid7(),
        row.id,
        incident,
        START,
    )
    await pool.execute("UPDATE drills SET incident_ids = $1", [incident])
    await pool.execute(
        "INSERT INTO outbox (event_id, incident_id, status, namespace, topic, type, time, source, value, lease_until,"
        " published_at) VALUES ($1, $2, 'Exercise', 'exercise', 't', 'muster.assignment', $3, 's', 'v', $3, $3)",
        uuid7(),
        incident,
        START + 32 * SECOND,
    )
    await end(pool, row, START + 9 * MINUTE, Ending.FINISHED)
    assert await pool.fetchval("SELECT first_order_at FROM drill_injects") == START + 2 * MINUTE


async def test_another_process_of_the_exercise_stands_still_with_the_drill(
    pool: Pool, database: str, broker: str
) -> None:
    exercise = pausable(settings(database, broker, Namespace.EXERCISE))
    assert pausable(settings(database, broker)).clock_start is None, "real time is not for stopping"
    runtime = await make_runtime(exercise, "tracking", ())
    clock = runtime.clock
    assert isinstance(clock, ScaledClock)
    row = drill(speed=1.0, clock_start=clock.start, started_at=clock.start)
    await begin(pool, row)
    await note_pause(pool, row.id, datetime.now(UTC), "li", None)
    follow_pauses(runtime)
    follower: asyncio.Task[Any] = asyncio.ensure_future(runtime._background[-1]())
    exercised = await connect(database, role=role_name(Namespace.EXERCISE))
    try:

        async def stands_still() -> bool:
            return clock.is_paused

        async def goes_on() -> bool:
            return not clock.is_paused

        await until(stands_still)
        await note_resume(exercised, row.id, datetime.now(UTC))
        await until(goes_on, 3)
    finally:
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)
        await exercised.close()
        await runtime.pool.close()


@pytest.mark.parametrize(
    ("after", "at", "zone", "days", "expected"),
    [
        ("2026-05-04T10:00+00:00", "02:40", "UTC", 0, "2026-05-05T02:40+00:00"),
        ("2026-05-04T10:00+00:00", "12:00", "UTC", 0, "2026-05-04T12:00+00:00"),
        ("2026-05-04T10:00+00:00", "02:40", "Asia/Shanghai", 0, "2026-05-04T18:40+00:00"),
        ("2026-05-04T10:00+00:00", "12:00", "UTC", 30, "2026-06-03T12:00+00:00"),
        # In Berlin the clocks jump from 02:00 to 03:00 on 2026-03-29.
        ("2026-03-28T12:00+00:00", "02:30", "Europe/Berlin", 0, "2026-03-29T01:30+00:00"),
        ("2026-03-29T12:00+00:00", "02:30", "Europe/Berlin", 0, "2026-03-30T00:30+00:00"),
    ],
)
def test_a_schedule_goes_by_the_clocks_on_the_wall_there(
    after: str, at: str, zone: str, days: int, expected: str
) -> None:
    found = next_time(datetime.fromisoformat(after), time.fromisoformat(at), zone, days=days)
    assert found == datetime.fromisoformat(expected)


def test_an_unknown_time_zone_is_named() -> None:
    with pytest.raises(DrillError, match="Mars/Base: is no time zone; write one like"):
        next_time(START, time(2), "Mars/Base")


def schedule(name: str = "nightly", next_at: datetime = START) -> Schedule:
    return Schedule(name, "flood-drill", Path("/drills/flood.yaml"), 30, next_at.time(), "UTC", next_at)


async def test_a_schedule_is_kept_listed_and_removed(pool: Pool) -> None:
    await add_schedule(pool, schedule(), "li")
    with pytest.raises(DrillError, match="schedule nightly: is there already"):
        await add_schedule(pool, schedule(), "li")
    assert [(each.name, each.file) for each in await list_schedules(pool)] == [("nightly", Path("/drills/flood.yaml"))]
    await remove_schedule(pool, "nightly")
    assert await list_schedules(pool) == []
    with pytest.raises(DrillError, match="schedule nightly: there is none"):
        await remove_schedule(pool, "nightly")
    await add_schedule(pool, schedule(), "wang")


async def test_what_is_due_is_taken_once_and_its_next_time_is_set(pool: Pool) -> None:
    await add_schedule(pool, schedule(), "li")
    assert await take_due(pool, START - SECOND) is None
    taken = await asyncio.gather(*(take_due(pool, START + SECOND) for _ in range(4)))
    assert [each.name for each in taken if each] == ["nightly"]
    (kept,) = await list_schedules(pool)
    assert (kept.next_at, kept.last_outcome) == (START + 30 * DAY, "under way")


async def test_a_drill_does_not_start_while_another_runs(pool: Pool) -> None:
    await add_schedule(pool, schedule(), "li")
    async with pool.acquire() as other:
        await other.execute("SELECT pg_advisory_lock(hashtext('muster.drill'))")
        assert await take_due(pool, START + MINUTE) is None
        await other.execute("SELECT pg_advisory_unlock(hashtext('muster.drill'))")
    assert await take_due(pool, START + 2 * MINUTE) is not None, "it waits for its turn"


async def test_a_night_drill_that_was_slept_through_is_not_made_up_for_in_the_morning(pool: Pool) -> None:
    await add_schedule(pool, schedule(), "li")
    assert await take_due(pool, START + timedelta(hours=8)) is None
    (kept,) = await list_schedules(pool)
    assert (kept.last_outcome, kept.next_at) == (MISSED, START + 30 * DAY)


async def test_the_watch_runs_one_after_the_other_and_notes_how_it_went(pool: Pool) -> None:
    now = datetime.now(UTC)
    for name in ("a", "b"):
        await add_schedule(pool, schedule(name, now - SECOND), "li")
    at_work = most_at_once = 0

    async def launch(each: Schedule) -> str:
        nonlocal at_work, most_at_once
        at_work += 1
        most_at_once = max(most_at_once, at_work)
        await asyncio.sleep(0.05)
        at_work -= 1
        return f"{each.name} finished"

    watches = [asyncio.create_task(watch_schedule(pool, launch, look_every=0.02))]

    async def both_ran() -> bool:
        return {each.last_outcome for each in await list_schedules(pool)} == {"a finished", "b finished"}

    await until(both_ran)
    for watch in watches:
        watch.cancel()
    await asyncio.gather(*watches, return_exceptions=True)
    assert most_at_once == 1


async def test_a_plan_is_overdue_when_its_last_full_drill_is_too_long_ago(pool: Pool) -> None:
    (never,) = await list_due(pool, [plan()])
    assert (never.last_at, never.is_overdue(START)) == (None, True)
    for days, ending in ((200, Ending.FINISHED), (100, Ending.TIME_OVER), (10, Ending.STOPPED), (5, Ending.FAILED)):
        row = drill(started_at=START - days * DAY, clock_start=START - days * DAY)
        await begin(pool, row)
        await end(pool, row, row.started_at + MINUTE, ending)
    (due,) = await list_due(pool, [plan()])
    assert due.last_at == START - 100 * DAY, "a drill that was broken off has exercised nothing"
    assert due.due_at == START + 80 * DAY
    assert (due.is_overdue(START), due.is_overdue(START + 81 * DAY)) == (False, True)
