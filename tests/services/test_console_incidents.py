"""One incident over HTTP: its reports byte for byte, its timeline, its curves, the plans it obeys, and who may read."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from uuid_utils.compat import uuid7

from schemas import command as order
from schemas.acknowledgement import Acknowledgement
from schemas.command import Command
from schemas.envelope import ACKNOWLEDGEMENT, COMMAND
from schemas.topics import INCIDENTS, topic_name
from schemas.vocabulary import Answer, AssignmentState, MessageType, Namespace, Role, Severity, Status
from services.console.curves import POINTS_AT_MOST, curves_of
from services.console.incidents import add_incidents_api
from services.domain.decision import Answered, Commanded, Decision, Outcome
from services.domain.incident import Assignment
from services.platform.acceptance import Acceptance, Request
from services.platform.cursor import write_cursor
from services.platform.decider import Incoming
from services.platform.kafka import Origin
from services.platform.postgres import Pool
from tests.services.console_world import NOBODY, Door, HandWorld, api, client_for, person
from tests.services.support import answer, publish_shipped, report

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
CALLERS = (
    person("Duty officer Chen", Role.DUTY_OFFICER),
    person("Auditor Sun", Role.AUDITOR),
    person("Officer Wang", Role.DEPARTMENT, departments=["police"]),
    person("Ranger Hu", Role.DEPARTMENT, departments=["forestry"]),
)
OFFICER = "Duty officer Chen"


class World(HandWorld):
    """A world in which officers decide and departments answer by hand too."""

    async def command(self, kind: Any, incident_id: UUID, **more: Any) -> tuple[UUID, Decision]:
        told = {"incident_id": incident_id, "status": Status.ACTUAL, "by": OFFICER, "reason": "so decided"}
        command: Command = kind(**told | {"decided_at": self.clock.now()} | more)
        id_ = uuid7()
        return id_, await self._decide(Incoming(Commanded(id_, command), COMMAND, Origin("test", 0, 0, None)))

    async def hear(self, row: asyncpg.Record, kind: Answer, **more: Any) -> Decision:
        said: Acknowledgement = answer(row, kind, **{"answered_at": self.clock.now(), "reason": "no crew", **more})
        return await self._decide(Incoming(Answered(uuid7(), said), ACKNOWLEDGEMENT, Origin("test", 0, 0, None)))


class Console:
    """The application over a world, with a client for each person, and one incident under way."""

    def __init__(self, world: World, orders: list[asyncpg.Record]) -> None:
        self.world, self.orders = world, orders
        self.id: UUID = orders[0]["incident_id"]
        app = api(Door(*CALLERS))
        add_incidents_api(app, world)
        self.clients = {name: client_for(app, name) for name in (*(caller.name for caller in CALLERS), NOBODY)}

    async def get(self, path: str, who: str = OFFICER, **query: Any) -> httpx.Response:
        return await self.clients[who].get(f"/v1/incidents/{self.id}{path}", params=query)

    async def json(self, path: str, **query: Any) -> Any:
        found = await self.get(path, **query)
        assert found.status_code == 200, found.text
        return found.json()


@pytest.fixture
async def console(pool: Pool) -> AsyncIterator[Console]:
    await publish_shipped(pool)
    world = World(pool)
    console = Console(world, await world.report(report(reported_at=world.clock.now())))
    yield console
    for client in console.clients.values():
        await client.aclose()


# The timeline


async def test_the_timeline_comes_newest_first_page_by_page(console: Console) -> None:
    """Also where another service's clock was behind: what was decided later is shown later."""
    await console.world.wait(3 * MINUTE)
    console.world.clock.time -= 10 * MINUTE
    await console.world.command(order.Inform, console.id, reason="Stay upwind of it")
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page = await console.json("/timeline", limit=7, **({"cursor": cursor} if cursor else {}))
        found += page["items"]
        if (cursor := page["next"]) is None:
            break
        assert len(page["items"]) == 7
    recorded = await console.world.pool.fetch("SELECT entry_id FROM timeline ORDER BY seq DESC")
    assert [each["entry_id"] for each in found] == [str(row[0]) for row in recorded]


async def test_the_timeline_is_narrowed_by_kind_department_text_attention_and_moment(console: Console) -> None:
    then = console.world.clock.now()
    await console.world.wait(20 * SECOND)
    await console.world.command(order.Inform, console.id, reason="Stay upwind of 50 % of it")
    await console.world.command(order.Activate, console.id, plan="no-such-plan")

    async def kinds(**query: Any) -> list[str]:
        return [each["entry"] for each in (await console.json("/timeline", **query))["items"]]

    assert await kinds(entry=["departments_informed", "command_refused"]) == ["command_refused", "departments_informed"]
    police = await kinds(department="police")
    assert police[0] == "departments_informed"
    assert set(police[1:]) == {"assignment_issued"}
    assert await kinds(q="UPWIND of 50 %") == ["departments_informed"]
    assert await kinds(q="no-such-plan") == ["command_refused"]
    assert await kinds(attention=True) == ["command_refused"]
    assert set(await kinds(as_of=then.isoformat())) == {
        "incident_reported",
        "plan_matched",
        "plan_activated",
        "assignment_issued",
    }
    assert await kinds(q="nowhere to be found") == []


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "gibberish"},
        {"cursor": write_cursor(str(1 << 63))},
        {"entry": "party"},
        {"limit": 0},
        {"q": "\0"},
        {"as_of": "2026-06-01T08:00:00"},
    ],
)
async def test_a_timeline_that_cannot_be_asked_for_is_refused(console: Console, query: dict[str, Any]) -> None:
    assert (await console.get("/timeline", **query)).status_code == 422


