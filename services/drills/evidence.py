"""What a finding rests on: entries of the timeline, each of which speaks for it or against it.

All is looked at by the times in the ledger. Entries are read of what is listed only: `Proofs` is asked twice for each,
first to learn which are wanted, and again when they have been read.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from schemas.base import Text
from schemas.drill import Criterion, Segment
from schemas.timeline import Entry
from services.domain.incident import Deadline
from services.domain.segments import ALARMS
from services.drills.ledger import MICRO
from services.drills.report import LISTED, Moment, Numbers, Verdict

TURNED_OUT = (Entry.COMMITTED, Entry.STARTED)
ANSWERED = (*TURNED_OUT, Entry.DECLINED, Entry.COMPLETED, Entry.FAILED)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The first entry of these kinds about an order; where there is none, what ``otherwise`` names."""

    entries: tuple[Entry, ...]
    deadline: Deadline | None = None
    otherwise: "Wanted | None" = None


THE_ORDER = Wanted((Entry.ISSUED,))
AN_ANSWER = Wanted(ANSWERED)
TURNOUT = Wanted(TURNED_OUT)
ARRIVAL = Wanted((Entry.ARRIVED,))
COMPLETION = Wanted((Entry.COMPLETED,))
SILENCE = Wanted((Entry.OVERDUE,), otherwise=THE_ORDER)
"""What shows that an order was not answered: its missed deadline, else the order itself."""
RECEIPT = Wanted((Entry.DELIVERED,), otherwise=Wanted(ANSWERED, otherwise=THE_ORDER))
LOSS = Wanted((Entry.DECLINED, Entry.FAILED), otherwise=SILENCE)
Places = Sequence[int]
"""Orders that were issued at the same time: the first entry about any of them is meant."""


