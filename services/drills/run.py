"""The controller: starts a drill, plays its injects, looks after obstacles as the duty officer would, and ends it.

Everything it does goes over the exercise topics to the services that run the real thing, and everything it knows it
reads from Postgres. It never touches another incident than its own.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from schemas.base import Message
from schemas.command import Close, CommandBase, ResolveObstacle, TakeObstacle
from schemas.drill import InjectKind, InjectRule
from schemas.envelope import COMMAND, INCIDENT, Envelope, write_value
from schemas.topics import COMMANDS, INCIDENTS, Topic, topic_name
from schemas.vocabulary import AssignmentState, Namespace, Status
from services.domain.incident import Phase
from services.drills.record import DrillError, DrillRow, Ending, begin, end, note_inject, sql
from services.drills.scenario import Scenario, report_of
from services.platform.clock import ScaledClock
from services.platform.kafka import publish_all
from services.platform.runtime import Runtime

LOOK_EVERY = 0.2
"""Wall seconds between looks at the record."""
DECIDED_WITHIN = 30.0
"""Wall seconds within which an inject or a command must have had its effect; after that the drill is broken."""
CONTROLLER = "Exercise controller, as duty officer"
TAKEN_AFTER = timedelta(seconds=30)
"""How long the duty officer takes to become the owner of an obstacle, in the scenario's time."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What the record says now. ``entries`` are the timeline's new ones since the last look."""

    started_at: datetime
    elapsed: timedelta
    assignments: list[asyncpg.Record]
    entries: list[asyncpg.Record]
    played: tuple[str, ...]
    incident_ids: tuple[UUID, ...]


Watch = Callable[[Progress], None]


@dataclass(slots=True)
class _Seen:
    since: datetime
    entries: set[UUID] = field(default_factory=set)


class Controller:
    """Runs one drill in one runtime of the exercise namespace, whose clock it starts at STARTEX."""

    def __init__(self, runtime: Runtime, scenario: Scenario, *, seed: int, speed: float, watch: Watch) -> None:
        if runtime.namespace is not Namespace.EXERCISE or not isinstance(runtime.clock, ScaledClock):
            raise DrillError("a drill runs in the exercise namespace, by a clock of its own")
        self._runtime = runtime
        self._pool = runtime.pool
        self._clock = runtime.clock
        self._scenario = scenario
        self._watch = watch
        self.row = DrillRow(uuid7(), scenario.document, seed, speed, runtime.clock.start, runtime.clock.now())
        self._waiting = sorted(scenario.document.injects, key=lambda inject: inject.at)
        self._incidents: dict[str, UUID] = {}
        self._handled: set[tuple[str, UUID]] = set()
        self._undecided_since: float | None = None
        self._seen = _Seen(self.row.started_at)

    async def run(self, stop: asyncio.Event) -> Ending:
        """Play the drill to its ENDEX, or until told to stop; raises `DrillError` when the services don't follow."""
        await self._close_leftovers()
        self._clock.start = datetime.now(UTC)
        self.row = replace(self.row, clock_start=self._clock.start, started_at=self._clock.start)
        self._seen = _Seen(self.row.started_at)
        await begin(self._pool, self.row)
        try:
            ending = await self._play(stop)
        except BaseException:
            await end(self._pool, self.row, self._clock.now(), Ending.FAILED)
            raise
        await end(self._pool, self.row, self._clock.now(), ending)
        await self._close(list(self._incidents.values()), f"ENDEX of drill {self.row.document.id}: {ending}")
        return ending

    async def _play(self, stop: asyncio.Event) -> Ending:
        duration = self._scenario.document.duration
        while True:
            elapsed = self._clock.now() - self.row.started_at
            while self._waiting and self._waiting[0].at <= elapsed:
                await self._inject(self._waiting.pop(0))
            progress = await self._look(elapsed)
            self._watch(progress)
            if stop.is_set():
                return Ending.STOPPED
            if elapsed >= duration:
                return Ending.TIME_OVER
            if not self._waiting and not await self._undecided() and not _still_open(progress):
                return Ending.FINISHED
            await self._mind_obstacles()
            await self._rest(stop)

    async def _rest(self, stop: asyncio.Event) -> None:
        next_at = self._waiting[0].at if self._waiting else self._scenario.document.duration
        left = self._clock.seconds_until(self.row.started_at + next_at)
        try:
            await asyncio.wait_for(stop.wait(), timeout=max(0.01, min(LOOK_EVERY, left)))
        except TimeoutError:
            return

    async def _inject(self, inject: InjectRule) -> None:
        incident_id = uuid7() if inject.kind is InjectKind.INCIDENT else self._incidents[inject.of or ""]
        if inject.kind is InjectKind.INCIDENT:
            self._incidents[inject.id] = incident_id
        # A broker keeps whole milliseconds of the wall clock; a report sent within one must not seem to be held before.
        wall = datetime.now(UTC)
        sent_at = self._clock.at(wall.replace(microsecond=wall.microsecond // 1000 * 1000))
        event_id = uuid7()
        await note_inject(self._pool, self.row.id, inject.id, event_id, incident_id, sent_at)
        report = report_of(self._scenario.document, inject, incident_id, sent_at)
        await self._publish(INCIDENTS, INCIDENT, report, incident_id, event_id)

    async def _look(self, elapsed: timedelta) -> Progress:
        ids = list(self._incidents.values())
        assignments = await self._pool.fetch(sql("drill_assignments"), ids, self._clock.now())
        entries = await self._pool.fetch(sql("drill_entries"), ids, self._seen.since)
        new = [entry for entry in entries if entry["entry_id"] not in self._seen.entries]
        self._seen.entries |= {entry["entry_id"] for entry in new}
        if entries:
            self._seen.since = entries[-1]["recorded_at"]
        played = {inject.id for inject in self._scenario.document.injects} - {inject.id for inject in self._waiting}
        in_order = tuple(inject.id for inject in self._scenario.document.injects if inject.id in played)
        return Progress(self.row.started_at, elapsed, list(assignments), new, in_order, tuple(ids))

    async def _undecided(self) -> bool:
        waiting = await self._pool.fetch(sql("drill_undecided"), self.row.id)
        joined = await self._pool.fetch(
            "SELECT joined_to FROM incidents WHERE id = ANY ($1::uuid[]) AND phase = 'joined'",
            list(self._incidents.values()),
        )
        if any(row["joined_to"] not in self._incidents.values() for row in joined):
            other = joined[0]["joined_to"]
            raise DrillError(
                f"drill {self.row.document.id}: its incident joined exercise incident {other}; close that one first"
            )
        now = asyncio.get_running_loop().time()
        if not waiting:
            self._undecided_since = None
            return False
        self._undecided_since = self._undecided_since or now
        if now - self._undecided_since > DECIDED_WITHIN:
            names = ", ".join(row["inject"] for row in waiting)
            raise DrillError(f"drill {self.row.document.id}: nobody decided inject {names}; does dispatch run?")
        return True

    async def _mind_obstacles(self) -> None:
        obstacles = await self._pool.fetch(sql("drill_obstacles"), list(self._incidents.values()))
        now = self._clock.now()
        for row in obstacles:
            if row["resolved_at"] is not None:
                continue
            rule = self._scenario.participants.get(row["department"])
            blocked = rule.blocked if rule is not None else None
            if row["taken_at"] is None and row["reported_at"] + TAKEN_AFTER <= now:
                reason = "the duty officer looks for a way round it"
                await self._command_once(TakeObstacle, row["incident_id"], reason, obstacle_id=row["id"])
            elif blocked is not None and row["reported_at"] + blocked.resolved_after <= now:
                reason = "what was missing has been provided"
                await self._command_once(ResolveObstacle, row["incident_id"], reason, obstacle_id=row["id"])

    async def _command_once(
        self, kind: type[CommandBase], incident_id: UUID, reason: str, *, obstacle_id: UUID
    ) -> None:
        if (kind.__name__, obstacle_id) not in self._handled:
            self._handled.add((kind.__name__, obstacle_id))
            await self._command(kind, incident_id, reason, obstacle_id=obstacle_id)

    async def _command(self, kind: type[CommandBase], incident_id: UUID, reason: str, **more: Any) -> None:
        command = kind(
            incident_id=incident_id,
            status=Status.EXERCISE,
            by=CONTROLLER,
            reason=reason,
            decided_at=self._clock.now(),
            **more,
        )
        await self._publish(COMMANDS, COMMAND, command, incident_id, uuid7())

    async def _publish(self, topic: Topic, kind: str, message: Message, incident_id: UUID, event_id: UUID) -> None:
        envelope = Envelope(event_id, kind, "muster/drills", str(incident_id), self._clock.now(), Status.EXERCISE)
        name = topic_name(topic, Namespace.EXERCISE)
        value, key = write_value(message), str(incident_id).encode()
        (error,) = await publish_all(self._runtime.broker, [(name, key, value, envelope.headers())])
        if error is not None:
            raise DrillError(f"broker: {name} does not take messages: {error!r}")

    async def _close_leftovers(self) -> None:
        """End what an earlier controller left behind: its incidents would still escalate, and take ours in."""
        for row in await self._pool.fetch(sql("unfinished_drills")):
            await self._close(list(row["incident_ids"]), f"drill {row['id']} was left behind by its controller")
            await self._pool.execute(
                "UPDATE drills SET ended_at = greatest($2, started_at), ending = 'failed'"
                " WHERE id = $1 AND ended_at IS NULL",
                row["id"],
                self._clock.now(),
            )

    async def _close(self, ids: list[UUID], reason: str) -> None:
        """Close incidents: the first word stands the plans down, the second calls their stand-down tasks off."""
        for phases in ((Phase.CLOSING, Phase.CLOSED), (Phase.CLOSED,)):
            for incident_id in await self._short_of(ids, phases):
                await self._command(Close, incident_id, reason)
            deadline = asyncio.get_running_loop().time() + DECIDED_WITHIN
            while left := await self._short_of(ids, phases):
                if asyncio.get_running_loop().time() > deadline:
                    raise DrillError(f"incident {left[0]}: does not close; does dispatch run?")
                await asyncio.sleep(LOOK_EVERY / 4)

    async def _short_of(self, ids: list[UUID], phases: tuple[Phase, ...]) -> list[UUID]:
        rows = await self._pool.fetch(sql("drill_phases"), ids)
        return [row["id"] for row in rows if row["phase"] not in phases]


def _still_open(progress: Progress) -> bool:
    return any(AssignmentState(row["state"]).is_open for row in progress.assignments)
