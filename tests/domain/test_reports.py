"""Reports: a first one opens an incident, later ones update or cancel it, and like ones are answered once."""

from datetime import timedelta
from typing import Any

import pytest

from schemas.command import Activate, Close, StandDown
from schemas.envelope import write_value
from schemas.incident import IncidentReport
from schemas.timeline import Entry
from schemas.vocabulary import (
    ActivationMode,
    ActivationState,
    Answer,
    AssignmentState,
    Category,
    Certainty,
    MessageType,
    Notice,
    Severity,
    Status,
    Urgency,
)
from services.domain.decision import Decision, Outcome, Reported
from services.domain.incident import Phase
from services.domain.matching import group_key
from services.domain.plan import Match, Once
from services.domain.reports import merge
from tests.domain.builders import (
    HOUR,
    MINUTE,
    START,
    TWO_LEVELS,
    Desk,
    make_alert,
    make_area,
    make_plan,
    make_playbook,
    make_report,
    make_role,
    make_task,
    measured,
    reported,
)

PLAN = make_plan(levels=TWO_LEVELS)
ONCE = Match(frozenset({Category.MET}), once=Once(HOUR, ("event",)))
ONCE_PLAN = make_plan(match=ONCE, levels=TWO_LEVELS)


def test_a_first_report_is_on_record_with_the_time_it_was_sent() -> None:
    desk = reported(PLAN, alert=make_alert(START - MINUTE))
    [told] = desk.told(Entry.REPORTED)
    assert (told.occurred_at, told.recorded_at, told.by) == (START - MINUTE, START, "weather-office")
    assert told.detail["severity"] == "Moderate"


def test_an_update_says_what_changed_and_keeps_what_it_is_silent_about() -> None:
    desk = reported(PLAN, headline="River rising", areas=(make_area("North bank"),))
    desk.now += MINUTE
    decision = desk.apply(
        Reported(
            desk.new_event_id(),
            IncidentReport(
                incident_id=desk.incident_id,
                status=Status.ACTUAL,
                message_type=MessageType.UPDATE,
                severity=Severity.SEVERE,
                reported_at=desk.now,
                reported_by="fire-watch",
            ),
        )
    )
    assert (decision.outcome, decision.reason) == (Outcome.UPDATED, "no further plan answers it")
    now = desk.state.report
    assert (now.headline, now.categories, now.severity) == ("River rising", (Category.MET,), Severity.SEVERE)
    assert (now.reported_by, now.message_type) == ("fire-watch", MessageType.UPDATE)
    assert desk.told(Entry.UPDATED)


def test_an_update_that_came_over_the_wire_keeps_what_it_is_silent_about() -> None:
    """On the wire a field that was not given looks like one that is empty or Unknown."""
    known = make_report(
        areas=(make_area("North bank", "006037"),),
        parameters={"depth": 3.0, "wind": 9.0},
        event_codes={"SAME": ("FFW",)},
        urgency=Urgency.IMMEDIATE,
        certainty=Certainty.OBSERVED,
        alert=make_alert(START),
    )
    news = IncidentReport(
        incident_id=known.incident_id,
        status=Status.ACTUAL,
        message_type=MessageType.UPDATE,
        parameters={"depth": 3.5},
        reported_at=START + MINUTE,
        reported_by="fire-watch",
    )
    for told in (news, IncidentReport.model_validate_json(write_value(news))):
        merged = merge(known, told)
        kept = ("categories", "event", "severity", "urgency", "certainty", "areas", "event_codes")
        assert all(getattr(merged, name) == getattr(known, name) for name in kept)
        assert merged.parameters == {"depth": 3.5, "wind": 9.0}
        assert (merged.alert, merged.reported_at, merged.reported_by) == (None, START + MINUTE, "fire-watch")


def test_what_a_newer_version_of_the_sender_adds_is_kept_through_an_update() -> None:
    known = make_report(incident_commander="Li")
    assert merge(known, make_report(weather="rain")).model_extra == {"incident_commander": "Li", "weather": "rain"}


@pytest.mark.parametrize("kind", [MessageType.UPDATE, MessageType.ALERT, MessageType.CANCEL])
def test_an_older_report_that_arrives_later_is_noted_and_changes_nothing(kind: MessageType) -> None:
    desk = reported(PLAN, alert=make_alert(START - 2 * MINUTE))
    before = desk.state
    decision = desk.report(kind, severity=Severity.EXTREME, alert=make_alert(START - 3 * MINUTE, "alert-0"))
    assert decision.outcome is Outcome.LATE
    assert (decision.incident, decision.orders) == (before, ())
    assert [entry.entry for entry in decision.entries] == [Entry.REPEATED]


