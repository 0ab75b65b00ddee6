"""The seam between a department and a broker; `kafka` is the real thing, `memory` an honest fake."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from schemas.envelope import Envelope
from services.platform.kafka import Record

Handle = Callable[[Sequence[Record]], Awaitable[None]]
"""Takes orders as they come; once it returns they are safe, and only then may their offsets be committed."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An answer on its way out. ``incident_id`` is the key, so that the order of an incident is kept."""

    incident_id: UUID
    envelope: Envelope
    value: bytes


class Connection(Protocol):
    """One connection while it lasts."""

    async def send(self, answers: Sequence[Outgoing]) -> list[BaseException | None]:
        """Publish answers in order and wait for the broker to have them; one result for each, None for success."""

    async def stop_reading(self) -> None:
        """Take no more orders; answers can still be sent. Safe to call twice."""

    async def lost(self) -> None:
        """Return when the connection is beyond mending itself and should be made anew."""


class Transport(Protocol):
    """A way to one department's two topics in one namespace."""

    def connect(self, handle: Handle) -> AbstractAsyncContextManager[Connection]:
        """Join the department's group and hand over its orders from where the group stopped.

        Raises `UnreachableError` when the broker can't be reached.
        """

    def visit(self, handle: Handle) -> AbstractAsyncContextManager[Connection]:
        """Hand over all orders that the topic holds, once, without joining the group; then stay to send answers.

        Raises `UnreachableError` when the broker can't be reached or doesn't have the topic.
        """
