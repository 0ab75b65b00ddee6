"""Which groups are named before events are decided; `Desk` sees with every event that they are enough."""

from collections.abc import Iterable

from schemas.command import Activate, ChangeLevel, StandDown
from schemas.vocabulary import Answer, Category, MessageType
from services.domain.decision import Decision, Event, Outcome, TimePassed
from services.domain.groups import groups_at_stake
from services.domain.incident import Incident
from services.domain.matching import group_key
from services.domain.plan import Call, Match, Once
from tests.domain.builders import HOUR, MINUTE, TWO_LEVELS, Desk, make_area, make_plan, make_playbook, make_report

BY_AREA = Once(HOUR, ("area",))
MET = Match(frozenset({Category.MET}), once=BY_AREA)
CBRNE = Match(frozenset({Category.CBRNE}), once=BY_AREA)
FLOOD = make_plan(match=MET, levels=TWO_LEVELS, calls=(Call("shelter"), Call("unheard-of")))
SHELTER = make_plan(name="shelter", match=CBRNE, calls=(Call("flood"), Call("spill")))
SPILL = make_plan(name="spill", match=CBRNE)
FIRE = make_plan(name="fire", match=CBRNE)
PLAYBOOK = make_playbook(FLOOD, SHELTER, SPILL, FIRE)
NORTH, SOUTH = make_area("North bank"), make_area("South bank")


def named(events: Iterable[Event], known: Incident | None = None) -> set[str]:
    given = [event for event in events if not isinstance(event, TimePassed)]
    return groups_at_stake(given, {} if known is None else {known.id: known}, PLAYBOOK)


def touched(decisions: Iterable[Decision]) -> set[str]:
    return {group for decision in decisions for group in (*decision.opened, *decision.released)}


def test_groups_of_all_that_a_report_may_put_into_force_are_named_through_every_call() -> None:
    desk = Desk(PLAYBOOK)
    desk.report(areas=(NORTH,))
    expected = {group_key(plan, make_report(areas=(NORTH,))) for plan in (FLOOD, SHELTER, SPILL)}
    assert named(desk.events) == touched(desk.decisions) == expected


def test_groups_are_named_for_events_that_follow_each_other() -> None:
    """As in a batch: what a report opens, the next may move to another area, and a command stand down."""
    desk = Desk(PLAYBOOK)
    desk.report(areas=(NORTH,))
    desk.now += MINUTE
    desk.command(Activate, plan="fire", level=None)
    desk.command(ChangeLevel, plan="flood", level="I")
    desk.command(StandDown, plan=None)
    desk.update(areas=(SOUTH,))
    desk.command(Activate, plan="unheard-of", level=None)
    found = touched(desk.decisions)
    assert found <= named(desk.events)
    moved = [(FLOOD, NORTH), (SPILL, NORTH), (FIRE, NORTH), (FLOOD, SOUTH)]
    assert {group_key(plan, make_report(areas=(where,))) for plan, where in moved} <= found


def test_a_report_that_comes_late_has_no_say_in_where_the_next_one_belongs() -> None:
    """The next one is silent about the place, so that it is where the newest word before it has it."""
    other = Desk(PLAYBOOK)
    other.report(areas=(NORTH,))
    desk = Desk(PLAYBOOK, incident=2, openings=other.openings)
    desk.report(categories=(Category.FIRE,), areas=(NORTH,))
    known = desk.state
    desk.report(categories=(Category.FIRE,), areas=(SOUTH,), reported_at=desk.now - MINUTE)
    desk.now += MINUTE
    desk.update(categories=(Category.MET,), areas=())
    assert [decision.outcome for decision in desk.decisions[1:]] == [Outcome.LATE, Outcome.JOINED]
    assert group_key(FLOOD, make_report(areas=(NORTH,))) in named(desk.events[1:], known)


def test_answers_what_is_over_and_commands_about_nothing_name_no_group() -> None:
    desk = Desk(PLAYBOOK)
    desk.report(areas=(NORTH,))
    desk.answer(desk.of("police"), Answer.COMMIT)
    assert named(desk.events[-1:], desk.state) == set()
    desk.command(StandDown, plan=None)
    desk.report(MessageType.CANCEL, categories=(Category.HEALTH,))
    assert named(desk.events[-1:], desk.state) == set()
    stranger = Desk(PLAYBOOK, incident=2)
    stranger.command(Activate, plan="flood", level=None)
    assert stranger.last.outcome is Outcome.INVALID
    assert named(stranger.events) == set()
