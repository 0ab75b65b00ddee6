"""Inputs are decided again in the order of the first time, and those nobody had decided after all others."""

from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from schemas.envelope import ACKNOWLEDGEMENT, INCIDENT, Envelope
from schemas.timeline import Entry, TimelineEntry
from schemas.vocabulary import Status
from services.domain.identity import derive_id
from services.platform.catch_up import _steps
from services.platform.clock import SystemClock
from services.platform.kafka import Origin, Received
from tests.domain.builders import START, make_id

SECOND = timedelta(seconds=1)


def came(number: int, offset: int, after: int, *, type_: str = ACKNOWLEDGEMENT, topic: str = "answers") -> Received:
    at = START + after * SECOND
    envelope = Envelope(make_id(number), type_, "test", str(make_id(1)), at, Status.ACTUAL)
    return Received(Origin(topic, 0, offset, at), cast("Any", None), envelope, cast("Any", None))


def entry(event: UUID, after: int, *, incident: int = 1) -> TimelineEntry:
    at = START + after * SECOND
    return TimelineEntry(
        entry_id=derive_id(at, event, 1),
        incident_id=make_id(incident),
        status=Status.ACTUAL,
        entry=Entry.COMMITTED,
        occurred_at=at,
        recorded_at=at,
    )


def steps(inputs: list[Received], lost: list[TimelineEntry]) -> list[tuple[UUID | None, datetime | None]]:
    return [
        (step.record.envelope.id if step.record else None, step.at if step.exact else None)
        for step in _steps(inputs, lost, SystemClock())
    ]


def test_what_nobody_had_decided_comes_after_all_that_was() -> None:
    behind = came(12, offset=7, after=2)  # taken by the broker before the other topic's, never read
    decided = came(13, offset=0, after=3, type_=INCIDENT, topic="incidents")
    assert steps([behind, decided], [entry(decided.envelope.id, 5)]) == [
        (decided.envelope.id, START + 5 * SECOND),
        (behind.envelope.id, None),
    ]


def test_what_left_no_entry_was_decided_before_what_came_behind_it() -> None:
    quiet, decided, late = came(12, offset=3, after=4), came(13, offset=4, after=4), came(14, offset=2, after=9)
    assert steps([quiet, decided, late], [entry(decided.envelope.id, 6)]) == [
        (late.envelope.id, START + 4 * SECOND),
        (quiet.envelope.id, START + 4 * SECOND),
        (decided.envelope.id, START + 6 * SECOND),
    ]


def test_a_moment_that_no_input_accounts_for_is_one_at_which_time_passed() -> None:
    decided = came(12, offset=0, after=1)
    lost = [entry(decided.envelope.id, 2), entry(make_id(99), 4)]
    assert steps([decided], lost) == [(decided.envelope.id, START + 2 * SECOND), (None, START + 4 * SECOND)]


def test_a_timer_that_fired_twice_fires_twice_again() -> None:
    assert steps([], [entry(make_id(99), 4), entry(make_id(99), 8)]) == [
        (None, START + 4 * SECOND),
        (None, START + 8 * SECOND),
    ]


def test_time_passed_for_one_incident_while_another_one_was_decided_about() -> None:
    decided = came(12, offset=0, after=1)
    assert steps([decided], [entry(decided.envelope.id, 2), entry(make_id(99), 2, incident=2)]) == [
        (decided.envelope.id, START + 2 * SECOND),
        (None, START + 2 * SECOND),
    ]
