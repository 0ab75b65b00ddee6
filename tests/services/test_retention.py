"""The record is given up by whole months and incidents; what is held, open, or of a longer term stays whole."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from schemas.vocabulary import Status
from services.platform.errors import RefusedError
from services.platform.postgres import Pool
from services.platform.retention import Applied, apply_terms, hold, release, set_term
from tests.services.record_support import decide, wrong
from tests.services.support import publish_shipped, report

JANUARY, FEBRUARY = datetime(2024, 1, 10, tzinfo=UTC), datetime(2024, 2, 10, tzinfo=UTC)


async def on_record(pool: Pool, at: datetime, status: Status = Status.ACTUAL, phase: str = "closed") -> UUID:
    """Put an incident on record as of then, over by now."""
    told = report(status=status, reported_at=at)
    await decide(pool, [told], at)
    await pool.execute("UPDATE incidents SET phase = $2 WHERE id = $1", told.incident_id, phase)
    return told.incident_id


async def rows(pool: Pool, incident: UUID) -> int:
    """Count the rows of an incident in the tables that speak of it."""
    tables = ("timeline", "assignments", "activations", "inbox", "outbox")
    told = [await pool.fetchval(f"SELECT count(*) FROM {table} WHERE incident_id = $1", incident) for table in tables]  # noqa: S608
    return sum(told)


def actions(applied: Applied) -> dict[str, str]:
    return {plan.name: plan.action for plan in applied.partitions if plan.action != "leave"}


@pytest.fixture
async def months(pool: Pool) -> None:
    """Partitions of the months that the tests speak of, and plans in force."""
    await publish_shipped(pool)
    for parent in ("timeline", "assignments"):
        for month in (1, 2):
            await pool.execute(
                f"CREATE TABLE {parent}_2024_0{month} PARTITION OF {parent}"
                f" FOR VALUES FROM ('2024-0{month}-01 00:00Z') TO ('2024-0{month + 1}-01 00:00Z')"
            )


@pytest.mark.usefixtures("months")
async def test_months_are_given_up_and_what_is_held_survives(pool: Pool) -> None:
    """A month goes when its term is over; what is held, open or an exercise of a longer term stays, row for row."""
    gone = await on_record(pool, JANUARY)
    held, also_gone = await on_record(pool, FEBRUARY), await on_record(pool, FEBRUARY)
    open_still = await on_record(pool, FEBRUARY, phase="open")
    exercise = await on_record(pool, FEBRUARY, Status.EXERCISE)
    recent = await on_record(pool, datetime.now(UTC))
    kept = {incident: await rows(pool, incident) for incident in (held, open_still, exercise, recent)}
    assert not (await apply_terms(pool, really=True)).incidents  # without a term everything is kept
    await set_term(pool, Status.ACTUAL, 365, by="Li")
    await set_term(pool, Status.EXERCISE, 100_000, by="Li")
    await hold(pool, held, reason="a claim", by="Li")

    would = await apply_terms(pool, really=False)
    assert await rows(pool, gone)
    done = await apply_terms(pool, really=True)
    assert would == done
    assert set(done.incidents) == {gone, also_gone}
    assert actions(done) == {
        "timeline_2024_01": "drop",
        "assignments_2024_01": "drop",
        "timeline_2024_02": "rewrite",
        "assignments_2024_02": "rewrite",
    }
    assert await pool.fetchval("SELECT to_regclass('timeline_2024_01')") is None
    assert [await rows(pool, incident) for incident in (gone, also_gone)] == [0, 0]
    assert {incident: await rows(pool, incident) for incident in kept} == kept
    assert not await wrong(pool)
    assert not actions(await apply_terms(pool, really=True))  # once more changes nothing

    await release(pool, held, reason="settled", by="Wang")
    assert (await apply_terms(pool, really=True)).incidents == (held,)
    assert not await rows(pool, held)
    forgotten = await pool.fetchval("SELECT count(*) FROM chains WHERE forgotten_at IS NOT NULL")
    assert forgotten == 3
    await decide(pool, [report()])
    assert not await wrong(pool)


async def test_terms_and_holds_are_refused_in_one_line(pool: Pool) -> None:
    """A term shorter than the broker's memory, an unknown incident, and a hold twice are refused."""
    await publish_shipped(pool)
    with pytest.raises(RefusedError, match="the shortest term is 30 days"):
        await set_term(pool, Status.ACTUAL, 29, by="Li")
    with pytest.raises(RefusedError, match="is not on record"):
        await hold(pool, UUID(int=1), reason="x", by="Li")
    incident = await on_record(pool, datetime.now(UTC))
    with pytest.raises(RefusedError, match="is not held"):
        await release(pool, incident, reason="x", by="Li")
    await hold(pool, incident, reason="x", by="Li")
    with pytest.raises(RefusedError, match="is held already"):
        await hold(pool, incident, reason="x", by="Li")


async def test_a_month_with_rows_astray_does_not_stop_the_others(pool: Pool) -> None:
    """Where a month began before it had a partition its rows stay in the default one, and later months get theirs."""
    await pool.execute("DROP TABLE timeline_" + datetime.now(UTC).strftime("%Y_%m"))
    await publish_shipped(pool)
    await decide(pool, [report()])
    await pool.execute("SELECT make_partitions(6)")
    assert not await pool.fetchval("SELECT make_partitions(6)")
    assert not await wrong(pool)
