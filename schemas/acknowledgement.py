"""What a department answers about an assignment."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from schemas.base import PERSONAL_DATA, Id, Message, Slug, Time
from schemas.vocabulary import Answer, Status

Note = Annotated[str, Field(max_length=4_000)]

NEEDS_REASON = frozenset({Answer.DECLINE, Answer.BLOCK, Answer.FAIL, Answer.DELEGATE})
"""Answers that say no, or not yet: they must say why."""


class Acknowledgement(Message):
    """A department's answer. ``answered_at`` is the department's own clock; ``by`` names the person.

    ``reason`` is required to decline, block, fail or delegate; ``delegate_to`` names the other department.
    """

    assignment_id: Id
    incident_id: Id
    status: Status
    department: Slug
    answer: Answer
    answered_at: Time
    by: Annotated[Annotated[str, Field(max_length=200)] | None, PERSONAL_DATA] = None
    note: Annotated[Note | None, PERSONAL_DATA] = None
    reason: Annotated[Note | None, PERSONAL_DATA] = None
    read_back: Annotated[Note | None, PERSONAL_DATA] = None
    delegate_to: Slug | None = None

    @model_validator(mode="after")
    def _says_why(self) -> Self:
        if self.answer in NEEDS_REASON and not (self.reason and self.reason.strip()):
            raise ValueError(f"reason: {self.answer} must say why")
        if (self.answer is Answer.DELEGATE) != (self.delegate_to is not None):
            raise ValueError("delegate_to: name the other department when delegating, and only then")
        return self
