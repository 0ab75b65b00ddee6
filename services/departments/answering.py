"""How an answer comes to be: checked by the reader's own rules, given its id, and kept before anything is sent."""

from collections.abc import Callable
from uuid import UUID

from pydantic import ValidationError
from uuid_utils.compat import uuid7

from schemas.acknowledgement import Acknowledgement
from schemas.assignment import Assignment
from schemas.envelope import ACKNOWLEDGEMENT, Envelope, explain, read_message, write_value
from schemas.vocabulary import Answer
from services.departments.journal import Journal, Said
from services.departments.transport import Outgoing
from services.platform.clock import Clock
from services.platform.errors import RefusedError

ONCE = frozenset(Answer) - {Answer.PROGRESS, Answer.BLOCK}
"""Answers that are said once about an order; saying one again changes nothing."""

TAKES_ON = frozenset({Answer.COMMIT, Answer.START, Answer.COMPLETE})
"""Answers that take an order on, and so must repeat it where it asks for a read-back."""


class OrderEndedError(RefusedError):
    """The order is over: cancelled, superseded, or answered for good. The text says which."""


class Answering:
    """Records a department's answers. ``on_said`` is called whenever something may have to be sent."""

    def __init__(self, department: str, journal: Journal, clock: Clock, on_said: Callable[[], None]) -> None:
        self.department = department
        self.journal = journal
        self._clock = clock
        self._on_said = on_said

    def answer(self, order: Assignment, answer: Answer, **words: str | None) -> bool:
        """Record an answer in one transaction; False when the same was said before.

        Raises ValueError for words that can't be sent, `OrderEndedError` when the order is over, and `RefusedError`
        for a copy of another department's order.
        """
        if order.department != self.department:
            raise RefusedError(f"order {order.assignment_id}: is {order.department}'s; this is a copy to read")
        with self.journal.transaction():
            said = [each for each in self.journal.said(order.assignment_id) if not each.refused]
            if answer in ONCE and any(_same(each, answer, words) for each in said):
                return False
            known = self.journal.order(order.assignment_id)
            if known is not None and not known.state.is_open:
                why = f": {known.message.reason}" if known.message.reason else ""
                raise OrderEndedError(f"order {order.assignment_id}: is {known.state.value} already{why}")
            if order.read_back and answer in TAKES_ON and not _read_back(said, words):
                raise ValueError("read_back: this order asks for it; repeat the order in your own words")
            self.record(order, answer, **words)
        self._on_said()
        return True

    def record(self, order: Assignment, answer: Answer, **words: str | None) -> None:
        """Write one answer into the journal as it is; inside a transaction of the caller's."""
        try:
            message = Acknowledgement(
                assignment_id=order.assignment_id,
                incident_id=order.incident_id,
                status=order.status,
                department=self.department,
                answer=answer,
                answered_at=self._clock.now(),
                **words,
            )
        except ValidationError as error:
            raise ValueError(explain(error).removeprefix("value: Value error, ")) from None
        event_id = uuid7()
        value = write_value(message)
        # Whoever receives it reads it the same way: what would be set aside there is refused here.
        read_message(self._envelope(event_id, message).headers(), value, ACKNOWLEDGEMENT)
        self.journal.say(event_id, message, value)

    def outgoing(self, said: Said) -> Outgoing:
        """Make the message of an answer on record; the same bytes and the same id each time."""
        return Outgoing(said.message.incident_id, self._envelope(said.event_id, said.message), said.value)

    def _envelope(self, event_id: UUID, message: Acknowledgement) -> Envelope:
        return Envelope(
            id=event_id,
            type=ACKNOWLEDGEMENT,
            source=f"department.{self.department}",
            subject=str(message.incident_id),
            time=message.answered_at,
            status=message.status,
        )


def _same(said: Said, answer: Answer, words: dict[str, str | None]) -> bool:
    return said.message.answer is answer and said.message.delegate_to == words.get("delegate_to")


def _read_back(said: list[Said], words: dict[str, str | None]) -> bool:
    given = [each.message.read_back for each in said] + [words.get("read_back")]
    return any(text and text.strip() for text in given)
