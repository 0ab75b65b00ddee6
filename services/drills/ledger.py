"""A drill's orders as columns: what its numbers are reckoned from, with a hundred thousand orders as with ten."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import reduce
from typing import Any, TypeVar
from uuid import UUID

from schemas.drill import Segment
from schemas.timeline import Entry
from services.domain.incident import Deadline
from services.domain.segments import Observations, Orders

Column = list[int | None]
Key = TypeVar("Key")
MICRO = timedelta(microseconds=1)
TOLD = {
    Entry.ISSUED: "issued_at",
    Entry.DELIVERED: "delivered_at",
    Entry.ACKNOWLEDGED: "acknowledged_at",
    Entry.COMMITTED: "committed_at",
    Entry.DECLINED: "declined_at",
    Entry.STARTED: "started_at",
    Entry.ARRIVED: "arrived_at",
    Entry.COMPLETED: "completed_at",
    Entry.FAILED: "failed_at",
}
"""The time of an assignment that each entry tells."""
ENDS = frozenset({Entry.COMPLETED, Entry.DECLINED, Entry.FAILED})
_TIMES = (*TOLD.values(), "closed_at", "acknowledge_by", "complete_by")
_RECEIVED = tuple(name for entry, name in TOLD.items() if entry not in {Entry.ISSUED, Entry.ARRIVED})


class Ledger:
    """The orders in the order in which they were issued. Times are microseconds since STARTEX, None where never.

    ``missed`` are the deadlines missed by the times that count, their names with spaces between. What is ``told`` has
    an entry in the timeline up to ENDEX.
    """

    def __init__(
        self, start: datetime, row: Mapping[str, Any], incidents: Sequence[UUID], activations: Sequence[UUID]
    ) -> None:
        self.start = start
        self.ids: list[UUID] = row["id"] or []
        self.incident_id = [incidents[place - 1] for place in row["incident"] or ()]
        self.activation_id = [activations[place - 1] for place in row["activation"] or ()]
        self.department: list[str] = row["department"] or []
        self.task: list[str] = row["task"] or []
        self.missed: list[str] = row["missed"] or []
        self.at: dict[str, Column] = {name: row[name] or [] for name in _TIMES}
        self._told: dict[Entry, Column] = {}
        self._first_told: dict[tuple[Entry, ...], Column] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def micros(self, at: datetime) -> int:
        """Give a moment as the columns have it."""
        return (at - self.start) // MICRO

    def tell(self, later: Mapping[tuple[UUID, str], int]) -> None:
        """Note what was told by ENDEX: all that is recorded, but for what was told ``later``, so often."""
        self._told = {entry: self.at[name] for entry, name in TOLD.items()}
        due = zip(self.missed, self.at["acknowledge_by"], self.at["issued_at"], strict=True)
        self._told[Entry.OVERDUE] = [(by or issued) if missed else None for missed, by, issued in due]
        if later:
            self._told = {entry: list(column) for entry, column in self._told.items()}
            places = {id_: place for place, id_ in enumerate(self.ids)}
            for (id_, name), times in later.items():
                place, column = places.get(id_), self._told.get(Entry(name))
                # Each thing is told once of an order, but for the deadlines that it missed.
                if (
                    place is None
                    or column is None
                    or (name == Entry.OVERDUE and times < len(self.missed[place].split()))
                ):
                    continue
                column[place] = None

    def amend(self, row: Mapping[str, Any], until: datetime) -> None:
        """Let an assignment's corrected row stand in place of what was recorded; what was told stays told."""
        place = self.ids.index(row["id"])
        for entry, name in TOLD.items():
            at = None if row[name] is None else self.micros(row[name])
            told = self._told[entry]
            if told[place] is not None:
                told[place] = at
            self.at[name][place] = at
        self.at["closed_at"][place] = self.micros(min(row["ended_at"] or until, until))
        self.missed[place] = " ".join(row["missed"])

    def orders(self) -> Orders:
        """Give what the segments are reckoned from."""
        at = self.at
        refused = [
            declined is not None or failed is not None
            for declined, failed in zip(at["declined_at"], at["failed_at"], strict=True)
        ]
        return Orders(
            assignment_id=self.ids,
            incident_id=self.incident_id,
            department=self.department,
            task=self.task,
            issued_at=at["issued_at"],  # type: ignore[arg-type]  # these two are never null
            closed_at=at["closed_at"],  # type: ignore[arg-type]
            acknowledge_by=at["acknowledge_by"],
            delivered_at=at["delivered_at"],
            committed_at=at["committed_at"],
            started_at=at["started_at"],
            arrived_at=at["arrived_at"],
            refused=refused,
        )

    def told(self, *entries: Entry) -> Column:
        """Say of each order when the first of these entries tells it; None where the timeline has none."""
        if entries not in self._first_told:
            self._first_told[entries] = reduce(_earlier, (self._told[entry] for entry in entries))
        return self._first_told[entries]

    def silence(self) -> Column:
        """Say of each order when it was clear that nobody answers: at its missed deadline, else with the order."""
        overdue, issued = self.told(Entry.OVERDUE), self.told(Entry.ISSUED)
        return [at if by is None else by for by, at in zip(overdue, issued, strict=True)]

    def places(self, keys: Iterable[Key]) -> dict[Key, list[int]]:
        """Gather the orders with the same key."""
        found: dict[Key, list[int]] = {}
        for place, key in enumerate(keys):
            if key in found:
                found[key].append(place)
            else:
                found[key] = [place]
        return found

    def first(self, *names: str) -> Column:
        """Say of each order when the first of these things was; None where none was."""
        return reduce(_earlier, (self.at[name] for name in names))

    def received(self) -> Column:
        """Say of each order when it had reached its department, by a receipt or by anything it said."""
        return self.first(*_RECEIVED)

    def has_missed(self, place: int, deadline: Deadline) -> bool:
        """Say whether an order missed a deadline."""
        return deadline.value in self.missed[place].split()


def _earlier(one: Column, other: Column) -> Column:
    return [b if a is None or (b is not None and b < a) else a for a, b in zip(one, other, strict=True)]


def silent(observed: Observations) -> Iterator[int]:
    """Give the places of the orders that were never answered though their time to answer was over."""
    return (place for took, place in observed.places(Segment.TURNOUT) if took is None)
