"""Judges a history against the record, by rules that owe nothing to the services: pure, and tested on its own.

It knows the trial plan: which tasks an incident must give to whom, what must wait for what, what each department
answers. From that, from what people saw, and from the record at the end it finds what was lost, what happened twice,
what came in the wrong order, and what the record has forgotten or made up.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from tests.faults.history import (
    AnswerSent,
    AnswerTaken,
    EntryRead,
    Held,
    Op,
    OrderRead,
    Record,
    ReportRefused,
    ReportSent,
    ReportTaken,
)


class Kind(StrEnum):
    """What can be wrong."""

    UNDECIDED = "incident undecided"
    REFUSED = "sound report refused"
    ORDER_LOST = "order lost"
    TIMER_LOST = "timer never fired"
    ORDER_TWICE = "order issued twice"
    ANSWER_LOST = "answer lost"
    ANSWER_TWICE = "answer told twice"
    ENTRY_LOST = "timeline entry never published"
    DISORDER = "order of an incident broken"
    STALE = "record behind what was answered"
    UNSETTLED = "never came to rest"
    INVENTED = "nobody did this"


LOSSES = frozenset(
    {
        Kind.UNDECIDED,
        Kind.REFUSED,
        Kind.ORDER_LOST,
        Kind.TIMER_LOST,
        Kind.ANSWER_LOST,
        Kind.ENTRY_LOST,
        Kind.STALE,
        Kind.UNSETTLED,
    }
)
REPEATS = frozenset({Kind.ORDER_TWICE, Kind.ANSWER_TWICE, Kind.INVENTED})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, about one incident."""

    kind: Kind
    incident: str
    text: str


@dataclass(frozen=True, slots=True)
class Expected:
    """What the plan in force asks for. ``tasks`` maps a task to its department, ``after`` to what it waits for."""

    tasks: Mapping[str, str]
    after: Mapping[str, str]
    reminded: frozenset[str] = frozenset()
    """Tasks whose department must be reminded before it answers."""
    answers: tuple[str, ...] = ("deliver", "commit", "progress", "complete")
    """What a department says about each of its orders, once each and in this order."""
    retold: bool = False
    """Brokers have forgotten answers that they had confirmed: the department says them again when it is asked, and the
    record has them in the order in which they were heard, which need not be that in which they were first given."""


TELLS = {
    "deliver": "assignment_delivered",
    "commit": "assignment_committed",
    "progress": "progress_noted",
    "complete": "assignment_completed",
}
"""The entry that tells of an answer."""
ONCE = ("assignment_issued", "department_reminded")
"""What is told of an assignment at most once; the trial plan's ladders remind once."""


def check(ops: Sequence[Op], record: Record, expected: Expected) -> list[Finding]:
    """Find everything that is wrong; an empty list says that the history is sound."""
    books = _Books(ops, record, expected)
    return [
        *_undecided(books),
        *_lost_orders(books),
        *_repeated_orders(books),
        *_answers(books),
        *_repeated_entries(books),
        *_unpublished(books),
        *_disorder(books),
    ]


class _Books:
    """The history and the record, laid open by incident and by assignment."""

    def __init__(self, ops: Sequence[Op], record: Record, expected: Expected) -> None:
        self.expected = expected
        self.record = record
        self.taken = {op.event: op.incident for op in ops if isinstance(op, ReportTaken)}
        self.refused = [op for op in ops if isinstance(op, ReportRefused)]
        self.incidents = dict.fromkeys(self.taken.values())
        self.orders = [op for op in ops if isinstance(op, OrderRead) and op.incident in self.incidents]
        self.received = {op.assignment for op in self.orders if op.notice == "issued"}
        self.answers = {op.event: op for op in ops if isinstance(op, AnswerSent) and op.incident in self.incidents}
        self.confirmed = {op.event for op in ops if isinstance(op, AnswerTaken)}
        self.decisions = Counter(each.event for each in record.decisions)
        self.outcomes = {each.event: each.outcome for each in record.decisions}
        self.held: dict[str, Held] = {
            each.assignment: each for each in record.assignments if each.incident in self.incidents
        }
        self.entries: dict[str, list[tuple[str, str, str | None]]] = defaultdict(list)
        for each in record.entries:
            if each.incident in self.incidents:
                self.entries[each.incident].append((each.entry_id, each.entry, each.assignment))
        self.told: dict[str, list[str]] = defaultdict(list)
        seen: set[str] = set()
        for op in ops:
            if isinstance(op, EntryRead) and op.incident in self.incidents and op.entry_id not in seen:
                seen.add(op.entry_id)
                self.told[op.incident].append(op.entry_id)
        self.counts = Counter(
            (assignment, entry) for entries in self.entries.values() for _, entry, assignment in entries
        )

    def incident_of(self, assignment: str) -> str:
        held = self.held.get(assignment)
        return held.incident if held else "?"