def test_a_report_by_phone_counts_among_alerts_by_when_it_was_taken_in() -> None:
    desk = reported(PLAN, alert=make_alert(START))
    desk.now += 5 * MINUTE
    desk.update(severity=Severity.EXTREME)
    decision = desk.update(severity=Severity.MINOR, alert=make_alert(START + 2 * MINUTE, "alert-2"))
    assert decision.outcome is Outcome.LATE
    assert desk.activation().level == "I"


def test_a_sender_whose_clock_is_fast_does_not_make_all_that_follows_late() -> None:
    desk = reported(PLAN, alert=make_alert(START + timedelta(days=3)))
    desk.now += MINUTE
    assert desk.update(severity=Severity.EXTREME, alert=make_alert(desk.now, "alert-2")).outcome is Outcome.UPDATED
    assert desk.cancel(alert=make_alert(desk.now, "alert-3")).outcome is Outcome.CANCELLED


def test_the_same_alert_again_changes_nothing() -> None:
    desk = reported(PLAN, alert=make_alert(START))
    desk.command(StandDown)
    before = desk.state
    desk.now += MINUTE
    decision = desk.report(alert=make_alert(START))
    assert decision.outcome is Outcome.REPEATED
    assert (decision.incident, decision.entries, decision.orders) == (before, (), ())


def test_other_news_under_the_same_alerts_name_is_still_heard() -> None:
    desk = reported(PLAN, alert=make_alert(START), severity=Severity.MINOR)
    desk.now += MINUTE
    decision = desk.report(alert=make_alert(START), severity=Severity.EXTREME)
    assert decision.outcome is Outcome.UPDATED
    assert desk.activation().level == "I"


def test_a_cancellation_that_wrongly_carries_the_alerts_own_name_is_still_heard() -> None:
    desk = reported(PLAN, alert=make_alert(START))
    assert desk.cancel(alert=make_alert(START)).outcome is Outcome.CANCELLED


def test_a_report_of_another_status_cannot_touch_the_incident() -> None:
    desk = reported(PLAN)
    before = desk.state
    decision = desk.update(status=Status.EXERCISE, severity=Severity.EXTREME)
    assert decision.outcome is Outcome.INVALID
    assert (decision.incident, decision.entries, decision.orders) == (before, (), ())


def test_an_update_may_bring_a_further_plan_into_force() -> None:
    desk = reported(PLAN, make_plan(name="fire", match=Match(frozenset({Category.FIRE}))))
    assert desk.update(categories=(Category.MET, Category.FIRE)).outcome is Outcome.ACTIVATED
    assert desk.activation("fire").state is ActivationState.ACTIVATED
    assert len(desk.assignments()) == 2


def test_an_update_without_any_answering_plan_is_told_with_attention_every_time() -> None:
    desk = reported(PLAN, categories=(Category.HEALTH,))
    decision = desk.update(categories=(Category.HEALTH,))
    assert decision.outcome is Outcome.UPDATED
    assert [entry.attention for entry in desk.told(Entry.NO_PLAN)] == [True, True]


def test_a_cancellation_stands_waiting_and_standby_plans_down_and_closes_the_incident() -> None:
    standby = make_plan(make_task("listen", levels=frozenset({"standby"})), mode=ActivationMode.STANDBY)
    confirm = make_plan(name="storm", mode=ActivationMode.CONFIRM)
    desk = reported(standby, confirm)
    decision = desk.cancel()
    assert (decision.outcome, decision.reason) == (Outcome.CANCELLED, "nothing stays in force")
    assert {a.state for a in desk.state.activations.values()} == {ActivationState.STOOD_DOWN}
    assert desk.sent("police") == [Notice.ISSUED, Notice.CANCELLED]
    assert desk.state.cancelled
    assert desk.phase() is Phase.CLOSED
    desk.run(HOUR)
    assert desk.told(Entry.CONFIRMATION_OVERDUE) == []


