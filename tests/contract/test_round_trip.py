"""Whatever can be said in a contract is read back as it was said."""

import json
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from schemas.acknowledgement import Acknowledgement
from schemas.assignment import Assignment
from schemas.command import Command
from schemas.drill import DrillDocument
from schemas.envelope import (
    ACKNOWLEDGEMENT,
    ASSIGNMENT,
    COMMAND,
    INCIDENT,
    TIMELINE,
    Envelope,
    read_message,
    write_value,
)
from schemas.incident import IncidentReport
from schemas.plan import DirectoryDocument, PlanDocument
from schemas.timeline import TimelineEntry
from tests.contract.strategies import JSON, TEXT, instances, uuid7s

MESSAGES: list[tuple[type[BaseModel], str]] = [
    (IncidentReport, INCIDENT),
    (Assignment, ASSIGNMENT),
    (Acknowledgement, ACKNOWLEDGEMENT),
    (TimelineEntry, TIMELINE),
    *((command, COMMAND) for command in get_args(get_args(Command)[0])),
]
WIDE = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@pytest.mark.parametrize(("model", "kind"), MESSAGES, ids=lambda given: getattr(given, "__name__", ""))
@WIDE
@given(data=st.data())
def test_a_message_is_read_as_it_was_written(model: type[BaseModel], kind: str, data: st.DataObject) -> None:
    """Headers, bytes, and what a later version added."""
    message: Any = data.draw(instances(model))
    added = data.draw(st.dictionaries(st.text(TEXT, min_size=1, max_size=5).map("later_{}".format), JSON, max_size=2))
    message = model.model_validate(
        message.model_dump() | {name: said for name, said in added.items() if said is not None}
    )
    envelope = Envelope(data.draw(uuid7s()), kind, "muster/test", "", datetime.now(UTC), message.status)
    assert read_message(envelope.headers(), write_value(message), kind) == (envelope, message)


@pytest.mark.parametrize("model", [PlanDocument, DirectoryDocument, DrillDocument], ids=lambda model: model.__name__)
@WIDE
@given(data=st.data())
def test_a_document_is_stored_and_read_back_the_same(model: type[BaseModel], data: st.DataObject) -> None:
    document = data.draw(instances(model))
    stored = json.dumps(document.model_dump(mode="json"))
    assert model.model_validate_json(stored) == document
