"""A drill started and controlled over HTTP, in a process of its own, on the exercise's services that run already."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from uuid_utils.compat import uuid7

from schemas.vocabulary import Namespace, Role
from services.cli.drill_scheduled import ChildDrills
from services.cli.processes import ATTACH, make_runtime
from services.drills.control import follow_pauses, pausable
from services.drills.http import add_drills
from services.platform.postgres import Pool
from services.platform.runtime import Runtime
from tests.e2e.test_drill import AT_MOST, REPOSITORY
from tests.e2e.test_drill_control import DRILL
from tests.services.console_world import Door, api, client_for, person
from tests.services.support import publish_shipped, settings, until

SPEED = 30
PLAN = "gas-explosion"

pytestmark = pytest.mark.long


@asynccontextmanager
async def exercise(pool: Pool, database: str, broker: str, folder: Path) -> AsyncIterator[tuple[Runtime, Any]]:
    """The exercise's services as ``muster up`` runs them, and a planner's client of its API."""
    playbooks = folder / "playbooks"
    shutil.copytree(REPOSITORY / "playbooks", playbooks)
    scenario = DRILL.replace("    mode: real\n    stand_in: true\n", "")
    (playbooks / "drills" / "short-leak.yaml").write_text(scenario, encoding="utf-8")
    await publish_shipped(pool)
    runtime = await make_runtime(pausable(settings(database, broker, Namespace.EXERCISE)), "up", tuple(ATTACH))
    follow_pauses(runtime)
    children = ChildDrills(runtime, folder / "data", playbooks)
    app = api(Door(person("Wang Li", Role.PLANNER)))
    add_drills(app, runtime.pool, runtime.playbook, playbooks, launcher=children)
    async with runtime:
        serving = asyncio.create_task(children.serving())
        try:
            async with client_for(app, "Wang Li") as client:
                yield runtime, client
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


async def ask(client: httpx.AsyncClient, url: str, action: str, **more: str) -> httpx.Response:
    return await client.post(f"{url}/controls", json={"action": action, **more})


async def test_a_planner_runs_a_drill_from_start_to_report(
    pool: Pool, database: str, broker: str, tmp_path: Path
) -> None:
    async with exercise(pool, database, broker, tmp_path) as (runtime, client):
        began = await client.post("/v1/drills", json={"scenario": "short-leak", "speed": SPEED, "hold": True})
        assert began.status_code == 202, began.text
        url = f"/v1/drills/{began.json()['id']}"

        async def show() -> dict[str, Any]:
            found: dict[str, Any] = (await client.get(url)).json()
            assert found["state"] != "not_started", found["outcome"]
            return found

        async def is_held() -> bool:
            return bool((await show())["state"] == "held")

        async def somebody_has_committed() -> bool:
            return any(each["committed"] or each["started"] for each in (await show())["departments"])

        async def is_over() -> bool:
            return bool((await show())["state"] == "over")

        await until(is_held, AT_MOST)
        assert (await ask(client, url, "start")).status_code == 200
        await until(somebody_has_committed, AT_MOST)

        assert (await ask(client, url, "pause", reason="a real call")).status_code == 200
        await asyncio.sleep(0.3)
        still, here = (await show())["clock"], runtime.clock.now()
        assert still["paused"] is True
        await asyncio.sleep(2)  # a minute of the scenario, were it running
        assert (await show())["clock"]["now"] == still["now"]
        assert runtime.clock.now() == here, "the services that run already stand still with it"
        assert abs(datetime.fromisoformat(still["now"]) - here) < timedelta(seconds=1)
        assert (await ask(client, url, "resume")).status_code == 200
        assert (await ask(client, url, "resume")).status_code == 409

        await pool.execute(
            "INSERT INTO inbox (event_id, incident_id, status, type, outcome, reason, topic, partition, position,"
            " decided_at) VALUES ($1, $2, 'Actual', 'muster.incident', 'activated', '', 't', 0, 0, now())",
            uuid7(),
            uuid7(),
        )
        assert (await ask(client, url, "inject", inject="caller")).status_code == 200
        injects = {each["id"]: each for each in (await show())["injects"]}
        assert injects["caller"]["released_by"] == "Wang Li"
        assert injects["smell"]["expected"] == "met"
        assert (await ask(client, url, "stop", reason="enough seen")).status_code == 200
        await until(is_over, AT_MOST)

        async def process_is_gone() -> bool:
            return (await show())["outcome"] is not None

        await until(process_is_gone, AT_MOST)
        shown = await show()
        assert (shown["ending"], shown["by"], shown["real_incidents"]) == ("stopped", "Wang Li", 1)
        assert shown["speed"] == SPEED
        assert await pool.fetchval("SELECT count(*) FROM incidents WHERE phase <> 'closed'") == 0
        assert abs(runtime.clock.now() - datetime.now(UTC)) < timedelta(seconds=1), "the wall's time again"
        report = (await client.get(f"{url}/report")).json()
        assert report["departments"], "somebody had orders"
        page = await client.get(f"{url}/report.html")
        assert "1 real incident came in meanwhile" in page.text
    outbox = await pool.fetchval("SELECT count(*) FROM publication")
    assert outbox == 1, "the drill was played with the plans in force, and published none"
