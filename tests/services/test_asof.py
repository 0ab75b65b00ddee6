"""An incident as it was known at a moment is what a person saw who looked then."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from typer.testing import CliRunner
from uuid_utils.compat import uuid7

from schemas import command as order
from schemas.acknowledgement import NEEDS_REASON, Acknowledgement
from schemas.envelope import ACKNOWLEDGEMENT, COMMAND, INCIDENT
from schemas.incident import IncidentReport
from schemas.timeline import Entry
from schemas.vocabulary import ActivationState, Answer, MessageType, Namespace, Severity, Status
from services.cli.incident import app as incident_app
from services.domain.decision import Answered, Commanded, Decision, Reported
from services.domain.incident import Assignment, Incident, Phase
from services.intake.accept import Intake
from services.intake.http import make_app
from services.platform.asof import load_as_of
from services.platform.decider import Decider, Incoming
from services.platform.kafka import Origin
from services.platform.postgres import Pool
from services.platform.published import PublishedPlaybook
from services.platform.records import load
from services.playbooks.stored import directory_from, plan_from
from tests.services.support import NotedAccess, publish_shipped, report

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
OFFICER = "Li Wei, duty officer"


class HandClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC)

    def now(self) -> datetime:
        return self.time

    def at(self, wall: datetime) -> datetime:
        return wall

    def seconds_until(self, moment: datetime) -> float:
        return (moment - self.time).total_seconds()


class Played:
    """An incident played through the real decider into the real record, by a clock set by hand."""

    def __init__(self, pool: Pool, status: Status = Status.ACTUAL, **given: Any) -> None:
        namespace = Namespace.of(status) or Namespace.ACTUAL
        self.pool, self.clock = pool, HandClock()
        self.status = status
        playbook = PublishedPlaybook(pool, plan_from, directory_from)
        self.decider = Decider(pool, playbook, self.clock, namespace, "test")
        self.first = report(status=status, reported_at=self.clock.now(), **given)
        self.id = self.first.incident_id

    async def begin(self) -> Decision:
        return await self._decide(Reported(uuid7(), self.first), INCIDENT)

    async def _decide(self, event: Reported | Commanded | Answered, kind: str) -> Decision:
        await self.wait(timedelta(milliseconds=1))  # no two decisions share an instant
        settled = await self.decider.decide([Incoming(event, kind, Origin("test", 0, 0, None))])
        return settled.decisions[0]

    async def say(self, message_type: MessageType = MessageType.UPDATE, **given: Any) -> Decision:
        values = {**dict(self.first), "message_type": message_type, "reported_at": self.clock.now(), **given}
        return await self._decide(Reported(uuid7(), IncidentReport(**values)), INCIDENT)

    async def command(self, kind: type[order.CommandBase], reason: str = "so decided", **more: Any) -> Decision:
        values = {"incident_id": self.id, "status": self.status, "by": OFFICER, "reason": reason}
        command = kind(**values, decided_at=self.clock.now(), **more)
        return await self._decide(Commanded(uuid7(), command), COMMAND)  # type: ignore[arg-type]

    async def answer(self, assignment: Assignment, kind: Answer, **more: Any) -> Decision:
        values: dict[str, Any] = {
            "assignment_id": assignment.id,
            "incident_id": self.id,
            "status": self.status,
            "department": assignment.department,
            "answer": kind,
            "answered_at": self.clock.now(),
            "read_back": "understood",
            "by": f"crew of {assignment.department}",
        }
        if kind in NEEDS_REASON:
            values["reason"] = f"why {kind.value}"
        return await self._decide(Answered(uuid7(), Acknowledgement(**values | more)), ACKNOWLEDGEMENT)

    async def wait(self, span: timedelta) -> None:
        """Let time pass, doing what falls due when it falls due."""
        end = self.clock.time + span
        while True:
            due = await self.pool.fetchval(
                "SELECT least((SELECT min(next_due_at) FROM assignments WHERE incident_id = $1),"
                " (SELECT min(next_due_at) FROM activations WHERE incident_id = $1))",
                self.id,
            )
            if due is None or due > end:
                break
            self.clock.time = max(due, self.clock.time)
            await self.decider.pass_time(10)
        self.clock.time = max(end, self.clock.time)

    async def state(self) -> Incident:
        async with self.pool.acquire() as connection:
            return (await load(connection, [self.id]))[self.id]

    async def of_task(self, task: str, department: str) -> Assignment:
        """The latest assignment of a task to a department."""
        found = [a for a in (await self.state()).assignments.values() if (a.task, a.department) == (task, department)]
        return found[-1]


def comparable(incident: Incident) -> Incident:
    """Leave out when something next falls due: that is not told of the past."""
    return replace(
        incident,
        activations={key: replace(each, next_due_at=None) for key, each in incident.activations.items()},
        assignments={key: replace(each, next_due_at=None) for key, each in incident.assignments.items()},
    )


async def known_at(pool: Pool, incident_id: UUID, at: datetime) -> Incident | None:
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        known = await load_as_of(connection, incident_id, at)
        return known.incident if known else None


async def something(played: Played, chance: random.Random) -> None:
    """Do one thing that people do, sensible or not."""
    incident = await played.state()
    open_ones = [a for a in incident.assignments.values() if a.state.is_open]
    roll = chance.random()
    if roll < 0.2:
        await played.wait(chance.choice((20 * SECOND, 2 * MINUTE, 12 * MINUTE)))
    elif roll < 0.8 and incident.assignments:
        every = open_ones if open_ones and chance.random() < 0.9 else list(incident.assignments.values())
        chosen, kind = chance.choice(every), chance.choice(list(Answer))
        to = {"delegate_to": chance.choice(("police", "fire"))} if kind is Answer.DELEGATE else {}
        silent = {"read_back": None} if chance.random() < 0.2 else {}
        late = {"answered_at": played.clock.time - chance.choice((SECOND, MINUTE))}
        await played.answer(chosen, kind, **to, **silent, **late)
    elif roll < 0.86:
        news = MessageType.CANCEL if chance.random() < 0.25 else MessageType.UPDATE
        await played.say(news, severity=chance.choice(list(Severity)), headline=f"news {chance.random()}")
    else:
        await decide_something(played, chance, incident)


async def decide_something(played: Played, chance: random.Random, incident: Incident) -> None:
    obstacles = [each for each in incident.obstacles.values() if each.resolved_at is None]
    open_ones = [a for a in incident.assignments.values() if a.state.is_open]
    kind = chance.choice(GIVING + STEERING)
    more: dict[str, Any] = {}
    if kind in {order.TakeObstacle, order.ResolveObstacle}:
        more = {"obstacle_id": chance.choice(obstacles).id if obstacles else uuid7()}
    elif kind in {order.Remind, order.Reassign}:
        more = {"assignment_id": chance.choice(open_ones).id if open_ones else uuid7()}
        if kind is order.Reassign:
            more["department"] = chance.choice(("police", "fire"))
    elif kind is order.ChangeLevel:
        more = {"level": chance.choice(("I", "II", "III", "IV"))}
    elif kind is order.Activate:
        more = {"plan": chance.choice(("power-outage", "hazardous-chemical-release")), "level": "II"}
    elif kind is order.AddTask:
        in_force = [each.plan for each in incident.activations.values() if each.in_force]
        more = {"departments": ("police", "fire-rescue"), "title": "Pump", "done_when": "It is dry", "complete": "10m"}
        more["plan"] = chance.choice(in_force or ["power-outage"])
    await played.command(kind, **more)


GIVING: tuple[type[order.CommandBase], ...] = (
    order.TakeObstacle,
    order.ResolveObstacle,
    order.Remind,
    order.Reassign,
    order.AddTask,
    order.Inform,
)
STEERING: tuple[type[order.CommandBase], ...] = (
    order.ChangeLevel,
    order.Activate,
    order.StandDown,
    order.Close,
)


async def walk(pool: Pool, seed: int) -> None:
    """Play one incident at random to its end and hold every past moment against what was seen then."""
    played, chance = Played(pool), random.Random(seed)
    await played.begin()
    seen: list[tuple[datetime, Incident]] = []
    for step in range(64):
        seen.append((played.clock.time, comparable(await played.state())))
        played.clock.time += chance.choice((SECOND, 7 * SECOND))
        if step < 60:
            await something(played, chance)
        else:
            await played.command(order.Close)
    seen.append((played.clock.time, comparable(await played.state())))
    for at, incident in seen:
        known = await known_at(pool, played.id, at)
        assert known == incident, f"seed {seed} at {at}: {difference(known, incident)}"


async def test_what_was_known_then_is_what_a_look_then_showed(pool: Pool) -> None:
    """However an incident goes, the past can be told field by field, but for when something next fell due.

    The walks are worth something: between them they meet nearly everything that a timeline can tell.
    """
    await publish_shipped(pool)
    for seed in range(6):
        await walk(pool, seed)
    met = {row[0] for row in await pool.fetch("SELECT DISTINCT entry FROM timeline")}
    unmet = {entry.value for entry in Entry} - met
    assert unmet <= {"incident_joined", "no_plan_matched", "late_report_noted"} | SELDOM, unmet


SELDOM = {"confirmation_overdue", "plan_on_standby"}


def difference(known: Incident | None, incident: Incident) -> str:
    if known is None:
        return "it was not known"
    names = ("phase", "cancelled", "joined_to", "closed_at", "report", "reported_at")
    pairs = [(name, getattr(known, name), getattr(incident, name)) for name in names]
    found = [f"{name}: {told} instead of {seen}" for name, told, seen in pairs if told != seen]
    for table in ("activations", "assignments", "obstacles"):
        told, seen = getattr(known, table), getattr(incident, table)
        found += [f"{table}: {key} only in one" for key in {*told} ^ {*seen}]
        found += [
            f"{table}:\n  {told[key]}\ninstead of\n  {seen[key]}" for key in {*told} & {*seen} if told[key] != seen[key]
        ]
    return "\n".join(found)


async def test_a_plan_that_stood_by_or_waited_for_a_word_is_told_so(pool: Pool) -> None:
    """Standby, an overdue confirmation and the officer's decision are told as they were at each moment."""
    await publish_shipped(pool)
    played = Played(pool, categories=("Met",), event="Typhoon", severity=Severity.EXTREME)
    await played.begin()
    seen = [(played.clock.time, await played.state())]
    await played.wait(6 * MINUTE)
    await played.command(order.Activate, plan="city-comprehensive", level="I")
    seen.append((played.clock.time, await played.state()))
    for at, incident in seen:
        assert await known_at(pool, played.id, at) == comparable(incident)
    first = {each.plan: each.state for each in seen[0][1].activations.values()}
    assert first == {"severe-storm": ActivationState.WARNING, "city-comprehensive": ActivationState.MONITORING}
    met = {row[0] for row in await pool.fetch("SELECT DISTINCT entry FROM timeline")}
    assert met >= SELDOM


