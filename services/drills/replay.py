"""A past incident played again: its stored inputs, through the one engine, on a virtual clock and with no effects.

The replay is an exercise with an id of its own. Reports and commands come at their original times. What was said
about an order (an answer, an officer's reminder) keeps its distance to that order instead: a department that took 40
seconds takes 40 seconds, should another plan call it sooner or later. Orders are known again by plan, task and
department, and the how manieth of these. What falls due falls due on the second, where a live service is some
hundredths late. The same record and the same plans give the same replay, ids included.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import Any
from uuid import UUID

from schemas.command import Reassign, Remind, ResolveObstacle, TakeObstacle
from schemas.incident import IncidentReport
from schemas.timeline import TimelineEntry
from schemas.vocabulary import Status
from services.domain.decision import Answered, Commanded, Decision, Event, Opening, Outcome, Reported, TimePassed
from services.domain.engine import decide
from services.domain.identity import derive_id
from services.domain.incident import Assignment, Incident
from services.domain.matching import group_key
from services.domain.plan import Plan
from services.domain.reports import merge
from services.drills.record import DrillError
from services.drills.recorded import Key, Recorded, keys_of
from services.platform.inputs import Input

NOT_KEPT = "what was said is not on record"
NOT_GIVEN = "this order is not given"
NO_OBSTACLE = "this obstacle is not reported"
WITHOUT_EFFECT = frozenset({Outcome.REFUSED, Outcome.INVALID, Outcome.REPEATED})
_A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Played:
    """One input and what it came to; ``about`` is the order it speaks of. ``outcome`` None: it had nothing to go to."""

    input: Input
    about: Key | None
    at: datetime | None
    outcome: Outcome | None
    reason: str


@dataclass(frozen=True, slots=True)
class Replay:
    """How it went: the incident at the end, every entry on the way, and what became of each input, in its order.

    ``ended_at`` is how far it was watched. ``plans`` holds the wordings by digest.
    """

    incident: Incident
    entries: tuple[TimelineEntry, ...]
    played: tuple[Played, ...]
    keys: Mapping[UUID, Key]
    ended_at: datetime
    plans: Mapping[str, Plan]

    @property
    def orders(self) -> dict[Key, Assignment]:
        """The orders given, by what they are known by."""
        return {key: self.incident.assignments[id_] for id_, key in self.keys.items()}


def replay(recorded: Recorded, *, until: datetime | None = None) -> Replay:
    """Play a recorded incident again to where its record ends, or further, to ``until``.

    Raises `DrillError` when no report of it was kept.
    """
    return _Replaying(recorded, max(until or recorded.ended_at, recorded.ended_at)).run()


@dataclass(frozen=True, slots=True)
class _About:
    """Which order an input speaks of, when that was given, and by its obstacle's number where it is about one."""

    key: Key
    issued_at: datetime
    obstacle: int | None = None


