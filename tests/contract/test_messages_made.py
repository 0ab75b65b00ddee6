"""Messages made of checked values are the messages that pydantic makes."""

from datetime import UTC, datetime

from uuid_utils.compat import uuid7

from schemas.base import Message
from schemas.envelope import write_value
from schemas.timeline import Entry, TimelineEntry
from schemas.vocabulary import Status
from tests.services.support import report


def test_a_message_of_checked_values_is_as_pydantic_makes_it() -> None:
    values = {
        "entry_id": uuid7(),
        "incident_id": uuid7(),
        "status": Status.EXERCISE,
        "entry": Entry.REPORTED,
        "detail": {"n": 1},
        "occurred_at": datetime.now(UTC),
        "recorded_at": datetime.now(UTC),
    }
    checked = TimelineEntry.model_validate(values)
    made: Message = TimelineEntry.of_checked(**values)
    assert made == checked
    assert write_value(made) == write_value(checked)
    assert made.model_copy(update={"by": "Li"}).model_dump(exclude_unset=True) == {**values, "by": "Li"}
    told = report()
    assert type(told).of_checked(**dict(told)) == told
