"""What a dispatch system recorded about past calls, as spans of response: observed, censored, or set aside and why.

Every row gives one of the three for every segment, so that the counts add up to the rows. A step that never
happened is a censored observation (`services.domain.segments`); a step that happened at a time nobody knows, as the
later ones show, is set aside. Times are taken as they stand: only differences are used, so local times without a
zone will do, but a call under way while the clocks change is off by the change: an hour too long in spring, and an
hour too short, which mostly means negative and set aside, in autumn.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from itertools import islice
from math import inf

from services.domain.segments import Summary, summarize
from services.drills.dispatch_columns import TIMES, Columns, Role
from services.drills.dispatch_file import OptionError, RecordsError, RecordsFile, Watch

MAX_GROUPS = 10_000
NO_GROUP = "(none)"
"""The group of rows that leave the grouping column empty."""
_EMPTY = frozenset({"", "null", "none", "n/a", "na", "nan", "nat", "\\n", "-"})
_DATE_ONLY = 10
"""Characters of a day without a time, as in 2016-01-01: no time can be told from it."""
_SOME_TIME = datetime(2000, 1, 1)  # noqa: DTZ001 (differences only)


class Span(StrEnum):
    """The segments that dispatch records time; names that `schemas.drill.Segment` has mean the same there.

    ``alarm_handling``: call to first dispatch. ``turnout``: dispatch to en route. ``travel``: en route to on scene.
    ``mobilization``: call to en route. ``total_response``: call to on scene. ``work``: on scene to the last clear.
    """

    ALARM_HANDLING = "alarm_handling"
    TURNOUT = "turnout"
    TRAVEL = "travel"
    MOBILIZATION = "mobilization"
    TOTAL_RESPONSE = "total_response"
    WORK = "work"


ENDS: Mapping[Span, tuple[Role, Role]] = {
    Span.ALARM_HANDLING: (Role.RECEIVED, Role.DISPATCHED),
    Span.TURNOUT: (Role.DISPATCHED, Role.ENROUTE),
    Span.TRAVEL: (Role.ENROUTE, Role.ARRIVED),
    Span.MOBILIZATION: (Role.RECEIVED, Role.ENROUTE),
    Span.TOTAL_RESPONSE: (Role.RECEIVED, Role.ARRIVED),
    Span.WORK: (Role.ARRIVED, Role.CLEARED),
}


class Reason(StrEnum):
    """Why a row says nothing about a segment."""

    RAGGED = "ragged row"
    UNREADABLE = "unreadable time"
    NOT_DUE = "not due"
    MISSING_START = "missing start"
    MISSING_END = "missing end"
    NEGATIVE = "negative"
    MIXED_ZONES = "mixed zones"
    ZERO = "zero"


REASONS: Mapping[Reason, str] = {
    Reason.RAGGED: "the row has more or fewer fields than the header",
    Reason.UNREADABLE: "a time can't be read",
    Reason.NOT_DUE: "the step before it never happened",
    Reason.MISSING_START: "it began at a time nobody wrote down",
    Reason.MISSING_END: "it ended, as later steps show, at a time nobody wrote down",
    Reason.NEGATIVE: "it ends before it begins",
    Reason.MIXED_ZONES: "one of its times has a zone and the other has none",
    Reason.ZERO: "its two times are the same, and zeros were asked to be left out",
}


class _Bad(Enum):
    BAD = "a time that is there and can't be read"


_BAD = _Bad.BAD
_Time = datetime | _Bad | None


@dataclass(slots=True)
class Spans:
    """One segment of one group: ``took`` in seconds, and for each censored one how long it was watched (seconds).

    ``watched`` runs to the call's clear time where that is known, and is infinite where it isn't.
    """

    took: "array[float]" = field(default_factory=lambda: array("d"))
    watched: "array[float]" = field(default_factory=lambda: array("d"))
    set_aside: "Counter[Reason]" = field(default_factory=Counter)

    @property
    def n(self) -> int:
        """How many count: those that ended and the censored ones."""
        return len(self.took) + len(self.watched)

    @property
    def zeros(self) -> int:
        """How many took no time at all, as when one key press records two steps."""
        return self.took.count(0.0)

    def summary(self, target: timedelta | None = None) -> Summary:
        """Sum up by nearest rank, the censored last."""
        return summarize((timedelta(seconds=each) for each in self.took), len(self.watched), target)


@dataclass(frozen=True, slots=True)
class Example:
    """The first row that was set aside for a reason: the line it begins in, and what stood there."""

    line: int
    text: str


@dataclass(slots=True)
class Records:
    """All that a file says. ``whole`` and each of ``groups`` have the same segments: those whose columns are known."""

    file: str
    sha256: str
    columns: Columns
    rows: int = 0
    whole: dict[Span, Spans] = field(default_factory=dict)
    groups: dict[str, dict[Span, Spans]] = field(default_factory=dict)
    sizes: "Counter[str]" = field(default_factory=Counter)
    examples: dict[Reason, Example] = field(default_factory=dict)


def time_reader(form: str | None = None) -> Callable[[str], _Time]:
    """Make a reader of times: ISO 8601 date and time, or ``form`` as `datetime.strptime` has it.

    Empty, ``NULL``, ``N/A`` and the like are no time. Raises `OptionError` for a form that `datetime` doesn't know.
    """
    if form is not None:
        try:
            datetime.strptime(_SOME_TIME.strftime(form), form)  # noqa: DTZ007 (differences only)
        except ValueError as error:
            raise OptionError(f'--time-format: "{form}" is not one ({error}); write it like "%m/%d/%Y %H:%M"') from None

    def read(text: str) -> _Time:
        text = text.strip()
        if text.casefold() in _EMPTY:
            return None
        try:
            if form is not None:
                return datetime.strptime(text, form)  # noqa: DTZ007 (differences only)
            return datetime.fromisoformat(text) if len(text) > _DATE_ONLY else _BAD
        except ValueError:
            return _BAD

    return read


def read_records(
    source: RecordsFile,
    columns: Columns,
    *,
    by: Role | None = None,
    time_format: str | None = None,
    drop_zeros: bool = False,
    watch: Watch | None = None,
) -> Records:
    """Read a file to its end; ``by`` also groups the rows. Raises `RecordsError`, also when no row gives a time."""
    places = columns.places(source.columns)
    times = [(role, places[role]) for role in TIMES if role in places]
    spans = [span for span, ends in ENDS.items() if all(role in places for role in ends)]
    if not spans:
        raise RecordsError(
            f"{source.name}: no segment begins and ends in the columns {', '.join(columns.names.values())};"
            " name more, like --map dispatched=Column --map enroute=Column"
        )
    records = Records(source.name, "", columns, whole={span: Spans() for span in spans})
    read = time_reader(time_format)
    width = len(source.columns)
    for line, row in source.rows(watch):
        records.rows += 1
        chosen = [records.whole]
        is_ragged = len(row) != width
        if by is not None:
            chosen.append(_group(records, NO_GROUP if is_ragged else row[places[by]].strip() or NO_GROUP))
        if is_ragged:
            records.examples.setdefault(Reason.RAGGED, Example(line, f"{len(row)} fields, not {width}"))
            for spans_of in chosen:
                for span in spans:
                    spans_of[span].set_aside[Reason.RAGGED] += 1
            continue
        found = {role: read(row[place]) for role, place in times}
        if Reason.UNREADABLE not in records.examples and _BAD in found.values():
            bad = next(place for role, place in times if found[role] is _BAD)
            records.examples[Reason.UNREADABLE] = Example(line, row[bad].strip()[:40])
        for span in spans:
            _note(span, found, [spans_of[span] for spans_of in chosen], drop_zeros=drop_zeros)
    records.sha256 = source.sha256
    if not any(spans_of.n for spans_of in records.whole.values()):
        raise RecordsError(_nothing_left(records))
    return records


def _group(records: Records, name: str) -> dict[Span, Spans]:
    records.sizes[name] += 1
    group = records.groups.get(name)
    if group is None:
        if len(records.groups) == MAX_GROUPS:
            raise RecordsError(f"{records.file}: has more than {MAX_GROUPS:,} groups; group by another column")
        group = records.groups[name] = {span: Spans() for span in records.whole}
    return group


def _note(span: Span, found: Mapping[Role, _Time], places: Iterable[Spans], *, drop_zeros: bool) -> None:
    outcome = _judge(span, found)
    if outcome == 0.0 and drop_zeros:
        outcome = Reason.ZERO
    for spans in places:
        if isinstance(outcome, Reason):
            spans.set_aside[outcome] += 1
        elif outcome is None:
            spans.watched.append(_watched(found, ENDS[span][0]))
        else:
            spans.took.append(outcome)


def _judge(span: Span, found: Mapping[Role, _Time]) -> float | Reason | None:
    """Say how long a segment took in one row (seconds), why it can't be said, or None: it never ended."""
    first, last = ENDS[span]
    begin, end = found[first], found[last]
    if begin is _BAD or end is _BAD:
        return Reason.UNREADABLE
    if begin is None:
        return Reason.MISSING_START if _went_on(found, first) else Reason.NOT_DUE
    if end is None:
        return Reason.MISSING_END if _went_on(found, last) else None
    try:
        seconds = (end - begin).total_seconds()
    except TypeError:
        return Reason.MIXED_ZONES
    return seconds if seconds >= 0 else Reason.NEGATIVE


def _went_on(found: Mapping[Role, _Time], role: Role) -> bool:
    """Tell whether a later step happened. A clear time shows nothing: calls are cleared that nobody went to."""
    later = islice(TIMES, TIMES.index(role) + 1, None)
    return any(found.get(step) is not None for step in later if step is not Role.CLEARED)


def _watched(found: Mapping[Role, _Time], since: Role) -> float:
    begin, cleared = found[since], found.get(Role.CLEARED)
    try:
        seconds = (cleared - begin).total_seconds()  # type: ignore[operator]  # what isn't a time raises
    except TypeError:
        return inf
    return seconds if seconds >= 0 else inf


def _nothing_left(records: Records) -> str:
    counts: Counter[Reason] = Counter()
    for spans in records.whole.values():
        counts |= spans.set_aside
    said = ", ".join(f"{count} {reason}" for reason, count in counts.most_common(3))
    example = records.examples.get(Reason.UNREADABLE)
    mend = (
        f'; line {example.line} has "{example.text}", so add --time-format, like "%m/%d/%Y %H:%M:%S"' if example else ""
    )
    return f"{records.file}: all {records.rows} rows were set aside ({said}){mend}"
