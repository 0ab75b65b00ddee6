"""Ids: valid UUIDv7s, the same for the same event, and in the order they were given."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from schemas.base import Id
from services.domain.identity import derive_id
from tests.domain.builders import MINUTE, START, Desk, make_id, make_plan, make_playbook, make_task

MOMENTS = st.integers(1, 7_000_000_000_000_000).map(
    lambda microseconds: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
)


@given(MOMENTS, st.uuids(), st.integers(1, 2**20 - 1))
def test_every_id_is_a_valid_uuid7_that_carries_the_millisecond_it_was_given(
    now: datetime, event_id: UUID, number: int
) -> None:
    made = derive_id(now, event_id, number)
    assert TypeAdapter(Id).validate_python(str(made)) == made
    assert made.version == 7
    assert made.variant == "specified in RFC 4122"
    carried = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=made.int >> 80)
    assert timedelta() <= now - carried < timedelta(milliseconds=2)


@given(MOMENTS, st.uuids(), st.integers(1, 2**20 - 2))
def test_ids_of_one_event_are_repeatable_and_sort_in_the_order_they_were_given(
    now: datetime, event_id: UUID, number: int
) -> None:
    assert derive_id(now, event_id, number) == derive_id(now, event_id, number)
    assert derive_id(now, event_id, number) < derive_id(now, event_id, number + 1)


def test_ids_of_different_events_and_moments_differ() -> None:
    ids = {derive_id(START + step * MINUTE, make_id(event), 1) for step in range(3) for event in range(3)}
    assert len(ids) == 9


def test_the_timeline_and_the_assignments_of_one_decision_sort_by_id_in_the_order_they_were_made() -> None:
    desk = Desk(make_playbook(make_plan(*(make_task(f"task-{number}") for number in range(300)))))
    desk.report()
    entries = [entry.entry_id for entry in desk.entries]
    assert len(entries) > 300
    assert entries == sorted(entries)
    assert list(desk.state.assignments) == sorted(desk.state.assignments)
