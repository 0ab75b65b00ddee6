"""Time segments count everybody, the silent ones too, and say nothing that the numbers can't carry."""

from datetime import datetime, timedelta
from fractions import Fraction
from math import comb, inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.drill import Segment
from services.domain.segments import (
    BOUND_NEEDS,
    NEVER,
    Alarm,
    Order,
    Quantile,
    segments_of,
    summarize,
    upper_bound,
)
from tests.domain.builders import START, make_id

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
INCIDENT = make_id(1)

times = st.lists(st.integers(0, 10_000), max_size=80)
counts = st.integers(0, 40)


def alarm(**changes: datetime | None) -> Alarm:
    known = {
        "sent_at": START,
        "broker_at": START + 2 * SECOND,
        "accepted_at": START + 5 * SECOND,
        "published_at": START + 9 * SECOND,
    }
    return Alarm(INCIDENT, **{**known, **changes})  # type: ignore[arg-type]


def order(number: int = 2, *, after: timedelta = timedelta(0), **changes: object) -> Order:
    """An order that is issued ``after`` the start, received a second later, and watched for ten minutes."""
    issued_at = START + after
    values: dict[str, object] = {
        "department": "police",
        "task": "cordon",
        "issued_at": issued_at,
        "delivered_at": issued_at + SECOND,
        "closed_at": issued_at + 10 * MINUTE,
        "acknowledge_by": issued_at + 2 * MINUTE,
    }
    return Order(make_id(number), INCIDENT, **{**values, **changes})  # type: ignore[arg-type]


def seconds(value: Quantile) -> float | None:
    if value is None:
        return None
    return inf if value is NEVER else value / SECOND


def test_an_alarm_is_timed_from_its_source_to_its_first_order() -> None:
    observed = segments_of([alarm()], [])
    took = {each.segment: each.took for each in observed.found}
    assert took == {
        Segment.ALARM_TRANSFER: 2 * SECOND,
        Segment.ALARM_ANSWERING: 3 * SECOND,
        Segment.ALARM_PROCESSING: 4 * SECOND,
        Segment.ALARM_HANDLING: 9 * SECOND,
    }


def test_handling_is_known_where_the_brokers_time_is_not() -> None:
    observed = segments_of([alarm(broker_at=None)], [])
    assert {each.segment for each in observed.found} == {Segment.ALARM_PROCESSING, Segment.ALARM_HANDLING}


def test_an_alarm_without_an_order_has_no_handling_and_no_mobilization() -> None:
    observed = segments_of([alarm(published_at=None)], [order(committed_at=START + MINUTE)])
    assert observed.of(Segment.ALARM_HANDLING) == ([], 0)
    assert observed.of(Segment.MOBILIZATION) == ([], 0)
    assert observed.of(Segment.TURNOUT) == ([59 * SECOND], 0)


def test_turnout_ends_with_the_commitment_or_the_start_whichever_is_first() -> None:
    committed = order(2, committed_at=START + 30 * SECOND, started_at=START + 60 * SECOND)
    started = order(3, started_at=START + 20 * SECOND, committed_at=START + 40 * SECOND)
    observed = segments_of([], [committed, started])
    assert observed.of(Segment.TURNOUT) == ([29 * SECOND, 19 * SECOND], 0)


def test_turnout_without_a_receipt_starts_at_the_order() -> None:
    observed = segments_of([], [order(delivered_at=None, committed_at=START + MINUTE)])
    assert observed.of(Segment.TURNOUT) == ([MINUTE], 0)


def test_mobilization_is_handling_and_turnout() -> None:
    observed = segments_of([alarm()], [order(committed_at=START + MINUTE), order(3)])
    assert observed.of(Segment.MOBILIZATION) == ([9 * SECOND + 59 * SECOND], 1)


def test_travel_is_known_of_those_who_arrived_only() -> None:
    arrived = order(started_at=START + MINUTE, arrived_at=START + 5 * MINUTE)
    underway = order(3, started_at=START + MINUTE)
    never_started = order(4, arrived_at=START + MINUTE)
    assert segments_of([], [arrived, underway, never_started]).of(Segment.TRAVEL) == ([4 * MINUTE], 0)


def test_who_never_answers_is_censored_and_who_says_no_has_answered() -> None:
    observed = segments_of([], [order(2), order(3, refused=True)])
    assert observed.of(Segment.TURNOUT) == ([], 1)
    assert observed.cut_short == 0


def test_an_order_taken_back_before_its_time_was_over_says_nothing() -> None:
    early = order(2, closed_at=START + 2 * MINUTE - SECOND)
    on_time = order(3, closed_at=START + 2 * MINUTE)
    without_deadline = order(4, acknowledge_by=None)
    observed = segments_of([], [early, on_time, without_deadline])
    assert observed.of(Segment.TURNOUT) == ([], 1)
    assert observed.cut_short == 2


def test_who_failed_after_taking_it_on_had_a_turnout() -> None:
    observed = segments_of([], [order(committed_at=START + MINUTE, refused=True)])
    assert observed.of(Segment.TURNOUT) == ([59 * SECOND], 0)


def test_what_ended_before_it_began_is_set_aside_and_counted() -> None:
    wrong_clock = order(committed_at=START)
    observed = segments_of([alarm(broker_at=START - SECOND)], [wrong_clock, order(3, committed_at=START - MINUTE)])
    assert observed.impossible == {Segment.ALARM_TRANSFER: 1, Segment.TURNOUT: 2}
    assert observed.of(Segment.TURNOUT) == ([], 0)
    assert observed.of(Segment.MOBILIZATION) == ([], 0)


