"""The checker finds nothing in a sound history, however interleaved and repeated, and each anomaly in a marred one."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faults.checker import Expected, Kind, check, recovery, redelivered, settled_at
from tests.faults.history import (
    AnswerSent,
    AnswerTaken,
    Decided,
    Entered,
    EntryRead,
    Held,
    History,
    Op,
    OrderRead,
    Record,
    ReportRefused,
    ReportSent,
    ReportTaken,
)

PLAN = Expected(
    tasks={"first": "fire", "second": "police", "later": "water"},
    after={"later": "first"},
    reminded=frozenset({"second"}),
)
TOLD = {
    "deliver": "assignment_delivered",
    "commit": "assignment_committed",
    "progress": "progress_noted",
    "complete": "assignment_completed",
}


@dataclass
class Story:
    """A history and its record while they are being made, or marred."""

    ops: list[Op]
    decisions: list[Decided]
    assignments: list[Held]
    entries: list[Entered]

    def record(self) -> Record:
        return Record(tuple(self.decisions), tuple(self.assignments), tuple(self.entries))

    def findings(self) -> set[Kind]:
        return {finding.kind for finding in check(self.ops, self.record(), PLAN)}


def _life(incident: str) -> tuple[list[Op], list[Decided], list[Held], list[Entered]]:
    ops: list[Op] = [
        ReportSent(0, f"key-{incident}"),
        ReportTaken(0, f"key-{incident}", f"report-{incident}", incident),
    ]
    decisions = [Decided(f"report-{incident}", incident, "activated")]
    entries: list[Entered] = []

    def tell(entry: str, assignment: str | None = None) -> None:
        entries.append(Entered(f"{incident}-{len(entries)}", incident, entry, assignment))
        ops.append(EntryRead(0, entries[-1].entry_id, incident, entry, assignment))

    tell("incident_reported")
    assignments = [Held(f"{incident}-{task}", incident, task, who, "completed") for task, who in PLAN.tasks.items()]
    for held in assignments:
        id_ = held.assignment
        tell("assignment_issued", id_)
        ops.append(OrderRead(0, held.department, f"order-{id_}", id_, incident, held.task, "issued", 1))
        if held.task in PLAN.reminded:
            tell("department_reminded", id_)
            ops.append(OrderRead(0, held.department, f"reminder-{id_}", id_, incident, held.task, "reminded", 2))
        for answer in PLAN.answers:
            event = f"{answer}-{id_}"
            ops.append(AnswerSent(0, held.department, event, id_, incident, answer))
            ops.append(AnswerTaken(0, event))
            decisions.append(Decided(event, incident, "applied"))
            tell(TOLD[answer], id_)
    return ops, decisions, assignments, entries


def interleave(chance: Random, *lives: list[Op]) -> list[Op]:
    """Merge histories, each in its own order, and tell some of what was seen again, later."""
    rest = [list(life) for life in lives]
    merged: list[Op] = []
    while any(rest):
        merged.append(chance.choice([life for life in rest if life]).pop(0))
        if merged and chance.random() < 0.2:
            again = chance.choice(merged)
            if isinstance(again, OrderRead | AnswerSent | AnswerTaken | EntryRead):
                merged.append(again)
    return [replace(op, at=float(at)) for at, op in enumerate(merged)]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """A sound history of a few incidents."""
    lives = [_life(f"i{number}") for number in range(draw(st.integers(1, 2)))]
    chance = draw(st.randoms(use_true_random=False))
    return Story(
        interleave(chance, *(life[0] for life in lives)),
        [each for life in lives for each in life[1]],
        [each for life in lives for each in life[2]],
        [each for life in lives for each in life[3]],
    )


@given(stories())
def test_a_sound_history_has_no_findings(story: Story) -> None:
    assert check(story.ops, story.record(), PLAN) == []
    assert settled_at(story.ops, PLAN).keys() == {held.incident for held in story.assignments}


@given(stories())
def test_what_was_reported_and_never_confirmed_may_be_there_or_not(story: Story) -> None:
    ops = [op for op in story.ops if not isinstance(op, ReportTaken) or op.incident != "i0"]
    assert check(ops, story.record(), PLAN) == []
    absent = Record(
        tuple(each for each in story.decisions if each.incident != "i0"),
        tuple(each for each in story.assignments if each.incident != "i0"),
        tuple(each for each in story.entries if each.incident != "i0"),
    )
    seen = [op for op in ops if getattr(op, "incident", "") != "i0"]
    assert check(seen, absent, PLAN) == []


def _undecided(story: Story, chance: Random) -> None:
    story.decisions.remove(chance.choice([each for each in story.decisions if each.event.startswith("report")]))


def _turned_down(story: Story, chance: Random) -> None:
    at = chance.choice([n for n, each in enumerate(story.decisions) if each.event.startswith("report")])
    story.decisions[at] = replace(story.decisions[at], outcome="no_plan")


def _never_given(story: Story, chance: Random) -> None:
    story.assignments.remove(chance.choice(story.assignments))


def _never_had(story: Story, chance: Random) -> None:
    held = chance.choice(story.assignments)
    story.ops[:] = [op for op in story.ops if not isinstance(op, OrderRead) or op.assignment != held.assignment]


def _given_twice(story: Story, chance: Random) -> None:
    held = chance.choice(story.assignments)
    story.assignments.append(replace(held, assignment=f"{held.assignment}-again"))


def _ordered_twice(story: Story, chance: Random) -> None:
    order = chance.choice([op for op in story.ops if isinstance(op, OrderRead)])
    story.ops.append(replace(order, event=f"{order.event}-again"))


def _begun_twice(story: Story, chance: Random) -> None:
    entry = chance.choice([each for each in story.entries if each.entry == "incident_reported"])
    _enter_again(story, entry)


def _reminded_twice(story: Story, chance: Random) -> None:
    _enter_again(story, chance.choice([each for each in story.entries if each.entry == "department_reminded"]))


def _noted_twice(story: Story, chance: Random) -> None:
    _enter_again(story, chance.choice([each for each in story.entries if each.entry == "progress_noted"]))


def _enter_again(story: Story, entry: Entered) -> None:
    again = replace(entry, entry_id=f"{entry.entry_id}-again")
    story.entries.append(again)
    story.ops.append(EntryRead(1e6, again.entry_id, again.incident, again.entry, again.assignment))


def _never_reminded(story: Story, chance: Random) -> None:
    entry = chance.choice([each for each in story.entries if each.entry == "department_reminded"])
    story.entries.remove(entry)


def _answer_undecided(story: Story, chance: Random) -> None:
    story.decisions.remove(chance.choice([each for each in story.decisions if not each.event.startswith("report")]))


def _answer_untold(story: Story, chance: Random) -> None:
    told = set(TOLD.values())
    story.entries.remove(chance.choice([each for each in story.entries if each.entry in told]))


def _made_up(story: Story, chance: Random) -> None:
    event = chance.choice([op.event for op in story.ops if isinstance(op, AnswerSent)])
    story.ops[:] = [op for op in story.ops if getattr(op, "event", "") != event]


def _refused(story: Story, chance: Random) -> None:
    report = chance.choice([op for op in story.ops if isinstance(op, ReportSent)])
    story.ops.append(ReportRefused(report.at, report.key, 500))


def _order_from_nowhere(story: Story, chance: Random) -> None:
    order = chance.choice([op for op in story.ops if isinstance(op, OrderRead)])
    story.ops.append(replace(order, event="nobody", assignment="nobody's"))


def _behind(story: Story, chance: Random) -> None:
    at = chance.randrange(len(story.assignments))
    story.assignments[at] = replace(story.assignments[at], state=chance.choice(["issued", "delivered", "committed"]))


def _unpublished(story: Story, chance: Random) -> None:
    entry = chance.choice(story.entries)
    story.ops[:] = [op for op in story.ops if not isinstance(op, EntryRead) or op.entry_id != entry.entry_id]


def _unconfirmed(story: Story, chance: Random) -> None:
    event = chance.choice([op.event for op in story.ops if isinstance(op, AnswerSent)])
    story.ops[:] = [op for op in story.ops if not isinstance(op, AnswerTaken) or op.event != event]


def _shown_in_another_order(story: Story, chance: Random) -> None:
    at = chance.randrange(len(story.entries) - 1)
    if story.entries[at].incident != story.entries[at + 1].incident:
        at -= 1
    story.entries[at], story.entries[at + 1] = story.entries[at + 1], story.entries[at]


def _published_in_another_order(story: Story, chance: Random) -> None:
    incident = chance.choice(story.assignments).incident
    entries = [each for each in story.entries if each.incident == incident]
    late = chance.choice(entries[:-1])
    first = next(n for n, op in enumerate(story.ops) if isinstance(op, EntryRead) and op.entry_id == late.entry_id)
    moved = story.ops[first]
    story.ops[:] = [op for op in story.ops if not isinstance(op, EntryRead) or op.entry_id != late.entry_id]
    story.ops.append(moved)


def _reminded_first(story: Story, chance: Random) -> None:
    held = chance.choice([each for each in story.assignments if each.task in PLAN.reminded])
    orders = [op for op in story.ops if isinstance(op, OrderRead) and op.assignment == held.assignment]
    story.ops[:] = [op for op in story.ops if op not in orders]
    orders.sort(key=lambda op: -op.revision)
    story.ops += orders


Anomaly = Callable[[Story, Random], None]
ANOMALIES: tuple[tuple[Kind, Anomaly], ...] = (
    (Kind.UNDECIDED, _undecided),
    (Kind.UNDECIDED, _turned_down),
    (Kind.ORDER_LOST, _never_given),
    (Kind.ORDER_LOST, _never_had),
    (Kind.ORDER_TWICE, _given_twice),
    (Kind.ORDER_TWICE, _ordered_twice),
    (Kind.ORDER_TWICE, _begun_twice),
    (Kind.ORDER_TWICE, _reminded_twice),
    (Kind.TIMER_LOST, _never_reminded),
    (Kind.ANSWER_TWICE, _noted_twice),
    (Kind.ANSWER_LOST, _answer_undecided),
    (Kind.ANSWER_LOST, _answer_untold),
    (Kind.INVENTED, _made_up),
    (Kind.INVENTED, _order_from_nowhere),
    (Kind.REFUSED, _refused),
    (Kind.STALE, _behind),
    (Kind.ENTRY_LOST, _unpublished),
    (Kind.UNSETTLED, _unconfirmed),
    (Kind.DISORDER, _shown_in_another_order),
    (Kind.DISORDER, _published_in_another_order),
    (Kind.DISORDER, _reminded_first),
)


@pytest.mark.parametrize(("kind", "mar"), ANOMALIES, ids=[mar.__name__.strip("_") for _, mar in ANOMALIES])
@settings(max_examples=20)
@given(story=stories(), chance=st.randoms(use_true_random=False))
def test_an_anomaly_is_found(kind: Kind, mar: Anomaly, story: Story, chance: Random) -> None:
    mar(story, chance)
    assert kind in story.findings()


def test_recovery_is_counted_from_the_end_of_the_fault() -> None:
    ops = [replace(op, at=float(at)) for at, op in enumerate(_life("i")[0])]
    rest = settled_at(ops, PLAN)["i"]
    assert recovery(ops, PLAN, rest - 5) == 5
    assert recovery(ops, PLAN, rest + 5) == 0, "all was at rest when it ended"
    assert recovery(ops, PLAN, -1) == 0, "what was reported after the fault is not waited for"
    assert recovery(ops[:-1], PLAN, 1) is None, "the last word is missing"


def test_what_came_again_is_counted() -> None:
    ops = _life("i")[0]
    orders = [op for op in ops if isinstance(op, OrderRead)]
    assert redelivered(ops) == 0
    assert redelivered([*ops, *orders]) == len(orders)


def test_what_is_learned_of_later_is_put_where_it_belongs() -> None:
    history = History([AnswerTaken(1.0, "first"), AnswerTaken(3.0, "last")])
    history.put(AnswerTaken(2.0, "learned later"))
    assert [op.at for op in history.since(1)] == [2.0, 3.0]