async def test_the_timeline_is_exported_as_a_table_that_no_spreadsheet_runs(console: Console) -> None:
    await console.world.command(order.Inform, console.id, reason="=1+1, urgently")
    found = await console.get("/timeline.csv")
    assert found.headers["content-type"] == "text/csv; charset=utf-8"
    assert found.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(found.content.decode("utf-8-sig"))))
    assert len(rows) == await console.world.pool.fetchval("SELECT count(*) FROM timeline")
    assert rows[0]["reason"] == "'=1+1, urgently"
    assert rows[0]["by"] == OFFICER
    narrowed = await console.get("/timeline.csv", entry="departments_informed")
    assert len(narrowed.content.splitlines()) == 2


# Reports


async def test_an_alert_is_given_back_byte_for_byte(console: Console) -> None:
    """One that came over HTTP as it was sent, one that a feeder put on the broker as the message that was decided."""
    world = console.world
    acceptance = Acceptance(world.pool, world.outbox, world.clock, world.namespace, "test")
    body = '<?xml version="1.0"?>\n<alert>氯气 &amp; smoke</alert>\n'.encode()
    told = report(incident_id=console.id, message_type=MessageType.UPDATE, reported_by="met office")
    topic = topic_name(INCIDENTS, Namespace.ACTUAL)
    world.clock.time += SECOND
    taken = await acceptance.take(told, topic, Request("http:/v1/cap", None, "application/cap+xml", body))
    await acceptance.drain()
    listed = (await console.json("/reports"))["items"]
    assert [(each["format"], each["outcome"], each["message_type"]) for each in listed] == [
        ("message", "activated", "Alert"),
        ("cap", None, "Update"),
    ]
    assert (listed[1]["reported_by"], listed[1]["size"]) == ("met office", len(body))
    view = await console.json(f"/reports/{taken.event_id}")
    assert view["text"] == body.decode()
    original = await console.get(f"/reports/{taken.event_id}/original")
    assert original.content == body
    assert original.headers["content-type"] == "application/cap+xml"
    assert original.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in original.headers["content-security-policy"]
    first = await console.json("/reports", limit=1)
    assert first["items"] == listed[:1]
    assert (await console.json("/reports", cursor=first["next"]))["items"] == listed[1:]
    message = await console.json(f"/reports/{listed[0]['event_id']}")
    assert '"event":"Chemical release"' in message["text"]


async def test_commands_are_no_reports(console: Console) -> None:
    event, _ = await console.world.command(order.Inform, console.id)
    assert (await console.get(f"/reports/{event}")).status_code == 404
    assert len((await console.json("/reports"))["items"]) == 1


# Decisions


async def test_what_came_of_a_command_is_told_once_it_is_decided(console: Console) -> None:
    done, decision = await console.world.command(order.ChangeLevel, console.id, level="I")
    refused, _ = await console.world.command(order.ChangeLevel, console.id, level="I")
    told = await console.json(f"/decisions/{done}")
    assert (told["outcome"], told["reason"]) == (decision.outcome, decision.reason)
    assert (await console.json(f"/decisions/{refused}"))["outcome"] == Outcome.REFUSED
    waiting = await console.get(f"/decisions/{uuid7()}")
    assert (waiting.status_code, waiting.json()["type"]) == (404, "urn:muster:problem:not-decided")


# Plans


async def test_the_plans_are_told_as_the_incident_obeys_them(console: Console) -> None:
    await console.world.command(
        order.AddTask, console.id, departments=("police",), title="Feed them", done_when="All have eaten", complete="1h"
    )
    [plan] = (await console.json("/plans"))["items"]
    assert (plan["plan"], plan["state"]) == ("hazardous-chemical-release", "activated")
    assert [level["id"] for level in plan["levels"]] == ["I", "II", "III", "IV"]
    by_id = {task["id"]: task for task in plan["tasks"]}
    added = by_id["added-1"]
    assert (added["added"], added["candidates"], added["complete"], added["levels"]) == (True, ["police"], "1h", None)
    assert by_id["isolate"]["role_title"]["zh"]
    assert not by_id["isolate"]["added"]
    assert any(task["statutory"] for task in plan["tasks"])
    found = await console.get("/plans")
    tag = {"If-None-Match": found.headers["etag"]}
    again = await console.clients[OFFICER].get(f"/v1/incidents/{console.id}/plans", headers=tag)
    assert again.status_code == 304