async def test_before_it_was_reported_nothing_was_known_and_a_naive_time_is_refused(pool: Pool) -> None:
    await publish_shipped(pool)
    played = Played(pool)
    before = played.clock.time - SECOND
    await played.begin()
    assert await known_at(pool, played.id, before) is None
    assert await known_at(pool, uuid7(), before) is None
    async with pool.acquire() as connection:
        with pytest.raises(ValueError, match="offset"):
            await load_as_of(connection, played.id, datetime(2026, 6, 1))  # noqa: DTZ001 - what is refused


async def test_an_incident_that_joined_another_is_told_so(pool: Pool) -> None:
    """Both sides of a join are told: the one has joined, the other is what it was."""
    await publish_shipped(pool)
    first = Played(pool)
    await first.begin()
    second = Played(pool, areas=first.first.areas)
    second.clock.time = first.clock.time + SECOND
    await second.begin()
    joined = await known_at(pool, second.id, second.clock.time)
    assert joined == comparable(await second.state())
    assert joined is not None
    assert (joined.phase, joined.joined_to) == (Phase.JOINED, first.id)
    assert await known_at(pool, first.id, second.clock.time) == comparable(await first.state())


class _Nowhere:
    async def publish(self, messages: Sequence[object], incidents: object) -> None:
        """Send nothing: these tests read."""