@dataclass(slots=True)
class _Replaying:
    recorded: Recorded
    until: datetime
    now: datetime | None = None
    incident: Incident | None = None
    entries: list[TimelineEntry] = field(default_factory=list)
    original: dict[UUID, Key] = field(default_factory=dict)
    keys: dict[UUID, Key] = field(default_factory=dict)
    queue: list[tuple[datetime, int, timedelta]] = field(default_factory=list)
    waiting: dict[Key, list[tuple[int, datetime]]] = field(default_factory=dict)
    about: dict[int, _About] = field(default_factory=dict)
    played: dict[int, Played] = field(default_factory=dict)
    moments: int = 0

    def run(self) -> Replay:
        self.original = self.recorded.keys
        for number, said in enumerate(self.recorded.inputs):
            self._line_up(number, said)
        while (moment := self._next()) is not None:
            if self.queue and self.queue[0][0] <= moment:
                self._play(*heappop(self.queue))
            else:
                self._decide(TimePassed(self._event_id(moment)), moment)
        if self.incident is None:
            raise DrillError(
                f"incident {self.recorded.incident.id}: its reports are not on record, only that they came"
            )
        for key, numbers in self.waiting.items():
            for number, _ in numbers:
                self.played[number] = Played(self.recorded.inputs[number], key, None, None, NOT_GIVEN)
        return Replay(
            incident=self.incident,
            entries=tuple(self.entries),
            played=tuple(self.played[number] for number in sorted(self.played)),
            keys=dict(self.keys),
            ended_at=max([self.until, *(played.at for played in self.played.values() if played.at is not None)]),
            plans=self.recorded.publications.at(self.recorded.ended_at).frozen,
        )

    def _line_up(self, number: int, said: Input) -> None:
        if said.said is None:
            self.played[number] = Played(said, None, None, None, NOT_KEPT)
            return
        about = self._speaks_of(said.said)
        if about is not None:
            self.about[number] = about
            self.waiting.setdefault(about.key, []).append((number, about.issued_at))
        elif not isinstance(said.said, Answered):
            heappush(self.queue, (said.decided_at, number, timedelta(0)))
        else:
            # An answer to an order that never was had no effect then and has none now.
            self.played[number] = Played(said, None, None, Outcome.INVALID, said.reason)

    def _speaks_of(self, said: Reported | Commanded | Answered) -> _About | None:
        assignment_id, obstacle = None, None
        if isinstance(said, Answered):
            assignment_id = said.acknowledgement.assignment_id
        elif isinstance(said, Commanded):
            command = said.command
            if isinstance(command, Reassign | Remind):
                assignment_id = command.assignment_id
            elif isinstance(command, TakeObstacle | ResolveObstacle):
                known = self.recorded.incident.obstacles
                if command.obstacle_id in known:
                    assignment_id = known[command.obstacle_id].assignment_id
                    obstacle = _obstacles(self.recorded.incident, assignment_id).index(command.obstacle_id)
        original = self.recorded.incident.assignments.get(assignment_id) if assignment_id else None
        if original is None:
            return None
        return _About(self.original[original.id], original.issued_at, obstacle)

    def _next(self) -> datetime | None:
        due = min(self._dues(), default=None)
        if due is not None and self.now is not None:
            due = max(due, self.now)  # a statutory deadline may have passed before its order was given
        if self.queue:
            return self.queue[0][0] if due is None else min(self.queue[0][0], due)
        return due if due is not None and due <= self.until else None

    def _dues(self) -> Iterator[datetime]:
        if self.incident is not None:
            dues = [each.next_due_at for each in self.incident.assignments.values()]
            dues += [each.next_due_at for each in self.incident.activations.values()]
            yield from (due for due in dues if due is not None)

    def _event_id(self, at: datetime) -> UUID:
        self.moments += 1
        return derive_id(at, self.recorded.incident.id, self.moments)

    def _play(self, at: datetime, number: int, shift: timedelta) -> None:
        said, about = self.recorded.inputs[number], self.about.get(number)
        key = about.key if about else None
        event = self._translated(said, number, shift)
        if event is None:
            self.played[number] = Played(said, key, at, None, NO_OBSTACLE)
            return
        decision = self._decide(event, at)
        self.played[number] = Played(said, key, at, decision.outcome, decision.reason)

    def _decide(self, event: Event, at: datetime) -> Decision:
        self.now = at
        playbook = self.recorded.publications.at(at)
        decision = decide(self.incident, event, at, playbook, self._openings(event, at))
        if decision.incident is None:
            return decision
        self.incident = decision.incident
        self.entries += decision.entries
        fresh = {id_: key for id_, key in keys_of(self.incident).items() if id_ not in self.keys}
        for id_, key in fresh.items():
            self.keys[id_] = key
            issued_at = self.incident.assignments[id_].issued_at
            for number, originally in self.waiting.pop(key, []):
                shift = issued_at - originally
                if abs(shift) <= self.recorded.tolerance:
                    shift = timedelta(0)  # a live timer's lateness, which must not change who was first
                when = max(self.recorded.inputs[number].decided_at + shift, issued_at)
                heappush(self.queue, (when, number, shift))
        return decision

    def _openings(self, event: Event, at: datetime) -> dict[str, Opening]:
        """Name the response of another incident that this one joined then, for it to be joined again."""
        if not isinstance(event, Reported):
            return {}
        report = event.report if self.incident is None else merge(self.incident.report, event.report)
        openings: dict[str, Opening] = {}
        for joined in self.recorded.joins:
            plan = self.recorded.publications.at(at).published.by_id.get(joined.plan)
            key = group_key(plan, report) if plan is not None and joined.at <= at else None
            if key is not None:
                openings[key] = Opening(joined.to, joined.to, at + _A_DAY)
        return openings

    def _translated(self, said: Input, number: int, shift: timedelta) -> Event | None:
        """Give the event to play: another id, the replay's incident, status Exercise, and its own order."""
        event, about = said.said, self.about.get(number)
        id_ = derive_id(said.decided_at, said.event_id, 0)
        fresh: dict[str, Any] = {"incident_id": self.recorded.replayed_as, "status": Status.EXERCISE}
        if isinstance(event, Reported):
            return Reported(id_, _changed(event.report, fresh), event.broker_at)
        if event is None:
            return None
        if about is not None:
            target = next(known for known, key in self.keys.items() if key == about.key)
            if about.obstacle is None:
                fresh["assignment_id"] = target
            else:
                obstacles = _obstacles(self.incident, target) if self.incident else []
                if len(obstacles) <= about.obstacle:
                    return None
                fresh["obstacle_id"] = obstacles[about.obstacle]
        broker_at = event.broker_at + shift if event.broker_at else None
        if isinstance(event, Answered):
            fresh["answered_at"] = event.acknowledgement.answered_at + shift
            return Answered(id_, event.acknowledgement.model_copy(update=fresh), broker_at)
        fresh["decided_at"] = event.command.decided_at + shift
        return Commanded(id_, event.command.model_copy(update=fresh), broker_at)


def _changed(report: IncidentReport, fresh: Mapping[str, Any]) -> IncidentReport:
    return report.model_copy(update=dict(fresh))


def _obstacles(incident: Incident, assignment_id: UUID) -> Sequence[UUID]:
    return [each.id for each in incident.obstacles.values() if each.assignment_id == assignment_id]


def disagreements(recorded: Recorded, again: Replay, tolerance: timedelta) -> list[str]:
    """Say where a replay under the original plans differs from the record itself; nothing when it is faithful.

    Times may differ by ``tolerance``: a live service does what falls due a moment late.
    """
    found: list[str] = []
    then = {key: recorded.incident.assignments[id_] for id_, key in keys_of(recorded.incident).items()}
    now = again.orders
    for key in sorted({*then, *now}):
        name = f"{key.department}, {key.task} ({key.plan})"
        if key not in now or key not in then:
            found.append(f"{name}: {'not given again' if key in then else 'given now and not then'}")
            continue
        a, b = then[key], now[key]
        if a.state is not b.state:
            found.append(f"{name}: ended {b.state} and not {a.state}")
        for column in ("issued_at", "acknowledge_by", "start_by", "complete_by"):
            before, after = getattr(a, column), getattr(b, column)
            if (before is None) != (after is None) or (before and abs(before - after) > tolerance):
                found.append(f"{name}: {column} {after} and not {before}")
    return found
