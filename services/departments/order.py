"""An order as a department's engineer holds it: what is asked, by when, and how to answer."""

from datetime import datetime
from uuid import UUID

from schemas.assignment import Assignment, Deadlines, IncidentSummary
from schemas.base import Text
from schemas.vocabulary import Answer, AssignmentState, Notice, Status
from services.departments.answering import Answering


class Order:
    """One message about an assignment, and the way to answer it.

    ``id`` is the same over redeliveries, reminders and restarts: use it to make an effect happen once. An answer
    returns once it is safe in the journal, True, or False when the same was said before; sending goes on behind it
    until the broker has it, also after a restart. Answers raise ValueError for words that can't be sent,
    `OrderEndedError` once the order is over, and `RefusedError` on a copy.
    """

    def __init__(self, assignment: Assignment, answering: Answering) -> None:
        self.assignment = assignment
        self._answering = answering

    def __repr__(self) -> str:
        return f"<Order {self.id} {self.status.value} {self.notice.value} {self.task!r} for {self.department}>"

    @property
    def id(self) -> UUID:
        """The assignment's id."""
        return self.assignment.assignment_id

    @property
    def incident_id(self) -> UUID:
        """The incident it belongs to."""
        return self.assignment.incident_id

    @property
    def department(self) -> str:
        """Whose order it is; another's on a copy."""
        return self.assignment.department

    @property
    def status(self) -> Status:
        """Whether it is for real."""
        return self.assignment.status

    @property
    def is_exercise(self) -> bool:
        """True unless the order is for real."""
        return self.status is not Status.ACTUAL

    @property
    def is_copy(self) -> bool:
        """True for another department's order that was escalated to this one: read it, call them, don't answer it."""
        return self.department != self._answering.department

    @property
    def notice(self) -> Notice:
        """Why this message was sent."""
        return self.assignment.notice

    @property
    def reason(self) -> str | None:
        """What the message gives as its reason: which deadline was missed, why it was cancelled or refused."""
        return self.assignment.reason

    @property
    def state(self) -> AssignmentState:
        """Where the order stands now, this department's own answers included."""
        known = self._answering.journal.order(self.id)
        return known.state if known else self.assignment.state

    @property
    def is_open(self) -> bool:
        """True while there is something to do or to answer; looked up afresh each time."""
        return self.state.is_open

    @property
    def task(self) -> str:
        """The task's id in its plan."""
        return self.assignment.task

    @property
    def role(self) -> str:
        """The role's id in its plan."""
        return self.assignment.role

    @property
    def title(self) -> Text:
        """What is to be done."""
        return self.assignment.title

    @property
    def done_when(self) -> Text:
        """What counts as done."""
        return self.assignment.done_when

    @property
    def instructions(self) -> Text | None:
        """How to do it, where the plan says."""
        return self.assignment.instructions

    @property
    def read_back(self) -> bool:
        """True when whoever takes it on must repeat it in their own words."""
        return self.assignment.read_back

    @property
    def deadlines(self) -> Deadlines:
        """By when to answer, to start and to be done."""
        return self.assignment.deadlines

    @property
    def incident(self) -> IncidentSummary:
        """What has happened, as last reported."""
        return self.assignment.incident

    @property
    def issued_at(self) -> datetime:
        """When the order was given."""
        return self.assignment.issued_at

    def answer(self, answer: Answer, **words: str | None) -> bool:
        """Give any answer by its name; ``words`` are the wire's: note, reason, read_back, delegate_to, by."""
        return self._answering.answer(self.assignment, answer, **words)

    async def acknowledge(self, *, note: str | None = None, by: str | None = None) -> bool:
        """Say that a person has seen it; a receipt has gone out before."""
        return self.answer(Answer.ACKNOWLEDGE, note=note, by=by)

    async def commit(self, *, read_back: str | None = None, note: str | None = None, by: str | None = None) -> bool:
        """Agree to do it; ``read_back`` repeats the order, which some orders ask for."""
        return self.answer(Answer.COMMIT, read_back=read_back, note=note, by=by)

    async def decline(self, reason: str, *, by: str | None = None) -> bool:
        """Turn it down and say why: the next is called at once."""
        return self.answer(Answer.DECLINE, reason=reason, by=by)

    async def start(self, *, read_back: str | None = None, note: str | None = None, by: str | None = None) -> bool:
        """Say that work has begun."""
        return self.answer(Answer.START, read_back=read_back, note=note, by=by)

    async def arrive(self, *, note: str | None = None, by: str | None = None) -> bool:
        """Say that somebody is on scene."""
        return self.answer(Answer.ARRIVE, note=note, by=by)

    async def progress(self, note: str, *, by: str | None = None) -> bool:
        """Report how it goes; every report is kept."""
        return self.answer(Answer.PROGRESS, note=note, by=by)

    async def block(self, reason: str, *, by: str | None = None) -> bool:
        """Report an obstacle to the duty officer; the order stays open, and every obstacle is kept."""
        return self.answer(Answer.BLOCK, reason=reason, by=by)

    async def complete(self, *, read_back: str | None = None, note: str | None = None, by: str | None = None) -> bool:
        """Say that it is done, in the sense of ``done_when``."""
        return self.answer(Answer.COMPLETE, read_back=read_back, note=note, by=by)

    async def fail(self, reason: str, *, by: str | None = None) -> bool:
        """Say that it can't be done after all, and why."""
        return self.answer(Answer.FAIL, reason=reason, by=by)

    async def delegate(self, to: str, reason: str, *, by: str | None = None) -> bool:
        """Hand it over to another department, and say why; that department gets an order of its own."""
        return self.answer(Answer.DELEGATE, delegate_to=to, reason=reason, by=by)
