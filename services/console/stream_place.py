"""A place in the stream of timeline entries: which snapshot of the database has been read whole, and how far the next.

A snapshot tells exactly which transactions it sees. What a later one sees and an earlier one didn't is read in the
order of ``seq``, so an entry that commits late is in a later window and can't be passed over. Entries of one incident
are written one transaction after another, so whoever sees one of them sees all before it: their order is right too.
"""

import re
from dataclasses import dataclass
from functools import cached_property

_NUMBER = r"(?:0|[1-9][0-9]{0,18})"
_SNAPSHOT = rf"{_NUMBER}:{_NUMBER}:(?:{_NUMBER}(?:,{_NUMBER})*)?"
_PLACE = re.compile(rf"({_SNAPSHOT})(?:~({_SNAPSHOT})~({_NUMBER}))?", re.ASCII)
_LONGEST = 4_000
"""Longest place that is read, in characters; a snapshot names the transactions that were under way."""
_BIGGEST = 2**63 - 1


class PlaceError(ValueError):
    """Tells that a text is not a place in the stream."""

    def __init__(self) -> None:
        super().__init__("not an id of this stream's events")


@dataclass(frozen=True)
class Snapshot:
    """A snapshot as PostgreSQL writes it: ``lowest:highest:running,...``."""

    text: str

    @cached_property
    def _parts(self) -> tuple[int, int, frozenset[int]]:
        lowest, highest, running = self.text.split(":")
        return int(lowest), int(highest), frozenset(int(each) for each in running.split(",") if each)

    @property
    def highest(self) -> int:
        """The first transaction that had not begun."""
        return self._parts[1]

    def sees(self, transaction: int) -> bool:
        """Say whether a transaction that has been committed since is part of it."""
        lowest, highest, running = self._parts
        return transaction < lowest or (transaction < highest and transaction not in running)

    def covers(self, other: "Snapshot") -> bool:
        """Say whether it sees all that another one of the same database sees, being the later one or the same."""
        before = other._parts  # noqa: SLF001 - its own kind
        return before[1] <= self.highest and all(
            running in before[2] or running >= before[1] for running in self._parts[2]
        )


@dataclass(frozen=True)
class Place:
    """``seen`` is a snapshot of which everything has been read; with ``upto``, that one's too as far as ``seq``."""

    seen: Snapshot
    upto: Snapshot | None = None
    seq: int = 0

    def __str__(self) -> str:
        """Write it as an event's id."""
        return self.seen.text if self.upto is None else f"{self.seen.text}~{self.upto.text}~{self.seq}"

    @property
    def latest(self) -> Snapshot:
        """The later of its snapshots."""
        return self.upto or self.seen


def read_place(text: str) -> Place:
    """Read an event's id; raises `PlaceError` for what can't be one."""
    match = _PLACE.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        raise PlaceError
    seen, upto, seq = match.groups()
    for snapshot in filter(None, (seen, upto)):
        _check(snapshot)
    if seq is not None and int(seq) > _BIGGEST:
        raise PlaceError
    return Place(Snapshot(seen), None if upto is None else Snapshot(upto), int(seq or 0))


def _check(snapshot: str) -> None:
    """Refuse what the database wouldn't take as a snapshot."""
    lowest, highest, running = snapshot.split(":")
    between = [int(each) for each in running.split(",")] if running else []
    ends = 0 < int(lowest) <= int(highest) <= _BIGGEST
    inside = all(int(lowest) <= each < int(highest) for each in between)
    if not ends or not inside or between != sorted(set(between)):
        raise PlaceError