# Curves


async def test_the_curves_follow_what_departments_say(console: Console) -> None:
    first, second, third, *_ = console.orders
    for row, kind in (
        (first, Answer.DELIVER),
        (first, Answer.COMMIT),
        (second, Answer.COMPLETE),
        (third, Answer.DECLINE),
    ):
        console.world.clock.time += SECOND
        await console.world.hear(row, kind)
    before = len(console.orders)
    points = (await console.json("/curves"))["points"]
    assert points[0]["issued"] == before
    last = points[-1]
    replaced = await console.world.pool.fetchval("SELECT count(*) FROM assignments") - before
    assert last["issued"] == before + replaced - 1
    assert [last[name] for name in ("received", "acknowledged", "committed", "started", "completed")] == [2, 2, 2, 1, 1]
    earlier = (await console.json("/curves", as_of=points[1]["at"]))["points"][-1]
    assert (earlier["received"], earlier["committed"]) == (1, 0)


START = datetime(2026, 6, 1, 8, tzinfo=UTC)


def given(**times: Any) -> Assignment:
    state = times.pop("state", AssignmentState.ISSUED)
    at = {name: START + seconds * SECOND for name, seconds in times.items()}
    return Assignment(uuid4(), uuid4(), "task", "role", "police", START, state=state, **at)


def counts(*assignments: Assignment) -> list[tuple[int, int, int, int]]:
    points = curves_of(assignments, START + 100 * SECOND).points
    return [(round((p.at - START).total_seconds()), p.issued, p.committed, p.completed) for p in points]


def test_a_later_step_shows_the_earlier_ones_and_a_wrong_clock_does_no_harm() -> None:
    assert counts(given(completed_at=30)) == [(0, 1, 0, 0), (30, 1, 1, 1), (100, 1, 1, 1)]
    assert counts(given(committed_at=-50)) == [(0, 1, 1, 0), (100, 1, 1, 0)]
    assert counts(given(committed_at=500)) == [(0, 1, 0, 0), (100, 1, 1, 0)]


def test_what_somebody_else_stands_for_leaves_the_count_and_what_nobody_did_stays() -> None:
    assert counts(given(ended_at=20, state=AssignmentState.DECLINED)) == [(0, 1, 0, 0), (20, 0, 0, 0), (100, 0, 0, 0)]
    left = given(committed_at=10, ended_at=20, state=AssignmentState.SUPERSEDED)
    assert counts(left) == [(0, 1, 0, 0), (10, 1, 1, 0), (20, 0, 0, 0), (100, 0, 0, 0)]
    for state in (AssignmentState.EXPIRED, AssignmentState.FAILED):
        assert counts(given(ended_at=20, state=state))[-1] == (100, 1, 0, 0)


def test_a_long_curve_is_thinned_out_and_keeps_its_ends() -> None:
    points = curves_of([given(committed_at=second) for second in range(1, 2_000)], START + 3_000 * SECOND).points
    assert len(points) == POINTS_AT_MOST
    assert (points[0].committed, points[-1].committed, points[-1].issued) == (0, 1_999, 1_999)
    assert [point.at for point in points] == sorted(point.at for point in points)


def test_without_an_order_there_is_no_curve() -> None:
    assert counts() == []


# Who may read


UNKNOWN = "0192a3b4-c5d6-7e8f-9012-3456789abcde"
PATHS = ("/timeline", "/timeline.csv", "/reports", "/curves", "/plans")


@pytest.mark.parametrize("path", PATHS)
async def test_staff_and_those_concerned_read_and_nobody_else(console: Console, path: str) -> None:
    answers = {who: (await console.get(path, who=who)).status_code for who in console.clients}
    assert answers == {
        "Duty officer Chen": 200,
        "Auditor Sun": 200,
        "Officer Wang": 200,
        "Ranger Hu": 404,
        NOBODY: 401,
    }


@pytest.mark.parametrize("path", [*PATHS, f"/reports/{UNKNOWN}", f"/decisions/{UNKNOWN}"])
async def test_an_unknown_incident_is_not_found(console: Console, path: str) -> None:
    console.id = uuid7()
    assert (await console.get(path)).status_code == 404


async def test_an_incident_of_the_other_world_is_not_found(pool: Pool) -> None:
    await publish_shipped(pool)
    world = World(pool)
    orders = await world.report(report(severity=Severity.SEVERE))
    world.namespace = Namespace.EXERCISE
    console = Console(world, orders)
    for path in PATHS:
        assert (await console.get(path)).status_code == 404
    for client in console.clients.values():
        await client.aclose()


async def test_a_past_moment_in_which_nothing_was_known_is_not_found(console: Console) -> None:
    early = (console.world.clock.now() - timedelta(days=1)).isoformat()
    assert (await console.get("/curves", as_of=early)).status_code == 404
    assert (await console.get("/plans", as_of=early)).status_code == 404