def test_a_cancellation_asks_the_officer_about_an_activated_plan_and_changes_none_of_its_orders() -> None:
    desk = reported(PLAN)
    desk.now += MINUTE
    decision = desk.cancel(alert=make_alert(START + timedelta(seconds=50)))
    assert decision.reason == "the duty officer decides whether to stand down: flood"
    assert desk.activation().state is ActivationState.ACTIVATED
    assert desk.of("police").state is AssignmentState.ISSUED
    [told] = desk.told(Entry.CANCEL_RECEIVED)
    assert (told.attention, told.detail["asked"]) == (True, ["flood"])
    assert (told.occurred_at, told.by) == (START + timedelta(seconds=50), "weather-office")
    assert (desk.phase(), desk.state.cancelled) == (Phase.OPEN, True)


def test_a_cancellation_stands_an_activated_plan_down_where_the_plan_says_so() -> None:
    desk = reported(make_plan(stand_down_on_cancel=True))
    desk.cancel()
    assert desk.activation().state is ActivationState.STOOD_DOWN
    assert desk.sent("police") == [Notice.ISSUED, Notice.CANCELLED]
    assert desk.phase() is Phase.CLOSED


def test_a_cancellation_of_something_unknown_opens_and_closes() -> None:
    desk = Desk(make_playbook(PLAN))
    decision = desk.cancel()
    assert decision.outcome is Outcome.CANCELLED
    assert [entry.entry for entry in decision.entries] == [Entry.REPORTED, Entry.CANCEL_RECEIVED, Entry.CLOSED]
    assert desk.phase() is Phase.CLOSED
    assert decision.orders == ()


def test_a_cancellation_after_the_end_leaves_the_incident_closed() -> None:
    desk = reported(PLAN)
    desk.command(Close)
    desk.cancel()
    assert desk.phase() is Phase.CLOSED
    assert len(desk.told(Entry.CLOSED)) == 1


def test_a_cancellation_leaves_alone_what_was_stood_down_before() -> None:
    desk = reported(ONCE_PLAN)
    desk.command(StandDown)
    stood_down_at = desk.activation().stood_down_at
    desk.now += MINUTE
    decision = desk.cancel(alert=make_alert(desk.now))
    assert desk.activation().stood_down_at == stood_down_at
    assert [entry.entry for entry in decision.entries] == [Entry.CANCEL_RECEIVED, Entry.CLOSED]
    assert decision.released == ()


def test_an_update_after_a_cancellation_speaks_of_an_incident_that_is_on_again() -> None:
    desk = reported(PLAN)
    desk.cancel()
    desk.now += MINUTE
    desk.update(headline="it is rising after all")
    assert not desk.state.cancelled


def test_after_a_stand_down_a_further_report_waits_for_a_person() -> None:
    desk = reported(PLAN)
    desk.command(StandDown)
    desk.now += MINUTE
    decision = desk.update(severity=Severity.EXTREME)
    assert (decision.outcome, decision.orders) == (Outcome.AWAITING, ())
    assert decision.reason.startswith("flood: it was stood down before; ")
    assert [a.state for a in desk.state.activations.values()] == [
        ActivationState.STOOD_DOWN,
        ActivationState.MONITORING,
    ]
    desk.command(Activate, plan="flood")
    assert desk.sent("police") == [Notice.ISSUED, Notice.CANCELLED, Notice.ISSUED]


def test_a_report_after_the_close_opens_the_incident_again_but_orders_nothing_by_itself() -> None:
    desk = reported(PLAN)
    desk.command(Close)
    assert desk.told(Entry.CLOSED)[0].recorded_at == desk.state.closed_at
    desk.now += MINUTE
    decision = desk.update(severity=Severity.EXTREME)
    assert decision.orders == ()
    assert desk.phase() is Phase.OPEN
    assert "closed_at=None" in repr(desk.state)
    assert desk.told(Entry.PLAN_MATCHED)[-1].attention


# Reports that open one response


def two_desks(*plans: Any, **second: Any) -> tuple[Desk, Desk, Decision]:
    """Report one incident and, ten minutes later, another that shares the openings of the first."""
    playbook = make_playbook(*(plans or (ONCE_PLAN,)))
    openings: dict[str, Any] = {}
    one = Desk(playbook, openings=openings)
    one.report()
    two = Desk(playbook, incident=2, openings=openings, now=START + 10 * MINUTE)
    return one, two, two.report(**second)


