"""A drill's progress on a terminal while it runs; where there is no terminal, a line for what matters."""

import json
from collections import Counter, deque
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text as Styled

from schemas.drill import DrillDocument
from schemas.timeline import Entry
from schemas.vocabulary import AssignmentState
from services.drills.record import Rating
from services.drills.run import Progress
from services.drills.words import ENTRIES

NO_LEVEL = "–"
RECENT = 9
"""Timeline entries on the screen."""
_QUIET = frozenset({Entry.DELIVERED, Entry.ACKNOWLEDGED, Entry.PROGRESSED, Entry.SUPERSEDED})
_LENGTHY = frozenset({Entry.PLAN_MATCHED, Entry.LEVEL_CHANGED})
"""Entries whose reasons are whole conditions."""
_STYLES = {
    Entry.DECLINED: "yellow",
    Entry.OVERDUE: "yellow",
    Entry.REMINDED: "yellow",
    Entry.ESCALATED: "red",
    Entry.BLOCKED: "red",
    Entry.UNFILLED: "red",
    Entry.COMPLETED: "green",
    Entry.OBSTACLE_RESOLVED: "green",
    Entry.LEVEL_CHANGED: "bold",
    Entry.ACTIVATED: "bold",
}
_COLUMNS = {
    "waiting": (AssignmentState.ISSUED, AssignmentState.DELIVERED, AssignmentState.ACKNOWLEDGED),
    "committed": (AssignmentState.COMMITTED,),
    "started": (AssignmentState.STARTED,),
    "done": (AssignmentState.COMPLETED,),
    "declined": (AssignmentState.DECLINED, AssignmentState.FAILED),
    "called off": (AssignmentState.CANCELLED, AssignmentState.SUPERSEDED, AssignmentState.EXPIRED),
}

_RATINGS = {
    Rating.MET: ("met", "green"),
    Rating.NOT_MET: ("not met", "red"),
    Rating.NOT_OBSERVED: ("not observed", "yellow"),
}


class Screen:
    """Shows a drill; use as a context manager and give `show` to the controller."""

    def __init__(self, document: DrillDocument, speed: float, console: Console) -> None:
        self._document = document
        self._speed = speed
        self._console = console
        self._recent: deque[Styled] = deque(maxlen=RECENT)
        self._level = NO_LEVEL
        self._known: tuple[str, ...] = ()
        self._paused = False
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, progress: Progress) -> None:
        """Show how the drill stands."""
        for name in (each for each in progress.played if each not in self._known):
            inject = next(inject for inject in self._document.injects if inject.id == name)
            self._add(progress.elapsed, f"[cyan]inject[/] {escape(inject.title.en)} · {escape(inject.title.zh)}")
        self._known = progress.played
        if progress.paused != self._paused:
            self._paused = progress.paused
            self._add(progress.elapsed, "[bold]the drill stands still[/]" if progress.paused else "[bold]it goes on[/]")
        for judged in progress.judged:
            word, style = _RATINGS[judged.rating]
            self._add(progress.elapsed, f"[{style}]expectation {word}[/] · {judged.inject} · {escape(judged.because)}")
        for row in progress.entries:
            self._take(row["occurred_at"] - progress.started_at, row)
        if self._live is not None:
            self._live.update(Group(self._head(progress), self._departments(progress), *self._recent))

    def _take(self, at: timedelta, row: Any) -> None:
        entry = Entry(row["entry"])
        detail = json.loads(row["detail"])
        if entry in {Entry.ACTIVATED, Entry.LEVEL_CHANGED}:
            self._level = detail.get("level") or NO_LEVEL
        if entry in _QUIET:
            return
        why = None if entry in _LENGTHY else row["reason"] or detail.get("deadline")
        words = [ENTRIES[entry].en, row["department"], detail.get("task"), detail.get("level"), why]
        said = escape(" · ".join(str(word) for word in words if word))
        style = _STYLES.get(entry)
        self._add(at, f"[{style}]{said}[/]" if style else said)

    def _add(self, at: timedelta, words: str) -> None:
        line = Styled.from_markup(f"[dim]{_clock(at)}[/] {words}")
        line.no_wrap, line.overflow = True, "ellipsis"
        self._recent.append(line)
        if self._live is None:
            self._console.print(line, soft_wrap=True)

    def _head(self, progress: Progress) -> Group:
        duration, title = self._document.duration, self._document.title
        words = (
            f"[bold reverse] EXERCISE [/] [bold]{escape(title.en)} · {escape(title.zh)}[/]"
            f"\n{_clock(progress.elapsed)} of {_clock(duration)} at {self._speed:g}×, level {self._level}"
            f"{'   [bold yellow]STANDS STILL[/]' if progress.paused else ''}"
        )
        bar = ProgressBar(total=duration.total_seconds(), completed=progress.elapsed.total_seconds(), width=60)
        return Group(Styled.from_markup(words), bar)

    def _departments(self, progress: Progress) -> Table:
        table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
        table.add_column("department")
        for column in _COLUMNS:
            table.add_column(column, justify="right")
        table.add_column("late", justify="right")
        counts: dict[str, Counter[AssignmentState]] = {}
        late: Counter[str] = Counter()
        for row in progress.assignments:
            counts.setdefault(row["department"], Counter())[AssignmentState(row["state"])] += 1
            late[row["department"]] += bool(row["missed"])
        for department, states in sorted(counts.items()):
            cells = [sum(states[state] for state in column) for column in _COLUMNS.values()]
            waiting_late = late[department] and cells[0]
            table.add_row(
                department,
                *(str(cell) if cell else "·" for cell in (*cells, late[department])),
                style="red" if waiting_late else None,
            )
        return table


def _clock(at: timedelta) -> str:
    seconds = max(0, round(at.total_seconds()))
    return f"T+{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