class Look(NamedTuple):
    """One thing that was looked at, before its entry is read: whether it was as it should be, and by when.

    ``about`` is the entry itself where it has been read, else an order's place in the ledger, or several.
    """

    ok: bool
    at: int
    about: Moment | int | Places
    wanted: Wanted = THE_ORDER
    note: Text | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: whether it was as it should be, and the entry that shows it."""

    moment: Moment
    ok: bool
    note: Text | None = None


@dataclass(frozen=True, slots=True)
class Checks:
    """What a finding was judged by: how many there were and how many held; the first against it and for it."""

    shown: tuple[Check, ...] = ()
    total: int = 0
    held: int = 0

    @property
    def verdict(self) -> Verdict:
        """Sum up: met when all hold, not met when none does, partly met between, not observed without any."""
        if not self.total:
            return Verdict.NOT_OBSERVED
        if self.held == self.total:
            return Verdict.MET
        return Verdict.PARTLY_MET if self.held else Verdict.NOT_MET


@dataclass(frozen=True, slots=True)
class Looks:
    """What was looked at for one finding, counted, and the first looks against it and for it."""

    first: tuple[Look, ...]
    total: int
    held: int

    @classmethod
    def of(cls, looks: Iterable[Look]) -> "Looks":
        """Count looks and keep the first, of which there are never many at a time."""
        total = held = 0
        against, good = _First(), _First()
        for look in looks:
            total += 1
            held += look.ok
            (good if look.ok else against).add(look)
        return cls((*against.looks(), *good.looks()), total, held)

    def checks(self, proofs: "Proofs") -> Checks:
        """Show the entries behind them, what speaks against it first; what has none is not counted."""
        moments = [proofs.find(look.about, look.wanted) for look in self.first]
        shown = [Check(moment, look.ok, look.note) for look, moment in zip(self.first, moments, strict=True) if moment]
        without = [look.ok for look, moment in zip(self.first, moments, strict=True) if moment is None]
        shown.sort(key=lambda check: (check.ok, check.moment.at, check.moment.id))
        return Checks(tuple(shown), self.total - len(without), self.held - sum(without))


class _First:
    """The first looks by their time."""

    def __init__(self) -> None:
        self._held: list[Look] = []
        self._last: int | None = None

    def add(self, look: Look) -> None:
        if self._last is None or look.at < self._last:
            self._held.append(look)
            if len(self._held) == 2 * LISTED:
                self._held = self.looks()
                self._last = self._held[-1].at

    def looks(self) -> list[Look]:
        return sorted(self._held, key=attrgetter("at"))[:LISTED]


class Teller(Protocol):
    """Tells what a row of the timeline says."""

    def at(self, row: Mapping[str, Any]) -> datetime:
        """Say when it happened."""
        ...

    def moment(self, row: Mapping[str, Any]) -> Moment:
        """Give the whole entry."""
        ...


class Proofs:
    """The entries that were read to show what was found, by the order that they are about.

    ``rows`` are in the order in which they were recorded; only those that are found become values.
    """

    def __init__(self, ids: Sequence[UUID], teller: Teller, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self._ids = ids
        self._teller = teller
        self._asked: dict[UUID, None] = {}
        self._about: dict[UUID, list[tuple[int, Mapping[str, Any]]]] = {}
        self._moments: dict[int, Moment] = {}
        for number, row in enumerate(rows):
            self._about.setdefault(row["assignment_id"], []).append((number, row))

    @property
    def asked(self) -> list[UUID]:
        """List the orders that were asked for."""
        return list(self._asked)

    def find(self, about: Moment | int | Places, wanted: Wanted) -> Moment | None:
        """Find the first entry that is wanted, by when it happened; None where there is none, or none was read yet."""
        if isinstance(about, Moment):
            return about
        ids = [self._ids[place] for place in ((about,) if isinstance(about, int) else about)]
        self._asked.update(dict.fromkeys(ids))
        told = [each for id_ in ids for each in self._about.get(id_, ())]
        look: Wanted | None = wanted
        while look is not None:
            fitting = [(self._teller.at(row), number, row) for number, row in told if row["entry"] in look.entries]
            for _, number, row in sorted(fitting, key=itemgetter(0, 1)):
                moment = self._tell(number, row)
                if look.deadline is None or moment.detail.get("deadline") == look.deadline.value:
                    return moment
            look = look.otherwise
        return None

    def _tell(self, number: int, row: Mapping[str, Any]) -> Moment:
        if number not in self._moments:
            self._moments[number] = self._teller.moment(row)
        return self._moments[number]


class Trail:
    """What the looks are made from: the numbers, and the entries that decide, in the order in which they happened.

    ``posts`` are the orders by activation and task.
    """

    def __init__(self, numbers: Numbers, deciding: Iterable[Moment]) -> None:
        self.numbers = numbers
        self.ledger = numbers.ledger
        self.posts = self.ledger.places(zip(self.ledger.activation_id, self.ledger.task, strict=True))
        self._deciding = sorted(deciding, key=attrgetter("at"))

    def all(self, *entries: Entry) -> list[Moment]:
        """List all entries of these kinds, in order."""
        return [moment for moment in self._deciding if moment.entry in entries]

    def task(self, place: int) -> Text:
        """Name an order's task."""
        numbers, activation = self.numbers, self.ledger.activation_id[place]
        digest = next((each.digest for each in numbers.responses if each.id == activation), "")
        return numbers.titles.task(self.ledger.task[place], activation, digest)

    def reported(self) -> dict[UUID, Moment]:
        """Give each incident's first report."""
        return {moment.incident_id: moment for moment in reversed(self.all(Entry.REPORTED))}

    def issued_first(self, places: Places) -> Places:
        """Choose the orders that were issued first, as many of one time as are listed."""
        told = self.ledger.told(Entry.ISSUED)
        known = [at for place in places if (at := told[place]) is not None]
        earliest = min(known, default=None)
        return [] if earliest is None else list(islice((each for each in places if told[each] == earliest), LISTED))

    def objective(self, criterion: Criterion) -> Iterator[Look]:
        """Look at every observation that an objective was judged by."""
        segment, within = criterion.segment, criterion.within // MICRO
        if segment in ALARMS:
            yield from self.alarms(segment, within, criterion.tasks)
            return
        kinds, answered = ((Entry.ARRIVED,), ARRIVAL) if segment is Segment.TRAVEL else (TURNED_OUT, TURNOUT)
        told, silence = self.ledger.told(*kinds), self.ledger.silence()
        for took, place in self.numbers.observed.places(segment, criterion.tasks):
            at = silence[place] if took is None else told[place]
            if at is not None:
                ok = took is not None and took <= within
                yield Look(ok, at, place, SILENCE if took is None else answered)

    def alarms(
        self,
        segment: Segment,
        within: int,
        tasks: Sequence[str] = (),
        note: Text | None = None,
        *,
        ordered: bool = False,
    ) -> Iterator[Look]:
        """Look at what incidents' alarms took, as shown by their first order, or else by their report.

        The report alone shows what went before an order. One that must be ``ordered`` is not shown by its report.
        """
        reported = {} if ordered else self.reported()
        to_report = segment in {Segment.ALARM_TRANSFER, Segment.ALARM_ANSWERING}
        orders = {} if to_report else self.ledger.places(self.ledger.incident_id)
        observed = self.numbers.observed
        for took, place in observed.places(segment, tasks):
            incident = observed.alarms[place]
            ok = took is not None and took <= within
            if first := self.issued_first(orders.get(incident, ())):
                yield Look(ok, self.ledger.at["issued_at"][first[0]] or 0, first, THE_ORDER, note)
            elif incident in reported:
                yield self.of(reported[incident], ok=ok, note=note)

    def of(self, moment: Moment, *, ok: bool, note: Text | None = None) -> Look:
        """Look at an entry that has been read."""
        return Look(ok, self.ledger.micros(moment.at), moment, THE_ORDER, note)