def test_a_like_report_within_the_window_joins_the_response_and_orders_nothing() -> None:
    one, two, decision = two_desks()
    assert (decision.outcome, decision.orders) == (Outcome.JOINED, ())
    assert decision.reason == f"flood: joins the response to incident {one.incident_id}"
    assert (two.phase(), two.state.joined_to, two.state.activations) == (Phase.JOINED, one.incident_id, {})
    mine, theirs = two.told(Entry.JOINED)
    assert (mine.incident_id, mine.detail["joined_to"]) == (two.incident_id, str(one.incident_id))
    assert (theirs.incident_id, theirs.detail["joined_by"]) == (one.incident_id, str(two.incident_id))


def test_an_unlike_report_gets_a_response_of_its_own() -> None:
    _, two, decision = two_desks(event="Dam break")
    assert decision.outcome is Outcome.ACTIVATED
    assert two.phase() is Phase.OPEN


def test_a_like_report_after_the_window_gets_a_response_of_its_own() -> None:
    one, _, _ = two_desks()
    three = Desk(one.playbook, incident=3, openings=one.openings, now=START + HOUR)
    assert three.report().outcome is Outcome.ACTIVATED
    assert one.openings[three.activation().group_key or ""].incident_id == three.incident_id


def test_a_like_report_after_the_response_was_stood_down_gets_one_of_its_own() -> None:
    one, _, _ = two_desks()
    one.command(StandDown)
    assert one.last.released == (one.activation().group_key,)
    assert one.openings == {}
    three = Desk(one.playbook, incident=3, openings=one.openings, now=START + 20 * MINUTE)
    assert three.report().outcome is Outcome.ACTIVATED


def test_a_later_word_about_a_joined_incident_stays_with_the_response_also_after_the_window() -> None:
    one, two, _ = two_desks()
    two.now += 2 * HOUR
    decision = two.update(severity=Severity.EXTREME)
    assert (decision.outcome, decision.orders) == (Outcome.JOINED, ())
    assert [entry.incident_id for entry in decision.entries][-1] == one.incident_id
    assert decision.entries[-1].detail["severity"] == "Extreme"


def test_a_later_word_about_a_joined_incident_finds_its_own_response_once_the_other_has_ended() -> None:
    one, two, _ = two_desks()
    one.command(StandDown)
    two.now += 2 * HOUR
    assert two.update().outcome is Outcome.ACTIVATED
    assert two.phase() is Phase.OPEN
    assert two.sent("police") == [Notice.ISSUED]


def test_an_incident_is_not_joined_to_itself() -> None:
    desk = reported(ONCE_PLAN)
    desk.command(StandDown)
    desk.update()
    desk.command(StandDown)
    desk.command(Activate, plan="flood")
    desk.now += MINUTE
    assert desk.update().outcome is Outcome.UPDATED
    assert desk.state.joined_to is None


def test_cancelling_a_joined_incident_closes_it_and_tells_the_response_it_joined() -> None:
    one, two, _ = two_desks()
    two.now += MINUTE
    decision = two.cancel()
    assert decision.outcome is Outcome.CANCELLED
    assert two.phase() is Phase.CLOSED
    [told] = [entry for entry in decision.entries if entry.incident_id == one.incident_id]
    assert (told.entry, told.attention, told.detail["joined_by"]) == (
        Entry.CANCEL_RECEIVED,
        True,
        str(two.incident_id),
    )


def test_a_joined_incident_can_be_closed_by_a_person() -> None:
    _, two, _ = two_desks()
    two.command(Close)
    assert two.phase() is Phase.CLOSED


def test_an_officer_can_give_a_joined_incident_a_response_of_its_own() -> None:
    _, two, _ = two_desks()
    two.command(Activate, plan="flood")
    assert two.phase() is Phase.OPEN
    assert two.sent("police") == [Notice.ISSUED]


def test_joining_one_response_leaves_a_plan_of_ones_own_that_waits_for_a_person_in_place() -> None:
    confirm = make_plan(name="storm", mode=ActivationMode.CONFIRM, match=Match(frozenset({Category.GEO})))
    one, two, _ = two_desks(ONCE_PLAN, confirm, event="Landslide", categories=(Category.GEO,))
    assert two.phase() is Phase.OPEN
    decision = two.update(event="Flood", categories=(Category.GEO, Category.MET))
    assert decision.outcome is Outcome.JOINED
    assert two.state.joined_to == one.incident_id
    assert two.phase() is Phase.OPEN, "storm waits for a decision still"


