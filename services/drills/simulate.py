"""One response on a virtual clock: the engine that decides live, people whose courses are drawn, and no I/O.

What is simulated is the response from the report to the last task done. Transport takes no time: an order is with its
department, and an answer with the engine, in the instant they are given. Receipts, progress notes and what the duty
officer does about an obstacle are left out, as nothing the engine decides depends on them; standing down is not played.
What happens in one instant happens in this order: the report, the duty officer's word, the departments' answers in
the order they were called, then what falls due; an answer given just in time is in time.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Any
from uuid import UUID

from schemas.acknowledgement import Acknowledgement
from schemas.command import Activate
from schemas.incident import IncidentReport
from schemas.timeline import Entry
from schemas.vocabulary import ActivationState, Answer, Notice
from services.domain.decision import Answered, Commanded, Event, Reported, TimePassed
from services.domain.directory import Directory
from services.domain.draft import Draft
from services.domain.engine import decide
from services.domain.incident import Activation, Assignment, Incident
from services.domain.matching import PlanIndex
from services.domain.plan import Plan
from services.domain.playbook import Playbook
from services.drills.behaviour import Course

CONFIRM_AFTER = timedelta(minutes=2)
"""After how long the simulated duty officer activates a plan that does not activate itself."""
HORIZON = timedelta(days=2)
"""After how long a run ends even when something is still to fall due."""
OFFICER = "simulated duty officer"

Draw = Callable[[int, str, str], Course]
"""What a department does about a task in the run of a seed: seed, department, task."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What every run has in common. ``plan`` is activated, by itself or by the duty officer ``confirm_after``.

    ``report`` must carry status Exercise. Plans other than ``plan`` take part only where it calls them.
    """

    plan: Plan
    playbook: Playbook
    report: IncidentReport
    draw: Draw
    confirm_after: timedelta = CONFIRM_AFTER
    horizon: timedelta = HORIZON


@dataclass(frozen=True, slots=True)
class Noted:
    """One decision of the engine, as the timeline tells it; ``event`` counts the events, so that one's hang together.

    ``assignment`` is None for what is about an activation, and ``step`` is the rung of an escalation.
    """

    event: int
    at: datetime
    entry: Entry
    task: str | None
    activation: Activation | None
    assignment: Assignment | None
    step: str | None


@dataclass(frozen=True, slots=True)
class Run:
    """One response: how it ended, and all that was decided on the way."""

    seed: int
    incident: Incident
    log: tuple[Noted, ...]


def make_setting(
    plan: Plan, plans: Sequence[Plan], directory: Directory, report: IncidentReport, draw: Draw, **more: timedelta
) -> Setting:
    """Set the scene for one plan: the others can be called by it, and never answer the report by themselves."""
    others = [
        replace(other, match=replace(other.match, categories=frozenset())) for other in plans if other.id != plan.id
    ]
    known = [plan, *others]
    playbook = Playbook(PlanIndex(known), {each.digest: each for each in known}, directory)
    return Setting(plan, playbook, report, draw, **more)


def simulate(setting: Setting, seed: int) -> Run:
    """Play one response to its end: nothing can happen any more, or the horizon is reached."""
    return _Clockwork(setting, seed).run()


class Sketch(Draft):
    """Writes down what was decided, without the words that would go out over the wire."""

    def __init__(self, *args: Any, log: list[Noted], number: int, **more: Any) -> None:
        super().__init__(*args, **more)
        self._log = log
        self._number = number

    def note(
        self,
        entry: Entry,
        *,
        activation: Activation | None = None,
        assignment: Assignment | None = None,
        **told: Any,
    ) -> None:
        """Keep the fact."""
        task = assignment.task if assignment is not None else told.get("task")
        self._log.append(Noted(self._number, self.now, entry, task, activation, assignment, told.get("step")))

    def word(self, sent: Assignment, notice: Notice, **told: Any) -> None:
        """Say nothing: the people of a simulation are told by the log."""


@dataclass(frozen=True, slots=True)
class _Step:
    """What a department does next about an order, and the steps after it, each some seconds after the one before."""

    answer: Answer
    assignment: Assignment
    rest: tuple[tuple[float, Answer], ...] = ()


@dataclass(slots=True)
class _Clockwork:
    setting: Setting
    seed: int
    log: list[Noted] = field(default_factory=list)
    incident: Incident | None = None
    waiting: list[tuple[datetime, int, int, Event | _Step]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)
    due_at: datetime | None = None

    def run(self) -> Run:
        report = self.setting.report
        end = report.reported_at + self.setting.horizon
        self.push(report.reported_at, _REPORT, Reported(self.new_id(), report))
        while self.waiting and self.waiting[0][0] <= end:
            now, _, number, what = heappop(self.waiting)
            event = self.answer(what, now) if isinstance(what, _Step) else what
            if event is None:
                continue
            self.take(event, now, number)
        if self.incident is None:
            raise ValueError("a first report always makes an incident")
        return Run(self.seed, self.incident, tuple(self.log))

    def take(self, event: Event, now: datetime, number: int) -> None:
        if isinstance(event, TimePassed):
            if now != self.due_at:
                return  # put off since
            self.due_at = None
        drafting = partial(Sketch, log=self.log, number=number)
        heard = len(self.log)
        incident = decide(self.incident, event, now, self.setting.playbook, drafting=drafting).incident
        if incident is None:
            raise ValueError("the engine knows no such incident")
        self.incident = incident
        if isinstance(event, Reported):
            self.await_officer(incident, now)
        for noted in self.log[heard:]:
            if noted.entry is Entry.ISSUED and noted.assignment is not None:
                self.call(noted.assignment, now)
        self.look_ahead(incident, now)

    def await_officer(self, incident: Incident, now: datetime) -> None:
        plan = self.setting.plan.id
        if any(a.plan == plan and a.state is ActivationState.ACTIVATED for a in incident.activations.values()):
            return
        at = now + self.setting.confirm_after
        command = Activate(
            incident_id=incident.id,
            status=incident.status,
            by=OFFICER,
            reason="the simulation assumes it",
            decided_at=at,
            plan=plan,
        )
        self.push(at, _COMMAND, Commanded(self.new_id(), command))

    def call(self, assignment: Assignment, now: datetime) -> None:
        steps = course_steps(self.setting.draw(self.seed, assignment.department, assignment.task))
        self.follow(assignment, steps, now)

    def follow(self, assignment: Assignment, steps: tuple[tuple[float, Answer], ...], now: datetime) -> None:
        if not steps:
            return
        (after, answer), rest = steps[0], steps[1:]
        if after <= self.setting.horizon.total_seconds():  # later is never, and may be more than a date can hold
            self.push(now + timedelta(seconds=after), _ANSWER, _Step(answer, assignment, rest))

    def answer(self, step: _Step, now: datetime) -> Answered | None:
        """Give an answer; None for an order that has ended meanwhile: its department has heard of it."""
        if self.incident is None or not self.incident.assignments[step.assignment.id].state.is_open:
            return None
        self.follow(step.assignment, step.rest, now)
        said = Acknowledgement.model_construct(
            assignment_id=step.assignment.id,
            incident_id=self.incident.id,
            status=self.incident.status,
            department=step.assignment.department,
            answer=step.answer,
            answered_at=now,
            reason=_REASON.get(step.answer),
            read_back="understood",
        )
        return Answered(self.new_id(), said)

    def look_ahead(self, incident: Incident, now: datetime) -> None:
        """Wake up when something next falls due, at once where that is past: a statutory clock may run out early."""
        dues = [a.next_due_at for a in incident.assignments.values() if a.next_due_at is not None]
        dues += [a.next_due_at for a in incident.activations.values() if a.next_due_at is not None]
        due = max(min(dues), now) if dues else None
        if due is not None and due != self.due_at:
            self.push(due, _TIME, TimePassed(self.new_id()))
        self.due_at = due

    def push(self, at: datetime, rank: int, what: "Event | _Step") -> None:
        heappush(self.waiting, (at, rank, next(self.numbers), what))

    def new_id(self) -> UUID:
        return UUID(int=_NUMBERED | next(self.numbers))


_REPORT, _COMMAND, _ANSWER, _TIME = range(4)
"""What comes first in one instant."""
_NUMBERED = 0x7000 << 64 | 0x8000_0000_0000_0000
"""A UUIDv7 of no time; the number of the event in the run fills its last bits."""
_REASON = {Answer.DECLINE: "simulated", Answer.BLOCK: "simulated"}


def course_steps(course: Course) -> tuple[tuple[float, Answer], ...]:
    """Give the answers of a course, each with the seconds since the one before; none where it is silent."""
    if course.is_silent:
        return ()
    if course.declines:
        return ((course.answer_after, Answer.DECLINE),)
    begin = ((course.answer_after, Answer.COMMIT), (course.start_after, Answer.START))
    if course.blocked_after is None:
        return (*begin, (course.work_for, Answer.COMPLETE))
    left = course.resolve_after + (course.work_for - course.blocked_after)
    return (*begin, (course.blocked_after, Answer.BLOCK), (left, Answer.COMPLETE))