def _undecided(books: _Books) -> Iterator[Finding]:
    for op in books.refused:
        yield Finding(Kind.REFUSED, "?", f"report {op.key}: answered with {op.status}")
    for event, incident in books.taken.items():
        if books.decisions[event] != 1 or books.outcomes[event] != "activated":
            outcome = books.outcomes.get(event, "nothing")
            yield Finding(Kind.UNDECIDED, incident, f"report {event}: {books.decisions[event]} decisions: {outcome}")
        reported = sum(entry == "incident_reported" for _, entry, _ in books.entries[incident])
        if reported > 1:
            yield Finding(Kind.ORDER_TWICE, incident, f"was begun {reported} times")


def _lost_orders(books: _Books) -> Iterator[Finding]:
    given: Counter[tuple[str, str, str]] = Counter()
    for held in books.held.values():
        given[held.incident, held.task, held.department] += 1
        if held.assignment not in books.received:
            text = f"{held.task}: on record, and {held.department} never had it"
            yield Finding(Kind.ORDER_LOST, held.incident, text)
    for incident in books.incidents:
        for task, department in books.expected.tasks.items():
            times = given[incident, task, department]
            if times == 0:
                yield Finding(Kind.ORDER_LOST, incident, f"{task}: never given to {department}")
            elif times > 1:
                yield Finding(Kind.ORDER_TWICE, incident, f"{task}: given {times} times to {department}")
    for held in books.held.values():
        if held.task in books.expected.reminded and not books.counts[held.assignment, "department_reminded"]:
            yield Finding(Kind.TIMER_LOST, held.incident, f"{held.task}: {held.department} was never reminded")
    for incident, task, department in given:
        if books.expected.tasks.get(task) != department:
            yield Finding(Kind.INVENTED, incident, f"{task}: given to {department}, which the plan doesn't say")


def _repeated_orders(books: _Books) -> Iterator[Finding]:
    words: dict[tuple[str, str, int], set[str]] = defaultdict(set)
    issued: dict[str, set[str]] = defaultdict(set)
    for op in books.orders:
        if op.assignment not in books.held:
            yield Finding(Kind.INVENTED, op.incident, f"{op.task}: {op.department} had an order that isn't on record")
        words[op.assignment, op.notice, op.revision].add(op.event)
        if op.notice == "issued":
            issued[op.assignment].add(op.event)
    for (assignment, notice, revision), events in words.items():
        if len(events) > 1:
            text = f"{assignment}: {notice} (revision {revision}) sent as {len(events)} different messages"
            yield Finding(Kind.ORDER_TWICE, books.incident_of(assignment), text)
    for assignment, events in issued.items():
        if len(events) > 1:
            text = f"{assignment}: issued by {len(events)} different messages"
            yield Finding(Kind.ORDER_TWICE, books.incident_of(assignment), text)


def _answers(books: _Books) -> Iterator[Finding]:
    said: Counter[tuple[str, str]] = Counter()
    sure: set[tuple[str, str]] = set()
    for event, op in books.answers.items():
        said[op.assignment, TELLS[op.answer]] += 1
        if event in books.confirmed:
            sure.add((op.assignment, op.answer))
            if books.decisions[event] != 1:
                text = f"{op.answer} by {op.department}: confirmed by the broker, {books.decisions[event]} decisions"
                yield Finding(Kind.ANSWER_LOST, op.incident, text)
    for assignment, answer in sorted(sure):
        if books.counts[assignment, TELLS[answer]] == 0:
            text = f"{answer} about {assignment}: confirmed by the broker, not on the timeline"
            yield Finding(Kind.ANSWER_LOST, books.incident_of(assignment), text)
    for held in books.held.values():
        if (held.assignment, "complete") in sure and held.state != "completed":
            text = f"{held.assignment}: is {held.state} on record, and was completed"
            yield Finding(Kind.STALE, held.incident, text)
        missing = [each for each in books.expected.answers if (held.assignment, each) not in sure]
        if missing and held.assignment in books.received:
            text = f"{held.task}: {held.department} never got to say {', '.join(missing)}"
            yield Finding(Kind.UNSETTLED, held.incident, text)
    for (about, entry), times in books.counts.items():
        if about is not None and entry in TELLS.values() and times > said[about, entry]:
            kind = Kind.ANSWER_TWICE if said[about, entry] else Kind.INVENTED
            text = f"{about}: {entry} told {times} times, said {said[about, entry]} times"
            yield Finding(kind, books.incident_of(about), text)