def test_observations_can_be_asked_for_by_department_and_task() -> None:
    orders = [
        order(2, committed_at=START + 11 * SECOND),
        order(3, committed_at=START + 21 * SECOND, department="fire"),
        order(4, committed_at=START + 31 * SECOND, task="rescue"),
    ]
    observed = segments_of([], orders)
    assert observed.of(Segment.TURNOUT, department="fire") == ([20 * SECOND], 0)
    assert observed.of(Segment.TURNOUT, tasks=["rescue"]) == ([30 * SECOND], 0)
    one_by_one = [(each.assignment_id, each.department, each.task) for each in observed.found]
    assert one_by_one == [(each.assignment_id, each.department, each.task) for each in orders]


@given(
    st.lists(st.tuples(st.sampled_from(["police", "fire"]), st.one_of(st.none(), st.integers(0, 9_000))), max_size=80)
)
def test_a_segment_is_summed_up_as_its_times_are_for_all_and_for_each_department(
    found: list[tuple[str, int | None]],
) -> None:
    orders = [
        order(number, department=department, committed_at=None if took is None else START + (took + 1) * SECOND)
        for number, (department, took) in enumerate(found, 2)
    ]
    observed = segments_of([alarm()], orders)
    for segment in (Segment.TURNOUT, Segment.MOBILIZATION):
        assert observed.summary(segment, MINUTE) == summarize(*observed.of(segment), MINUTE)
        assert observed.by_department(segment, MINUTE) == {
            department: summarize(*observed.of(segment, department=department), MINUTE)
            for department in dict.fromkeys(department for department, _ in found)
        }
    assert observed.summary(Segment.ALARM_HANDLING).longest == 9 * SECOND


def test_nothing_observed_is_summed_up_as_nothing() -> None:
    summary = summarize([], 0, MINUTE)
    assert (summary.n, summary.p50, summary.longest) == (0, None, None)
    assert (summary.within_target, summary.never_responded) == (None, None)
    assert set(summary.bounds.values()) == {None}


def test_without_a_target_there_is_no_share_within_it() -> None:
    assert summarize([SECOND], 0).within_target is None


def test_the_target_itself_is_within_it_and_the_silent_are_not() -> None:
    summary = summarize([MINUTE, MINUTE + SECOND], 2, MINUTE)
    assert (summary.within_target, summary.never_responded) == (0.25, 0.5)


def test_a_percentile_that_falls_on_the_silent_is_never() -> None:
    summary = summarize([SECOND] * 8, 2)
    assert (summary.p50, summary.p90) == (SECOND, NEVER)


@pytest.mark.parametrize(("name", "needs"), [("p90", 10), ("p95", 20)])
def test_a_percentile_is_told_from_enough_observations_on(name: str, needs: int) -> None:
    assert getattr(summarize([SECOND] * (needs - 1), 0), name) is None
    assert getattr(summarize([SECOND] * needs, 0), name) == SECOND


@pytest.mark.parametrize(("percent", "needs"), [(90, 29), (95, 59), (99, 299)])
def test_an_upper_bound_exists_from_the_known_sizes_on(percent: int, needs: int) -> None:
    assert BOUND_NEEDS[percent] == needs
    assert summarize([SECOND] * (needs - 1), 0).bounds[percent] is None
    assert summarize([SECOND] * needs, 0).bounds[percent] == SECOND


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        summarize([], -1)


@given(values=times, censored=counts, target=st.integers(0, 10_000))
def test_a_summary_equals_the_plain_reckoning_with_the_silent_at_infinity(
    values: list[int], censored: int, target: int
) -> None:
    summary = summarize([value * SECOND for value in values], censored, target * SECOND)
    everybody: list[float] = sorted([float(value) for value in values] + [inf] * censored)
    n = len(everybody)
    assert (summary.n, summary.censored) == (n, censored)
    for percent, found, needs in ((50, summary.p50, 1), (90, summary.p90, 10), (95, summary.p95, 20)):
        # The smallest value that at least so many percent do not exceed: the definition, not a rank formula.
        reached = (value for value in everybody if sum(other <= value for other in everybody) * 100 >= percent * n)
        assert seconds(found) == (next(reached) if n >= needs else None)
    if n:
        assert summary.within_target == sum(value <= target for value in everybody) / n
        assert summary.never_responded == everybody.count(inf) / n
    assert seconds(summary.longest) == (max(values) if values else None)


@given(n=st.integers(1, 400), percent=st.sampled_from([90, 95, 99]))
def test_an_upper_bound_is_the_first_order_statistic_that_is_sure_enough(n: int, percent: int) -> None:
    ordered = [rank * SECOND for rank in range(1, n + 1)]
    p = Fraction(percent, 100)
    below, expected = Fraction(0), None
    for successes in range(n):
        below += comb(n, successes) * p**successes * (1 - p) ** (n - successes)
        if below >= Fraction(95, 100):
            expected = successes + 1
            break
    assert seconds(upper_bound(ordered, n, percent)) == expected


def test_an_upper_bound_can_be_never() -> None:
    assert summarize([SECOND] * 20, 9).bounds[90] is NEVER


def test_an_upper_bound_over_a_million_is_near_the_percentile() -> None:
    ordered = [rank * SECOND for rank in range(1_000_000)]
    found = seconds(upper_bound(ordered, len(ordered), 90))
    assert found is not None
    assert 900_000 < found < 901_000
