"""What a drill does by itself: it kills a service and brings it back, and it starts at its scheduled time."""

import asyncio
import json
import subprocess
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from schemas.vocabulary import Namespace
from services.cli.drill_scheduled import watching_schedules
from services.cli.processes import ATTACH, make_runtime
from services.drills.schedule import Schedule, add_schedule, list_schedules
from services.platform.embedded.postgres import EmbeddedPostgres
from services.platform.postgres import Pool
from tests.e2e.test_drill import AT_MOST, COMMAND, REPOSITORY, clean_environment
from tests.e2e.test_drill_control import DRILL
from tests.services.support import publish_shipped, settings, until

PLAIN = DRILL[: DRILL.index("  - id: caller")].replace("    mode: real\n    stand_in: true\n", "    silent: true\n")
LOSS = (
    PLAIN.replace("speed: 20", "speed: 10").replace("duration: 40m", "duration: 5m")
    + """\
  - id: dispatch-lost
    at: 20s
    kind: service_loss
    service: dispatch
    lasts: 20s
    title: {en: Dispatch is killed, zh: 终止调度}
    expectation: {en: Work goes on, zh: 工作照常}
  - id: it-explodes
    at: 30s
    kind: update
    of: smell
    title: {en: It explodes, zh: 爆炸}
    expectation: {en: The level rises once, zh: 级别提升一次}
    met_when: levels["gas-explosion"] == "II" && since["dispatch-lost"] > 20
    report:
      headline: {en: Gas explosion, zh: 燃气爆炸}
      severity: Severe
      urgency: Immediate
      certainty: Observed
      parameters: {trapped: "5"}
"""
)

pytestmark = pytest.mark.long


async def test_a_service_that_is_killed_comes_back_and_nothing_is_lost_or_done_twice(tmp_path: Path) -> None:
    file, data = tmp_path / "short-leak.yaml", tmp_path / "data"
    file.write_text(LOSS, encoding="utf-8")
    done = await asyncio.to_thread(
        subprocess.run,
        [*COMMAND, "run", str(file), "--json", "--data-dir", str(data)],
        cwd=REPOSITORY,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=AT_MOST,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    server = EmbeddedPostgres(data / "postgres")
    connection = await asyncpg.connect(await server.start())
    try:
        injects = {row["inject"]: row for row in await connection.fetch("SELECT * FROM drill_injects")}
        decided = await connection.fetchval(
            "SELECT decided_at FROM inbox WHERE event_id = $1", injects["it-explodes"]["event_id"]
        )
        orders = await connection.fetch("SELECT task, department FROM assignments")
        changes = await connection.fetchval("SELECT count(*) FROM timeline WHERE entry = 'level_changed'")
    finally:
        await connection.close()
        await server.stop()
    back_at = datetime.fromisoformat(json.loads(injects["dispatch-lost"]["detail"])["back_at"])
    assert back_at - injects["dispatch-lost"]["played_at"] >= timedelta(seconds=20)
    assert decided >= back_at, "nobody else could have decided it"
    assert injects["it-explodes"]["rating"] == "met"
    assert changes == 1
    assert max(Counter((row["task"], row["department"]) for row in orders).values()) == 1
    assert "prop-structure" in {row["task"] for row in orders}


async def test_a_scheduled_drill_starts_by_itself_beside_the_services_that_run(
    pool: Pool, database: str, broker: str, tmp_path: Path
) -> None:
    file = tmp_path / "short-leak.yaml"
    short = PLAIN.replace("duration: 40m", "duration: 8s").replace("    within: 2m\n", "")
    file.write_text(short, encoding="utf-8")
    await publish_shipped(pool)
    runtime = await make_runtime(settings(database, broker, Namespace.EXERCISE), "up", tuple(ATTACH))
    now = datetime.now(UTC)

    async def how_it_went() -> str | None:
        outcome = (await list_schedules(pool))[0].last_outcome
        return outcome if outcome != "under way" else None

    await add_schedule(pool, Schedule("now", "short-leak", file, 7, now.time(), "UTC", now, seed=3), "li")
    async with runtime:
        work = watching_schedules(runtime, tmp_path / "data", REPOSITORY / "playbooks")
        watch: asyncio.Task[None] = asyncio.ensure_future(work())
        try:
            outcome = await until(how_it_went, AT_MOST)
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
    row = await pool.fetchrow("SELECT * FROM drills")
    assert row is not None, outcome
    assert outcome == f"time_over; drill {row['id']}"
    assert (row["drill"], row["seed"], row["speed"]) == ("short-leak", 3, 1.0)
    (kept,) = await list_schedules(pool)
    assert now + timedelta(days=6) < kept.next_at < now + timedelta(days=8)
    assert await pool.fetchval("SELECT count(*) FROM incidents WHERE phase <> 'closed'") == 0
