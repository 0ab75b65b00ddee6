"""The duty officer's home: the open incidents, worst first and alive; and the same for a wall."""

from collections.abc import Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, FastAPI, Header, Query, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from services.console.board_api import AT_FIRST, AT_MOST, BoardFilter, Only
from services.console.board_live import BoardChanges, Shown, View, board_event
from services.console.board_models import BoardRow
from services.console.live import Hub
from services.console.page import STAFF_PAGE, Page, page_for
from services.console.stream import EventStream, follow, until_ready
from services.platform.problem import ProblemError

ON_THE_WALL = 5
"""Incidents that a wall shows: as many as can be read at four metres."""
KEPT = 2_000
"""Drawn rows that are kept; more than are open at once in every language."""


def add_board(site: FastAPI, hub: Hub, exercises: Hub | None = None) -> None:
    """Add the pages of one world; ``exercises`` is the other world's hub, where one process serves both."""
    drawn = Drawn()

    def running() -> int:
        return 0 if exercises is None else exercises.board.counts.open

    shown = Shown(hub, running)

    async def show(page: Page, template: str, wanted: BoardFilter, limit: int) -> HTMLResponse:
        asked = _query(wanted, limit)
        board = await page.get("/v1/board", **asked)
        rows = [drawn.row(page, row) for row in board["items"]]
        asked |= {"after": board["revision"]}
        return page.render(
            template,
            board=board,
            rows=rows,
            wanted=wanted,
            limit=limit,
            most=AT_MOST,
            live=page.url(f"/live/board?{urlencode(asked)}"),
            link=lambda **changes: _link(page, wanted, changes),
            exercises=running(),
        )

    @site.get("/", include_in_schema=False)
    async def board(
        page: Annotated[Page, page_for()],
        wanted: Annotated[BoardFilter, Depends()],
        limit: Annotated[int, Query(ge=1, le=AT_MOST)] = AT_FIRST,
    ) -> Response:
        home = _home(page)
        return await show(page, "board.html.j2", wanted, limit) if home is None else RedirectResponse(home)

    @site.get("/wall", include_in_schema=False)
    async def wall(
        page: Annotated[Page, page_for(*STAFF_PAGE)], wanted: Annotated[BoardFilter, Depends()]
    ) -> HTMLResponse:
        return await show(page, "wall.html.j2", wanted, ON_THE_WALL)

    @site.get("/live/board", include_in_schema=False)
    async def changes(
        page: Annotated[Page, page_for(*STAFF_PAGE)],
        wanted: Annotated[BoardFilter, Depends()],
        limit: Annotated[int, Query(ge=1, le=AT_MOST)] = AT_FIRST,
        after: Annotated[int, Query(ge=0)] = 0,
        last_event_id: Annotated[str | None, Header()] = None,
    ) -> EventStream:
        await until_ready(hub)
        if last_event_id is not None and last_event_id.isdecimal():
            after = int(last_event_id)
        who = page.caller.name if page.caller else ""
        view = View((wanted, who if wanted.only is Only.MINE else ""), wanted.keeps(who), limit, after)
        return EventStream(follow(hub, lambda _: BoardChanges(hub, view, shown, lambda row: drawn.event(page, row))))


def _home(page: Page) -> str | None:
    """Say where somebody belongs who may not see the board."""
    if page.caller is None or page.caller.is_staff:
        return None
    for department in sorted(page.caller.departments):
        return page.url(f"/departments/{department}")
    raise ProblemError(HTTPStatus.FORBIDDEN, "you have no role yet; an administrator gives you one", kind="not-allowed")


def _query(wanted: BoardFilter, limit: int) -> dict[str, Any]:
    asked = {name: value for name, value in asdict(wanted).items() if value is not None}
    return asked if limit == AT_FIRST else {**asked, "limit": limit}


def _link(page: Page, wanted: BoardFilter, changes: Mapping[str, Any]) -> str:
    """Write the way to the board with some of the choices changed."""
    asked = {name: value for name, value in {**asdict(wanted), **changes}.items() if value is not None}
    return page.url("/") + (f"?{urlencode(asked)}" if asked else "")


class Drawn:
    """Rows as HTML and as events, drawn once for all who see them; what is drawn hangs on nobody who looks."""

    def __init__(self) -> None:
        self._html: dict[tuple[str, str], tuple[int, str]] = {}
        self._events: dict[tuple[str, str], tuple[int, bytes]] = {}

    def row(self, page: Page, row: Mapping[str, Any]) -> str:
        """Draw a row, as the API gives it."""
        key = (str(row["id"]), page.language)
        known = self._html.get(key)
        if known is not None and known[0] == row["revision"]:
            return known[1]
        html = page.fragment("board_row.html.j2", row=row)
        if len(self._html) >= KEPT:
            self._html.clear()
        self._html[key] = (row["revision"], html)
        return html

    def event(self, page: Page, row: BoardRow) -> bytes:
        """Draw a row, as the event that brings it."""
        key = (str(row.id), page.language)
        known = self._events.get(key)
        if known is not None and known[0] == row.revision:
            return known[1]
        html = self.row(page, row.model_dump(mode="json"))
        event = board_event({"id": key[0], "html": html}, row.revision)
        if len(self._events) >= KEPT:
            self._events.clear()
        self._events[key] = (row.revision, event)
        return event
