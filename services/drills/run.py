"""The controller: starts a drill, plays its injects, does what people ask of it, looks after obstacles, and ends it.

Everything it does goes over the exercise topics to the services that run the real thing, and everything it knows it
reads from Postgres. It never touches another incident than its own.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from schemas.command import CommandBase, ResolveObstacle, TakeObstacle
from schemas.drill import DutyOfficer, InjectKind, InjectRule
from schemas.vocabulary import AssignmentState, Namespace
from services.domain.incident import Phase
from services.drills.closing import Closing
from services.drills.conditions import Expectations, Judgement, state_of
from services.drills.control import Action, Request, note_pause, note_resume, requests, settle, tell
from services.drills.effects import Effects, Stage
from services.drills.messages import CONTROLLER, Voice
from services.drills.msel import Msel
from services.drills.record import DrillError, DrillRow, Ending, Seat, begin, end, sql
from services.drills.scenario import Scenario
from services.platform.clock import ScaledClock
from services.platform.precedence import real_incidents_during
from services.platform.runtime import Runtime
from services.playbooks.drill_conditions import State
from services.playbooks.problem import did_you_mean

LOOK_EVERY = 0.2
"""Wall seconds between looks at the record."""
DECIDED_WITHIN = 30.0
"""Wall seconds within which an inject must have had its effect; after that the drill is broken."""
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
    paused: bool = False
    judged: tuple[Judgement, ...] = ()


Watch = Callable[[Progress], None]


@dataclass(slots=True)
class _Seen:
    since: datetime
    entries: set[UUID] = field(default_factory=set)


class Controller:
    """Runs one drill in one runtime of the exercise namespace, whose clock it starts at STARTEX.

    ``startex`` is an instant of the wall soon to come, agreed on with other processes; None: ``ahead`` from when the
    drill is on record. ``hold``: the clock stands still from STARTEX until somebody asks for the start. ``drill_id``:
    the drill's, if it has one already.
    """

    def __init__(
        self,
        runtime: Runtime,
        scenario: Scenario,
        *,
        seed: int,
        speed: float,
        watch: Watch,
        stage: Stage | None = None,
        seats: Mapping[str, Seat] | None = None,
        startex: datetime | None = None,
        ahead: timedelta = timedelta(0),
        hold: bool = False,
        drill_id: UUID | None = None,
    ) -> None:
        if runtime.namespace is not Namespace.EXERCISE or not isinstance(runtime.clock, ScaledClock):
            raise DrillError("a drill runs in the exercise namespace, by a clock of its own")
        self._pool = runtime.pool
        self._clock = runtime.clock
        self._scenario = scenario
        self._watch = watch
        self._startex = startex
        self._ahead = ahead
        self._hold = hold
        self._held = hold
        start, now = runtime.clock.start, runtime.clock.now()
        self.row = DrillRow(drill_id or uuid7(), scenario.document, seed, speed, start, now, seats=dict(seats or {}))
        self._voice = Voice(runtime)
        self._closing = Closing(self._pool, self._voice)
        self._msel = Msel(scenario.document.injects, scenario.when)
        self._stage = stage or Stage()
        self._effects = Effects(self.row, self._pool, self._voice, self._stage)
        self._expectations = Expectations(scenario.met_when, self.row.started_at)
        self._handled: set[tuple[str, UUID]] = set()
        self._undecided_since: float | None = None
        self._seen = _Seen(self.row.started_at)

    async def run(self, stop: asyncio.Event) -> Ending:
        """Play the drill to its ENDEX, or until told to stop; raises `DrillError` when the services don't follow."""
        await self._closing.leftovers(self._clock)
        await self._start()
        try:
            await asyncio.sleep((self.row.clock_start - datetime.now(UTC)).total_seconds())
            ending = await self._play(stop)
            await self._judge(self._expectations.end(self._elapsed(), in_full=ending in _IN_FULL))
        except BaseException:
            await self._end(Ending.FAILED)
            raise
        await self._end(ending)
        # The incidents are closed by services that are all there, and nobody waits for an outage to end.
        await self._effects.bring_back(self._clock.now(), everything=True)
        await self._let_decide()
        await self._closing.close(self._incidents, f"ENDEX of drill {self.row.document.id}: {ending}")
        if self._clock.is_paused:
            await self._resume()
        await tell(self._pool)
        return ending

    async def _end(self, ending: Ending) -> None:
        real = await real_incidents_during(self._pool, self.row.clock_start, datetime.now(UTC))
        await end(self._pool, self.row, self._clock.now(), ending, real_incidents=real.count)

    async def _start(self) -> None:
        self._clock.start = self._startex or datetime.now(UTC) + self._ahead
        self._clock.pauses = ()
        self.row = replace(self.row, clock_start=self._clock.start, started_at=self._clock.start)
        self._effects = Effects(self.row, self._pool, self._voice, self._stage)
        self._expectations = Expectations(self._scenario.met_when, self.row.started_at)
        self._seen = _Seen(self.row.started_at)
        if self._hold:
            self._clock.pause(self._clock.start)
        await begin(self._pool, self.row)
        if self._hold:
            await note_pause(self._pool, self.row.id, self._clock.start, CONTROLLER, "held before the start")
        # Those who go by the drill's clock must know it before STARTEX.
        await tell(self._pool)

    def owns(self, incident_id: UUID) -> bool:
        """Say whether an incident is one of this drill's."""
        return incident_id in self._effects.incidents.values()

    def scene_of(self, incident_id: UUID) -> str:
        """Name the inject that opened an incident; empty for the document's first."""
        first, *_ = (inject.id for inject in self.row.document.injects if inject.kind is InjectKind.INCIDENT)
        opened = next((inject for inject, id_ in self._effects.incidents.items() if id_ == incident_id), first)
        return "" if opened == first else opened

    @property
    def _incidents(self) -> list[UUID]:
        return list(self._effects.incidents.values())

    def _elapsed(self) -> timedelta:
        return self._clock.now() - self.row.started_at

    async def _play(self, stop: asyncio.Event) -> Ending:
        while True:
            is_stopped = await self._take_requests() or stop.is_set()
            elapsed = self._elapsed()
            if not self._clock.is_paused:
                await self._effects.bring_back(self._clock.now())
                for inject in self._msel.on_time(elapsed):
                    await self._inject(inject)
            progress, state = await self._look(elapsed)
            if not self._clock.is_paused:
                for inject in self._msel.on_state(state, elapsed):
                    await self._inject(inject)
            judged = await self._judge(self._expectations.judge(state, elapsed))
            self._watch(replace(progress, judged=judged))
            if is_stopped:
                return Ending.STOPPED
            if elapsed >= self.row.document.duration:
                return Ending.TIME_OVER
            if await self._is_finished(progress):
                return Ending.FINISHED
            if not self._clock.is_paused:
                await self._mind_obstacles()
            await self._rest(stop)

    async def _is_finished(self, progress: Progress) -> bool:
        # Looked at in any case: it is how a drill notices that nobody decides.
        undecided = await self._undecided()
        is_something_to_come = self._msel.waiting or self._expectations.are_open or self._effects.is_something_lost
        return not (is_something_to_come or undecided or _still_open(progress) or self._clock.is_paused)

    async def _rest(self, stop: asyncio.Event) -> None:
        next_at = self._msel.next_at()
        left = LOOK_EVERY
        if not self._clock.is_paused:
            upcoming = next_at if next_at is not None else self.row.document.duration
            left = min(LOOK_EVERY, self._clock.seconds_until(self.row.started_at + upcoming))
        try:
            await asyncio.wait_for(stop.wait(), timeout=max(0.01, left))
        except TimeoutError:
            return

    async def _take_requests(self) -> bool:
        """Do what people ask; say whether they ask for the end."""
        is_stopped = False
        for request in await requests(self._pool, self.row.id):
            refused = await self._take(request)
            is_stopped = is_stopped or request.action is Action.STOP
            await settle(self._pool, request, refused)
        return is_stopped

    async def _take(self, request: Request) -> str | None:
        """Do one thing, or say why not."""
        match request.action:
            case Action.START | Action.RESUME if not self._clock.is_paused:
                return "it runs already"
            case Action.START if not self._held:
                return "it has been started; `resume` lets it go on"
            case Action.START | Action.RESUME:
                self._held = False
                await self._resume()
            case Action.PAUSE if self._clock.is_paused:
                return "it stands still already"
            case Action.PAUSE:
                self._clock.pause(datetime.now(UTC))
                await note_pause(self._pool, self.row.id, self._clock.pauses[-1][0], request.by, request.reason)
            case Action.INJECT:
                return await self._release(request)
            case Action.STOP:
                return None
        return None

    async def _resume(self) -> None:
        now = datetime.now(UTC)
        self._clock.resume(now)
        await note_resume(self._pool, self.row.id, now)

    async def _release(self, request: Request) -> str | None:
        inject = self._msel.find(request.inject or "")
        if inject is None:
            names = [each.id for each in self._msel.waiting]
            return f'it has no inject "{request.inject}"; {did_you_mean(request.inject or "", names)}'.rstrip("; ")
        if inject.id in self._msel.played:
            return f"inject {inject.id} has been played"
        if self._clock.is_paused:
            return "it stands still; resume it first"
        if not self._msel.is_open(inject):
            return f'inject {inject.id} is of "{inject.of}", which has not been played yet'
        await self._inject(inject, released_by=request.by)
        return None

    async def _inject(self, inject: InjectRule, released_by: str | None = None) -> None:
        elapsed = self._elapsed()
        self._msel.note(inject, elapsed)
        await self._effects.play(inject, released_by)
        self._expectations.expect(inject, elapsed)

    async def _look(self, elapsed: timedelta) -> tuple[Progress, State]:
        ids = self._incidents
        assignments = await self._pool.fetch(sql("drill_assignments"), ids, self._clock.now())
        entries = await self._pool.fetch(sql("drill_entries"), ids, self._seen.since)
        new = [entry for entry in entries if entry["entry_id"] not in self._seen.entries]
        self._seen.entries |= {entry["entry_id"] for entry in new}
        if entries:
            self._seen.since = entries[-1]["recorded_at"]
        in_order = tuple(inject.id for inject in self.row.document.injects if inject.id in self._msel.played)
        progress = Progress(
            self.row.started_at, elapsed, list(assignments), new, in_order, tuple(ids), self._clock.is_paused
        )
        obstacles = await self._pool.fetch(sql("drill_obstacles"), ids)
        state = state_of(
            self._scenario.known,
            elapsed=elapsed,
            assignments=progress.assignments,
            blocked={row["assignment_id"] for row in obstacles if row["resolved_at"] is None},
            plans=await self._pool.fetch(sql("drill_plans"), ids),
            played=self._msel.played,
        )
        return progress, state

    async def _judge(self, judgements: list[Judgement]) -> tuple[Judgement, ...]:
        for each in judgements:
            await self._pool.execute(sql("judge_inject"), self.row.id, each.inject, each.rating, each.at, each.because)
        return tuple(judgements)

    async def _undecided(self) -> bool:
        waiting = await self._pool.fetch(sql("drill_undecided"), self.row.id)
        joined = await self._pool.fetch(sql("drill_phases"), self._incidents)
        others = [row["joined_to"] for row in joined if row["phase"] == Phase.JOINED]
        if foreign := [other for other in others if other not in self._incidents]:
            name = self.row.document.id
            raise DrillError(f"drill {name}: its incident joined exercise incident {foreign[0]}; close that one first")
        now = asyncio.get_running_loop().time()
        if not waiting or self._effects.is_a_service_lost:
            self._undecided_since = None
            return bool(waiting)
        self._undecided_since = self._undecided_since or now
        if now - self._undecided_since > DECIDED_WITHIN:
            names = ", ".join(row["inject"] for row in waiting)
            raise DrillError(f"drill {self.row.document.id}: nobody decided inject {names}; does dispatch run?")
        return True

    async def _let_decide(self) -> None:
        """Wait for what was played last: decided after the close, it would open its incident anew."""
        deadline = asyncio.get_running_loop().time() + DECIDED_WITHIN
        while await self._pool.fetch(sql("drill_undecided"), self.row.id):
            if asyncio.get_running_loop().time() > deadline:
                return
            await asyncio.sleep(LOOK_EVERY)

    async def _mind_obstacles(self) -> None:
        if self.row.document.duty_officer is DutyOfficer.REAL:
            return
        now = self._clock.now()
        for row in await self._pool.fetch(sql("drill_obstacles"), self._incidents):
            if row["resolved_at"] is not None:
                continue
            lasts = self._lasts(row["department"], row["task"])
            if row["taken_at"] is None and row["reported_at"] + TAKEN_AFTER <= now:
                reason = "the duty officer looks for a way round it"
                await self._command_once(TakeObstacle, row["incident_id"], reason, obstacle_id=row["id"])
            elif lasts is not None and row["reported_at"] + lasts <= now:
                reason = "what was missing has been provided"
                await self._command_once(ResolveObstacle, row["incident_id"], reason, obstacle_id=row["id"])

    def _lasts(self, department: str, task: str) -> timedelta | None:
        """Tell how long an obstacle takes to remove; None for one that nobody scripted."""
        injected = self._effects.resolved_after(department, task)
        rule = self._scenario.participants.get(department)
        blocked = rule.blocked if rule is not None else None
        return injected if injected is not None else blocked.resolved_after if blocked is not None else None

    async def _command_once(
        self, kind: type[CommandBase], incident_id: UUID, reason: str, *, obstacle_id: UUID
    ) -> None:
        if (kind.__name__, obstacle_id) not in self._handled:
            self._handled.add((kind.__name__, obstacle_id))
            await self._voice.command(kind, incident_id, reason, obstacle_id=obstacle_id)


_IN_FULL = frozenset({Ending.FINISHED, Ending.TIME_OVER})


def _still_open(progress: Progress) -> bool:
    return any(AssignmentState(row["state"]).is_open for row in progress.assignments)
