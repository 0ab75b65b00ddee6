"""``GET /v1/stream``: the timeline as it grows, as server-sent events, each entry once and in its incident's order."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from random import uniform
from typing import Annotated, Protocol
from uuid import UUID

from fastapi import FastAPI, Header, Query, Response
from fastapi.responses import StreamingResponse
from starlette.types import Message, Send

from schemas.base import Id, Slug
from schemas.timeline import TimelineEntry
from schemas.vocabulary import Role
from services.console.live import Hub, Listener, News
from services.console.stream_feed import Window, event, with_id
from services.console.stream_place import Place, PlaceError, Snapshot, read_place
from services.platform.access.guard import allow
from services.platform.access.principal import Principal
from services.platform.logs import get_logger
from services.platform.postgres import TRANSIENT
from services.platform.problem import ProblemError, documented

LASTS = 300.0
"""Seconds after which a stream ends and the client takes it up again, so that a person signed out stops seeing it."""
TAKEN_WITHIN = 10.0
"""Seconds in which a client must take what it is sent."""
RETRY = 300
"""Milliseconds after which a browser connects again."""

_S = HTTPStatus
_log = get_logger(__name__)


class EventStream(StreamingResponse):
    """A stream of events, written as bytes once for all who are sent them; ends when its client stops taking them."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        super().__init__(events, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._events = events

    async def stream_response(self, send: Send) -> None:
        """Send events until there are no more, or one isn't taken in time."""

        async def within(message: Message) -> None:
            async with asyncio.timeout(TAKEN_WITHIN):
                await send(message)

        try:
            await super().stream_response(within)
        except TimeoutError:
            _log.info("a stream's client takes nothing any more")
        finally:
            await self._events.aclose()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries a reader sees; ``departments`` None: all of them."""

    incident: UUID | None = None
    departments: frozenset[str] | None = None

    def has(self, entry: TimelineEntry) -> bool:
        """Say whether an entry is among them."""
        return (self.incident is None or entry.incident_id == self.incident) and (
            self.departments is None
            or entry.department in self.departments
            or not self.departments.isdisjoint(entry.detail.get("departments", ()))
        )


def add_stream(app: FastAPI, hub: Hub) -> None:
    """Add the stream of one namespace to its application."""

    @app.get(
        "/v1/stream",
        operation_id="follow_stream",
        tags=["live"],
        response_class=EventStream,
        status_code=200,
        responses=documented(_S.UNAUTHORIZED, _S.FORBIDDEN, _S.UNPROCESSABLE_ENTITY),
    )
    async def stream(
        caller: Annotated[Principal, allow(*Role)],
        incident: Annotated[Id | None, Query(description="Only this incident's entries.")] = None,
        department: Annotated[
            Slug | None, Query(description="Only entries about this department's orders, or told to it.")
        ] = None,
        after: Annotated[str | None, Query(description="The id of an event; what came after it is sent first.")] = None,
        last_event_id: Annotated[str | None, Header(description="The same, as browsers send it; it wins.")] = None,
    ) -> Response:
        """Follow the timeline: ``entry`` events hold an entry, and ``alive`` comes every two seconds with the time.

        Every event has an id; a client that sends the last one it had is sent all that came after it, each entry
        once. ``reset`` instead means that the id is of another database: read again what you show. A department's
        member is sent the entries about its department's orders, and what it was told of others'. The stream ends after
        some minutes; connect again.
        """
        wanted = Wanted(incident, _departments(caller, department))
        place, reset = _place(after, last_event_id)
        await until_ready(hub)
        return EventStream(follow(hub, lambda listener: _Entries(hub, wanted, place, listener, reset=reset)))


async def until_ready(hub: Hub) -> None:
    """Wait for the hub's first look; raises `ProblemError` when the record can't be read."""
    if not await hub.ready():
        detail = "the record can't be read at the moment; try again"
        raise ProblemError(_S.SERVICE_UNAVAILABLE, detail, kind="unavailable", headers={"Retry-After": "2"})


def _departments(caller: Principal, asked: str | None) -> frozenset[str] | None:
    """Say whose entries a caller is sent: a member of departments only theirs, whatever it asks for."""
    if caller.is_staff:
        return None if asked is None else frozenset({asked})
    if asked is None:
        return caller.departments
    if not caller.may_act_for(asked):
        raise ProblemError(_S.FORBIDDEN, f"you are not of the department {asked}", kind="not-allowed")
    return frozenset({asked})


def _place(after: str | None, last_event_id: str | None) -> tuple[Place | None, bool]:
    """Read where a client stopped; with True when its browser sent what this version doesn't know."""
    if last_event_id:
        try:
            return read_place(last_event_id), False
        except PlaceError:
            return None, True
    if not after:
        return None, False
    try:
        return read_place(after), False
    except PlaceError as error:
        raise ProblemError(_S.UNPROCESSABLE_ENTITY, f"after: {error}", kind="invalid-request") from None


