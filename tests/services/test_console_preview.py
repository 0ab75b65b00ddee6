"""The preview of a report: it says what the planner's own command says, and leaves nothing behind."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from schemas.vocabulary import Namespace, Role
from services.cli.plan import app as plan_command
from services.console.preview import add_preview
from services.intake.cap import parse_cap
from services.platform.postgres import Pool
from tests.contract.test_cap import ALERT
from tests.services.console_world import Door, HandWorld, api, client_for, person
from tests.services.support import PLAYBOOKS, publish_shipped

REPORT = {
    "status": "Exercise",
    "message_type": "Alert",
    "categories": ["CBRNE"],
    "event": "Chemical release",
    "severity": "Severe",
    "urgency": "Immediate",
    "certainty": "Observed",
    "headline": "Chlorine leak at the water works",
    "areas": [{"description": "Riverside"}],
    "parameters": {"quantity_t": 2},
    "reported_by": "control room",
}
CALLERS = (
    person("officer", Role.DUTY_OFFICER),
    person("planner", Role.PLANNER),
    person("auditor", Role.AUDITOR),
    person("police", Role.DEPARTMENT, departments=["police"]),
)


class Previews:
    """The application, and a client for each person."""

    def __init__(self, pool: Pool) -> None:
        app = api(Door(*CALLERS))
        add_preview(app, HandWorld(pool, Namespace.EXERCISE), parse_cap)
        self.clients = {caller.name: client_for(app, caller.name) for caller in CALLERS}

    async def ask(self, who: str = "officer", **given: Any) -> httpx.Response:
        return await self.clients[who].post("/v1/incidents/preview", json=REPORT | given)

    async def cap(self, text: str) -> httpx.Response:
        headers = {"Content-Type": "application/cap+xml"}
        return await self.clients["officer"].post("/v1/incidents/preview", content=text.encode(), headers=headers)


@pytest.fixture
async def previews(pool: Pool) -> AsyncIterator[Previews]:
    await publish_shipped(pool)
    previews = Previews(pool)
    yield previews
    for client in previews.clients.values():
        await client.aclose()


async def test_a_preview_says_what_plan_explain_says_and_stores_nothing(
    previews: Previews, pool: Pool, tmp_path: Path
) -> None:
    file = tmp_path / "report.json"
    file.write_text(json.dumps(REPORT))
    command = ["explain", "--incident", str(file), "--playbooks", str(PLAYBOOKS), "--json"]
    said = CliRunner().invoke(plan_command, command)
    assert said.exit_code == 0, said.output
    found = await previews.ask()
    assert found.status_code == 200, found.text
    preview = found.json()
    assert preview["plans"] == json.loads(said.stdout)["plans"]
    answering = [plan for plan in preview["plans"] if plan["state"]]
    assert (answering[0]["plan"], answering[0]["level"]) == ("hazardous-chemical-release", "II")
    cordon = next(told for told in answering[0]["told"] if told["task"] == "isolate")
    assert (cordon["department"], cordon["answer_within"]) == ("police", "1m")
    assert preview["departments"]["police"] == {"en": "Public Security Bureau", "zh": "市公安局"}
    assert preview["asks"][:2] == ["deaths", "quantity_t"]
    for table in ("reports", "incidents", "outbox", "timeline", "dead_letters"):
        assert await pool.fetchval(f"SELECT count(*) FROM {table}") == 0  # noqa: S608 - the test's own words


async def test_an_alert_has_a_preview_too(previews: Previews) -> None:
    found = await previews.cap(ALERT.replace("<status>Actual<", "<status>Exercise<"))
    assert found.status_code == 200, found.text
    assert found.json()["incident"]["alert"]["sender"]
    broken = await previews.cap("<alert>")
    assert broken.status_code == 422
    assert "line 1" in broken.json()["detail"]


@pytest.mark.parametrize(("who", "status"), [("officer", 200), ("planner", 200), ("auditor", 403), ("police", 403)])
async def test_officers_and_planners_may_look(previews: Previews, who: str, status: int) -> None:
    assert (await previews.ask(who)).status_code == status


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"status": "Actual"}, "status"),
        ({"status": "Draft"}, "status"),
        ({"message_type": "Cancel", "incident_id": "0198c0de-0000-7000-8000-000000000000"}, "message_type"),
        ({"severity": "Awful"}, "severity"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_what_could_not_be_reported_has_no_preview(previews: Previews, given: dict[str, Any], part: str) -> None:
    found = await previews.ask(**given)
    assert found.status_code == 422, found.text
    assert part in found.json()["detail"]
