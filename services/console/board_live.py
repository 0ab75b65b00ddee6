"""What a browser that shows the board is told: rows that changed, ready to be put in place, and their order."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from services.console.board_models import BoardRow
from services.console.live import Hub, News
from services.console.stream import alive

Draw = Callable[[BoardRow], bytes]
"""Writes the event of a row; asked for the same one by every browser, so it remembers."""


@dataclass(frozen=True, slots=True)
class View:
    """What one browser shows: so many of the rows that it asked for, as far as it had them at a revision."""

    keeps: Callable[[BoardRow], bool]
    limit: int
    since: int


class BoardChanges:
    """One browser's side of the stream; its events are entries with a ``board`` instead of a timeline entry's fields.

    ``{"id", "html"}`` is a row to put in place of the one with that id; ``{"order", "counts", "total", "exercises"}``
    names the rows to show, in their order. Every row that is named was sent before or stood on the page.
    """

    def __init__(self, hub: Hub, view: View, draw: Draw, exercises: Callable[[], int]) -> None:
        self._hub = hub
        self._view = view
        self._draw = draw
        self._exercises = exercises
        self._shown: dict[str, int] | None = None
        self._last: tuple[int, int] | None = None

    async def missed(self) -> AsyncIterator[bytes]:
        """Give what changed since the page was drawn."""
        yield alive(self._hub.clock.now()) + self._changes()

    def told(self, news: News) -> bytes:
        """Give what the news changed."""
        changes = self._changes()
        return changes if news.window is not None else alive(news.now) + changes

    def _changes(self) -> bytes:
        board = self._hub.board
        marks = (board.revision, self._exercises())
        if marks == self._last:
            return b""
        self._last = marks
        rows, total, _ = board.page(self._view.keeps, limit=self._view.limit)
        events = [self._draw(row) for row in rows if self._is_news(str(row.id), row.revision)]
        self._shown = {str(row.id): row.revision for row in rows}
        order = {
            "order": list(self._shown),
            "counts": board.counts.model_dump(),
            "total": total,
            "exercises": marks[1],
        }
        return b"".join(events) + board_event(order, board.revision)

    def _is_news(self, row: str, revision: int) -> bool:
        if self._shown is None:
            return revision > self._view.since
        return self._shown.get(row) != revision


def board_event(board: dict[str, object], revision: int) -> bytes:
    """Write an event; its id tells a browser that comes again from which revision on it needs rows."""
    data = json.dumps({"incident_id": board.get("id", ""), "board": board}, ensure_ascii=False)
    return f"event: entry\nid: {revision}\ndata: {data}\n\n".encode()
