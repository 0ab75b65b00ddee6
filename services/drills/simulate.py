"""One response on a virtual clock: the engine that decides live, people whose courses are drawn, and no I/O.

What is simulated is the response from the report to the last task done. Transport takes no time: an order is with its
department, and an answer with the engine, in the instant they are given. Receipts, progress notes and what the duty
officer does about an obstacle are left out, as nothing the engine decides depends on them; standing down is not played.
What happens in one instant happens in this order: the report, the duty officer's word, the departments' answers in
the order they were called, then what falls due; an answer given just in time is in time.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Any, NamedTuple, cast
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
from services.drills.simulate_conditions import settle_conditions

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


class Noted(NamedTuple):
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
    known = [settle_conditions(each, report) for each in (plan, *others)]
    playbook = Playbook(PlanIndex(known), {each.digest: each for each in known}, directory)
    return Setting(known[0], playbook, report, draw, **more)


def simulate(setting: Setting, seed: int) -> Run:
    """Play one response to its end: nothing can happen any more, or the horizon is reached."""
    return prepare(setting).play(seed)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A response up to the moment when the first orders are out: so far no person's course had a say in it."""

    setting: Setting
    incident: Incident
    log: tuple[Noted, ...]
    waiting: tuple["_Waiting", ...]
    orders: tuple[Assignment, ...]
    now: datetime
    due_at: datetime | None
    number: int

    def play(self, seed: int, draw: Draw | None = None) -> Run:
        """Play it to its end: nothing can happen any more, or the horizon is reached; ``draw`` may remember courses."""
        return _Clockwork(self.setting, self).run(seed, draw or self.setting.draw)

    def of_plan(self, plan: str) -> "Prepared":
        """Leave out the activations of other plans where these have no say any more: once no decision is awaited."""
        if any(isinstance(what, Commanded) for *_, what in self.waiting):
            return self
        activations = {key: each for key, each in self.incident.activations.items() if each.plan == plan}
        return replace(self, incident=replace(self.incident, activations=activations))


def prepare(setting: Setting) -> Prepared:
    """Play what all runs have in common."""
    return _Clockwork(setting).prepare()


class Sketch(Draft):
    """Writes down what was decided, without the words that would go out over the wire."""

    def __init__(self, *args: Any, log: list[Noted], number: int, ids: Iterator[int], **more: Any) -> None:
        super().__init__(*args, **more)
        self._log = log
        self._number = number
        self._ids = ids

    def new_id(self) -> UUID:
        """Give a plain number: an id is only ever compared, a million times in a study, and numbers are so at once."""
        return cast("UUID", next(self._ids))

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


class _Step(NamedTuple):
    """What a department does next about an order, and the steps after it, each some seconds after the one before."""

    answer: Answer
    assignment: Assignment
    rest: tuple[tuple[float, Answer], ...]


_Waiting = tuple[datetime, int, int, Event | _Step]
"""When, what comes first in one instant, a number of its own, and what happens then."""


class _Clockwork:
    def __init__(self, setting: Setting, since: Prepared | None = None) -> None:
        self.setting = setting
        self.end = setting.report.reported_at + setting.horizon
        self.seed, self.draw = 0, setting.draw
        self.incident = since.incident if since else None
        self.log: list[Noted] = list(since.log) if since else []
        self.waiting: list[_Waiting] = list(since.waiting) if since else []
        self.numbers = count(since.number if since else 0)
        self.due_at = since.due_at if since else None
        self.since = since

    def prepare(self) -> Prepared:
        report, orders = self.setting.report, tuple[Assignment, ...]()
        now = report.reported_at
        self.push(now, _REPORT, Reported(self.new_id(), report))
        while self.waiting and self.waiting[0][0] <= self.end and not orders:
            now, _, number, event = heappop(self.waiting)
            if not isinstance(event, _Step):
                orders = self.take(event, now, number)
        return Prepared(
            setting=self.setting,
            incident=self.known,
            log=tuple(self.log),
            waiting=tuple(self.waiting),
            orders=orders,
            now=now,
            due_at=self.due_at,
            number=next(self.numbers),
        )

    def run(self, seed: int, draw: Draw) -> Run:
        self.seed, self.draw = seed, draw
        if self.since is not None:
            for order in self.since.orders:
                self.call(order, self.since.now)
        while self.waiting and self.waiting[0][0] <= self.end:
            now, _, number, what = heappop(self.waiting)
            event = self.answer(what, now) if isinstance(what, _Step) else what
            if event is not None:
                for order in self.take(event, now, number):
                    self.call(order, now)
        return Run(seed, self.known, tuple(self.log))

    @property
    def known(self) -> Incident:
        if self.incident is None:
            raise ValueError("a first report always makes an incident")
        return self.incident

    def take(self, event: Event, now: datetime, number: int) -> tuple[Assignment, ...]:
        """Let the engine decide; give the orders that went out."""
        if isinstance(event, TimePassed):
            if now != self.due_at:
                return ()  # put off since
            self.due_at = None
        drafting = partial(Sketch, log=self.log, number=number, ids=self.numbers)
        heard = len(self.log)
        incident = decide(self.incident, event, now, self.setting.playbook, drafting=drafting).incident
        if incident is None:
            raise ValueError("the engine knows no such incident")
        self.incident = incident
        if isinstance(event, Reported):
            self.await_officer(incident, now)
        self.look_ahead(incident, now)
        return tuple(
            noted.assignment
            for noted in self.log[heard:]
            if noted.entry is Entry.ISSUED and noted.assignment is not None
        )

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
        steps = course_steps(self.draw(self.seed, assignment.department, assignment.task))
        self.follow(assignment, steps, now)

    def follow(self, assignment: Assignment, steps: tuple[tuple[float, Answer], ...], now: datetime) -> None:
        if not steps:
            return
        (after, answer), rest = steps[0], steps[1:]
        if after <= self.setting.horizon.total_seconds():  # later is never, and may be more than a date can hold
            self.push(now + timedelta(seconds=after), _ANSWER, _Step(answer, assignment, rest))

    def answer(self, step: _Step, now: datetime) -> Answered | None:
        """Give an answer; None for an order that has ended meanwhile: its department has heard of it."""
        incident, order = self.known, step.assignment
        if not incident.assignments[order.id].state.is_open:
            return None
        self.follow(order, step.rest, now)
        said = object.__new__(Acknowledgement)  # as model_construct makes it, at a fraction of the time
        said.__dict__.update(
            _UNSAID,
            assignment_id=order.id,
            incident_id=incident.id,
            status=incident.status,
            department=order.department,
            answer=step.answer,
            answered_at=now,
            reason=_REASON.get(step.answer),
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

    def push(self, at: datetime, rank: int, what: Event | _Step) -> None:
        heappush(self.waiting, (at, rank, next(self.numbers), what))

    def new_id(self) -> UUID:
        return cast("UUID", next(self.numbers))


_REPORT, _COMMAND, _ANSWER, _TIME = range(4)
"""What comes first in one instant."""
_UNSAID = {"by": None, "note": None, "delegate_to": None, "read_back": "understood"}
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