def _repeated_entries(books: _Books) -> Iterator[Finding]:
    for (about, entry), times in books.counts.items():
        if entry in ONCE and times > 1 and about is not None:
            text = f"{about}: {entry} told {times} times"
            yield Finding(Kind.ORDER_TWICE, books.incident_of(about), text)


def _unpublished(books: _Books) -> Iterator[Finding]:
    for incident, entries in books.entries.items():
        told = set(books.told[incident])
        silent = [entry for entry_id, entry, _ in entries if entry_id not in told]
        if silent:
            yield Finding(Kind.ENTRY_LOST, incident, f"{len(silent)} entries, such as {silent[0]}")


def _disorder(books: _Books) -> Iterator[Finding]:
    for incident, entries in books.entries.items():
        place = {entry_id: number for number, (entry_id, _, _) in enumerate(entries)}
        wire = [place[entry_id] for entry_id in books.told[incident] if entry_id in place]
        if any(later < earlier for earlier, later in pairwise(wire)):
            yield Finding(Kind.DISORDER, incident, "the timeline was published in another order than it is shown in")
        yield from _acausal(books, incident, entries)
    revisions: dict[str, list[int]] = defaultdict(list)
    seen: set[str] = set()
    for op in books.orders:
        if op.event not in seen:
            seen.add(op.event)
            revisions[op.assignment].append(op.revision)
    for assignment, numbers in revisions.items():
        if numbers != sorted(numbers):
            text = f"{assignment}: words came as revisions {numbers}"
            yield Finding(Kind.DISORDER, books.incident_of(assignment), text)


def _acausal(books: _Books, incident: str, entries: Iterable[tuple[str, str, str | None]]) -> Iterator[Finding]:
    """What is shown must never have an effect before its cause."""
    at: dict[tuple[str | None, str], int] = {}
    for number, (_, entry, assignment) in enumerate(entries):
        at.setdefault((assignment, entry), number)
    chain = ["assignment_issued", *(TELLS[each] for each in books.expected.answers)]
    of = {held.task: held.assignment for held in books.held.values() if held.incident == incident}
    links: list[tuple[tuple[str | None, str], tuple[str | None, str]]]
    steps = [(chain[0], each) for each in chain[1:]] if books.expected.retold else list(pairwise(chain))
    links = [((assignment, a), (assignment, b)) for assignment in of.values() for a, b in steps]
    links += [((None, "incident_reported"), (assignment, "assignment_issued")) for assignment in of.values()]
    links += [
        ((of[before], "assignment_completed"), (of[task], "assignment_issued"))
        for task, before in books.expected.after.items()
        if task in of and before in of
    ]
    for cause, effect in links:
        if cause in at and effect in at and at[effect] < at[cause]:
            yield Finding(Kind.DISORDER, incident, f"{effect[1]} is shown before {cause[1]}")


def settled_at(ops: Sequence[Op], expected: Expected) -> dict[str, float]:
    """Say when each incident came to rest: the moment its last task was told to be complete."""
    completed: dict[str, dict[str, float]] = defaultdict(dict)
    for op in ops:
        if isinstance(op, EntryRead) and op.entry == "assignment_completed" and op.assignment is not None:
            completed[op.incident].setdefault(op.assignment, op.at)
    return {incident: max(at.values()) for incident, at in completed.items() if len(at) >= len(expected.tasks)}


def recovery(ops: Sequence[Op], expected: Expected, ended: float) -> float | None:
    """Give the seconds from the fault's end until all that was reported before had come to rest; None if it hasn't."""
    sent = {op.key: op.at for op in reversed(ops) if isinstance(op, ReportSent)}
    before = {op.incident for op in ops if isinstance(op, ReportTaken) and sent.get(op.key, ended) <= ended}
    settled = settled_at(ops, expected)
    if any(incident not in settled for incident in before):
        return None
    return max([0.0, *(settled[incident] - ended for incident in before)])


def redelivered(ops: Sequence[Op]) -> int:
    """Count the orders and answers that went over the wire once more: harmless, and what the inbox is for."""
    reads = Counter(op.event for op in ops if isinstance(op, OrderRead))
    sends = Counter(op.event for op in ops if isinstance(op, AnswerSent))
    return sum(times - 1 for counted in (reads, sends) for times in counted.values())