def api(played: Played) -> FastAPI:
    intake = Intake(played.pool, _Nowhere(), played.clock, Namespace.ACTUAL)
    return make_app(intake, played.pool, dict, NotedAccess())


async def test_the_api_tells_the_past_and_refuses_a_time_without_its_offset(pool: Pool) -> None:
    await publish_shipped(pool)
    played = Played(pool)
    await played.begin()
    then = played.clock.time
    played.clock.time += MINUTE
    assignment = next(iter((await played.state()).assignments.values()))
    await played.answer(assignment, Answer.COMMIT)
    await played.command(order.StandDown)
    transport = httpx.ASGITransport(app=api(played))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://muster", headers=NotedAccess().bearer("officer")
    ) as client:
        path = f"/v1/incidents/{played.id}"
        past = (await client.get(path, params={"as_of": then.isoformat()})).json()
        now = (await client.get(path)).json()
        assert {each["state"] for each in past["assignments"]} == {"issued"}
        assert past["activations"][0]["state"] == ActivationState.ACTIVATED
        assert now["activations"][0]["state"] == ActivationState.STOOD_DOWN
        assert datetime.fromisoformat(past["as_of"]) == then
        assert now["as_of"] is None
        assert len(past["timeline"]) < len(now["timeline"])
        naive = await client.get(path, params={"as_of": "2026-06-01T08:00:00"})
        assert naive.status_code == 422
        assert "timezone" in naive.text
        early = await client.get(path, params={"as_of": (then - 10 * MINUTE).isoformat()})
        assert early.status_code == 404
        assert "nothing was known of it" in early.text


def test_the_command_refuses_a_time_without_its_offset() -> None:
    for text, why in (("2026-06-01T08:00:00", "has no offset"), ("yesterday", "is not a time")):
        result = CliRunner().invoke(incident_app, ["show", str(uuid7()), "--as-of", text])
        assert result.exit_code == 2
        assert why in result.stderr