def test_joining_a_response_does_not_stop_an_incident_from_closing() -> None:
    tidy = make_plan(
        make_task("close-roads"),
        make_task("tidy", stand_down=True),
        name="storm",
        match=Match(frozenset({Category.GEO})),
    )
    one, two, _ = two_desks(ONCE_PLAN, tidy, event="Landslide", categories=(Category.GEO,))
    two.command(Close)
    assert two.phase() is Phase.CLOSING
    two.playbook = make_playbook(ONCE_PLAN, frozen=(tidy,))
    assert two.update(event="Flood", categories=(Category.MET,)).outcome is Outcome.JOINED
    two.answer(two.of("police", "tidy"), Answer.COMPLETE)
    assert two.phase() is Phase.CLOSED
    assert one.phase() is Phase.OPEN


def test_a_plan_of_ones_own_and_a_joined_one_leave_the_incident_open() -> None:
    other = make_plan(name="storm")
    one, two, decision = two_desks(ONCE_PLAN, other)
    assert decision.outcome is Outcome.ACTIVATED
    assert (two.phase(), two.state.joined_to) == (Phase.OPEN, one.incident_id)
    assert [a.plan for a in two.state.activations.values()] == ["storm"]


@pytest.mark.parametrize(
    ("by", "like", "unlike"),
    [
        ("event", {"event": "FLOOD"}, {"event": None}),
        ("category", {"categories": (Category.MET,)}, {"categories": (Category.MET, Category.GEO)}),
        ("area", {"areas": (make_area("B"), make_area("a"))}, {"areas": (make_area("A"),)}),
        ("geocode", {"areas": (make_area("x", "2", "1"),)}, {"areas": (make_area("A", "1"), make_area("B"))}),
    ],
)
def test_reports_are_alike_in_what_the_plan_names(by: str, like: dict[str, Any], unlike: dict[str, Any]) -> None:
    plan = make_plan(match=Match(frozenset({Category.MET}), once=Once(HOUR, (by,))))
    base: dict[str, Any] = {"areas": (make_area("A", "1"), make_area("B", "2"))}
    known = group_key(plan, make_report(**base))
    assert known is not None
    assert group_key(plan, make_report(**base | like)) == known
    assert group_key(plan, make_report(**base | unlike)) != known


def test_reports_of_different_status_or_for_different_plans_are_never_alike() -> None:
    keys = {group_key(ONCE_PLAN, make_report(status=status)) for status in Status}
    keys.add(group_key(make_plan(name="storm", match=ONCE), make_report()))
    assert len(keys) == len(Status) + 1
    assert group_key(PLAN, make_report()) is None


def test_a_guard_that_holds_after_a_measurement_matches_on_the_update() -> None:
    match = Match(frozenset({Category.MET}), when=measured("depth", 2))
    desk = reported(make_plan(match=match, roles=(make_role("cordon", "police"),)), parameters={"depth": 1.0})
    assert desk.last.outcome is Outcome.NO_PLAN
    assert desk.update(parameters={"depth": 2.0}).outcome is Outcome.ACTIVATED


def test_two_places_that_nobody_named_are_not_taken_for_one() -> None:
    plan = make_plan(match=Match(frozenset({Category.MET}), once=Once(HOUR, ("event", "area", "geocode"))))
    assert group_key(plan, make_report()) is None
    assert group_key(plan, make_report(areas=(make_area("North bank"),))) is not None


def test_an_automatic_plan_that_waited_in_doubt_is_activated_once_the_report_is_clear() -> None:
    plan = make_plan(match=Match(frozenset({Category.MET}), areas=("north bank",)), levels=TWO_LEVELS)
    desk = reported(plan)
    assert desk.activation().state is ActivationState.MONITORING
    desk.now += MINUTE
    assert desk.update(areas=(make_area("North bank"),)).outcome is Outcome.ACTIVATED
    assert desk.activation().state is ActivationState.ACTIVATED


def test_a_plan_that_was_stood_down_waits_for_a_person_however_clear_the_report() -> None:
    plan = make_plan(match=Match(frozenset({Category.MET}), areas=("north bank",)), levels=TWO_LEVELS)
    desk = reported(plan, areas=(make_area("North bank"),))
    desk.command(StandDown)
    for minute in (1, 2):
        desk.now += minute * MINUTE
        desk.update(areas=(make_area("North bank"), make_area(f"Pier {minute}")))
    assert [a.state for a in desk.state.activations.values()] == [
        ActivationState.STOOD_DOWN,
        ActivationState.MONITORING,
    ]