class Reading(Protocol):
    """One client's side of a stream."""

    def missed(self) -> AsyncIterator[bytes]:
        """Give what came before the listener began to listen."""

    def told(self, news: News) -> bytes:
        """Write what some news mean to this client; nothing where they mean nothing."""


async def follow(hub: Hub, begin: Callable[[Listener], Reading]) -> AsyncGenerator[bytes, None]:
    """Give a stream's events: first what was missed, then what comes."""
    ends = asyncio.get_running_loop().time() + LASTS * uniform(0.8, 1.0)  # noqa: S311 - so that not all end at once
    yield f"retry: {RETRY}\n\n".encode()
    try:
        with hub.listening() as listener:
            reading = begin(listener)
            async for events in reading.missed():
                yield events
            while asyncio.get_running_loop().time() < ends:
                news = await listener.take()
                if not news:
                    return
                events = b"".join(reading.told(each) for each in news)
                if events:
                    yield events
    except TRANSIENT as error:
        _log.warning("a stream ends: the record can't be read", error=repr(error))


def alive(now: datetime, place: Place | None = None) -> bytes:
    """Write the sign of life."""
    return event("alive", json.dumps({"now": now.isoformat()}), place)


class _Entries:
    """The timeline as one client has had it so far."""

    def __init__(self, hub: Hub, wanted: Wanted, place: Place | None, listener: Listener, *, reset: bool) -> None:
        self._hub = hub
        self._wanted = wanted
        self._place = place or listener.place
        self._resumes = place is not None
        self._reset = reset
        self._had: Snapshot | None = None

    async def missed(self) -> AsyncIterator[bytes]:
        """Give what came after the client's place, up to now; the listener has had all from a little before now on."""
        if self._resumes:
            now = await self._hub.feed.now()
            if not now.covers(self._place.latest):  # a place ahead of the database is another database's
                self._reset = True
                self._place = Place(now)
            self._had = now
            while window := await self._read(now):
                self._place = window.place
                if window.told:
                    yield b"".join(told.event for told in window.told)
        if self._reset:
            yield event("reset", "{}", self._place)
        yield alive(self._hub.clock.now(), self._place)

    async def _read(self, now: Snapshot) -> Window | None:
        wanted = self._wanted
        departments = None if wanted.departments is None else sorted(wanted.departments)
        return await self._hub.feed.read(self._place, now, incident=wanted.incident, departments=departments)

    def told(self, news: News) -> bytes:
        """Write what the client hasn't had of some news."""
        if news.window is None:
            if self._had is None or news.place.latest.covers(self._had):
                self._place = news.place
            return alive(news.now, self._place)
        window = news.window
        if self._had is None or window.seen.covers(self._had):
            self._had = None
            self._place = window.place
            return b"".join(told.event for told in window.told if self._wanted.has(told.entry))
        return b"".join(self._rest(window, self._had))

    def _rest(self, window: Window, had: Snapshot) -> list[bytes]:
        """Write a window that began before what the client had: only the rest, and with ids that say just that."""
        rest: list[bytes] = []
        for told in window.told:
            if not had.sees(told.transaction) and self._wanted.has(told.entry):
                self._place = Place(had, window.upto, told.seq)
                rest.append(with_id(told.body, self._place))
        if window.place.upto is None and window.upto.covers(had):
            self._place = window.place
        return rest
