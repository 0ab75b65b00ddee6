"""What a browser that shows the board is told: rows that changed, ready to be put in place, and their order."""

import json
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.console.board_models import BoardRow
from services.console.live import Hub, News
from services.console.stream import alive

Draw = Callable[[BoardRow], bytes]
"""Writes the event of a row; asked for the same one by every browser, so it remembers."""


@dataclass(frozen=True, slots=True)
class View:
    """What one browser shows: so many of the rows that it asked for, as far as it had them at a revision.

    ``chosen`` tells one choice of rows from another: whoever has the same is shown the same.
    """

    chosen: Hashable
    keeps: Callable[[BoardRow], bool]
    limit: int
    since: int


class Shown:
    """Which rows are shown for a choice, and in which order: worked out once for all browsers that chose it."""

    def __init__(self, hub: Hub, exercises: Callable[[], int]) -> None:
        self._hub = hub
        self._exercises = exercises
        self._marks = (0, 0)
        self._known: dict[tuple[Hashable, int], tuple[Sequence[BoardRow], bytes]] = {}

    def marks(self) -> tuple[int, int]:
        """Give what changes whenever any browser may have to be told something."""
        return self._hub.board.revision, self._exercises()

    def look(self, view: View) -> tuple[Sequence[BoardRow], bytes]:
        """Give the rows of a view, and the event that names them in their order."""
        marks = self.marks()
        if marks != self._marks:
            self._marks = marks
            self._known.clear()
        key = (view.chosen, view.limit)
        if key not in self._known:
            board = self._hub.board
            rows, total, _ = board.page(view.keeps, limit=view.limit)
            order = {
                "order": [str(row.id) for row in rows],
                "counts": board.counts.model_dump(),
                "total": total,
                "exercises": marks[1],
            }
            self._known[key] = rows, board_event(order, marks[0])
        return self._known[key]


class BoardChanges:
    """One browser's side of the stream; its events are entries with a ``board`` instead of a timeline entry's fields.

    ``{"id", "html"}`` is a row to put in place of the one with that id; ``{"order", "counts", "total", "exercises"}``
    names the rows to show, in their order. Every row that is named was sent before or stood on the page.
    """

    def __init__(self, hub: Hub, view: View, shown: Shown, draw: Draw) -> None:
        self._hub = hub
        self._view = view
        self._shown = shown
        self._draw = draw
        self._had: dict[UUID, int] | None = None
        self._marks: tuple[int, int] | None = None

    async def missed(self) -> AsyncIterator[bytes]:
        """Give what changed since the page was drawn."""
        yield alive(self._hub.clock.now()) + self._changes()

    def told(self, news: News) -> bytes:
        """Give what the news changed."""
        changes = self._changes()
        return changes if news.window is not None else alive(news.now) + changes

    def _changes(self) -> bytes:
        marks = self._shown.marks()
        if marks == self._marks:
            return b""
        self._marks = marks
        rows, order = self._shown.look(self._view)
        events = [self._draw(row) for row in rows if self._is_news(row)]
        self._had = {row.id: row.revision for row in rows}
        return b"".join(events) + order

    def _is_news(self, row: BoardRow) -> bool:
        return row.revision > self._view.since if self._had is None else self._had.get(row.id) != row.revision


def board_event(board: dict[str, object], revision: int) -> bytes:
    """Write an event; its id tells a browser that comes again from which revision on it needs rows."""
    data = json.dumps({"incident_id": board.get("id", ""), "board": board}, ensure_ascii=False)
    return f"event: entry\nid: {revision}\ndata: {data}\n\n".encode()
