"""The timeline of a drill as geometry: which line goes from where to where. The template draws it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from schemas.base import Text
from services.domain.incident import Deadline
from services.drills.report import Bar, Report

WIDTH, LABELS, RIGHT = 1120, 300, 16
"""Pixels: the drawing, the room for the names on its left, and the margin on its right."""
HEAD, GROUP, ROW = 34, 26, 20
TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 240)
"""Minutes between the lines of the grid; the first that gives at most twelve."""
LABEL_EN, LABEL_ZH = 42, 23
"""Characters that fit beside the drawing."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One stretch of a row; ``kind`` is waiting, preparing, working or silent."""

    kind: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Mark:
    """One moment in a row; ``kind`` is issued, delivered, completed, declined, called_off, due or missed."""

    kind: str
    x: float
    at: timedelta


@dataclass(frozen=True, slots=True)
class Row:
    """One assignment; ``planned`` runs from the order to the last deadline it had, or as far as the drawing goes."""

    bar: Bar
    y: float
    label: Text
    planned: Piece | None
    pieces: tuple[Piece, ...]
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Lane:
    """One department with its assignments."""

    id: str
    title: Text
    y: float
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """The whole drawing; ``ticks`` are positions with their minute, ``injects`` positions with their number."""

    height: float
    lanes: tuple[Lane, ...]
    ticks: tuple[tuple[float, int], ...]
    injects: tuple[tuple[float, int, Text], ...]


def draw(report: Report, bars: Iterable[Bar] | None = None) -> Chart:
    """Lay out the assignments that a report lists, or some, by department as those were first called."""
    scale = _Scale(report.drill.started_at, max(report.duration, timedelta(minutes=1)))
    by_department = _by_department(report.bars if bars is None else bars)
    lanes: list[Lane] = []
    y = float(HEAD)
    for department in report.departments:
        if department.id not in by_department:
            continue
        top, y = y, y + GROUP
        rows = []
        for bar in by_department[department.id]:
            rows.append(_row(bar, y, scale))
            y += ROW
        lanes.append(Lane(department.id, department.title, top, tuple(rows)))
    played = [(number, row) for number, row in enumerate(report.injects, 1) if row.played_at is not None]
    return Chart(
        height=y + 12,
        lanes=tuple(lanes),
        ticks=tuple(scale.ticks()),
        injects=tuple((scale.x(row.played_at), number, row.rule.title) for number, row in played if row.played_at),
    )


def pages(report: Report, height: float) -> list[Chart]:
    """Lay out the same on as many drawings as it takes for each to be no higher.

    A department is divided only where it is higher than a drawing by itself.
    """
    groups: list[list[Bar]] = [[]]
    left = height - HEAD
    most = max(int((left - GROUP) // ROW), 1)
    for bars in _by_department(report.bars).values():
        for begin in range(0, len(bars), most):
            part = bars[begin : begin + most]
            needs = GROUP + ROW * len(part)
            if groups[-1] and needs > left:
                groups.append([])
                left = height - HEAD
            groups[-1] += part
            left -= needs
    return [draw(report, group) for group in groups if group]


def _by_department(bars: Iterable[Bar]) -> dict[str, list[Bar]]:
    found: dict[str, list[Bar]] = {}
    for bar in bars:
        found.setdefault(bar.department, []).append(bar)
    return found


@dataclass(frozen=True, slots=True)
class _Scale:
    start: datetime
    duration: timedelta

    def x(self, at: datetime) -> float:
        share = (at - self.start) / self.duration
        return round(LABELS + (WIDTH - LABELS - RIGHT) * min(max(share, 0.0), 1.0), 1)

    def holds(self, at: datetime) -> bool:
        return self.start <= at <= self.start + self.duration

    def ticks(self) -> Iterator[tuple[float, int]]:
        minutes = self.duration / timedelta(minutes=1)
        step = next((step for step in TICKS if minutes / step <= 12), TICKS[-1])
        for minute in range(0, int(minutes) + 1, step):
            yield self.x(self.start + timedelta(minutes=minute)), minute


def _row(bar: Bar, y: float, scale: _Scale) -> Row:
    last = max(bar.deadlines.values(), default=None)
    planned = None if last is None else _piece("planned", bar.issued_at, last, scale)
    return Row(bar, y, _short(bar.title), planned, tuple(_pieces(bar, scale)), tuple(_marks(bar, scale)))


def _short(title: Text) -> Text:
    return Text(en=_cut(title.en, LABEL_EN), zh=_cut(title.zh, LABEL_ZH))


def _cut(text: str, at: int) -> str:
    return text if len(text) <= at else f"{text[: at - 1].rstrip()}…"


def _pieces(bar: Bar, scale: _Scale) -> Iterator[Piece]:
    taken_on = [at for at in (bar.committed_at, bar.started_at, bar.declined_at) if at is not None]
    answered = min(taken_on, default=bar.ended_at)
    done = bar.completed_at or bar.ended_at
    begin = bar.started_at or done
    yield _piece("silent" if bar.never_answered else "waiting", bar.issued_at, answered, scale)
    if taken_on and bar.declined_at is None:
        yield _piece("preparing", answered, begin, scale)
        if bar.started_at is not None:
            yield _piece("working", bar.started_at, done, scale)


def _piece(kind: str, begin: datetime, end: datetime, scale: _Scale) -> Piece:
    x = scale.x(begin)
    return Piece(kind, x, round(max(scale.x(end) - x, 0.0), 1))


def _marks(bar: Bar, scale: _Scale) -> Iterator[Mark]:
    ended = None if bar.completed_at or bar.declined_at else bar.ended_at
    moments = {
        "issued": bar.issued_at,
        "delivered": bar.delivered_at,
        "completed": bar.completed_at,
        "declined": bar.declined_at,
        "called_off": ended,
    }
    for deadline in Deadline:
        by = bar.deadlines.get(deadline)
        if by is not None and scale.holds(by) and (deadline in bar.missed or by <= bar.ended_at):
            yield Mark("missed" if deadline in bar.missed else "due", scale.x(by), by - scale.start)
    for kind, at in moments.items():
        if at is not None and scale.holds(at):
            yield Mark(kind, scale.x(at), at - scale.start)
