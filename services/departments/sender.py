"""Sends what the journal holds until the broker has confirmed it, one answer of an order at a time."""

import asyncio
import sqlite3

from services.departments.answering import Answering
from services.departments.backoff import pause
from services.departments.transport import Connection
from services.platform.logs import get_logger

AT_ONCE = 200
LOOK_EVERY = 2.0
"""Seconds between looks into the journal for answers that another process has written there."""

_log = get_logger(__name__)


class Sender:
    """Sends a department's answers over whatever connection there is."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._journal = answering.journal
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look into the journal now."""
        self._wake.set()

    async def run(self, connection: Connection) -> None:
        """Send until cancelled. An order's next answer goes out only after the one before is confirmed."""
        failures = 0
        while True:
            self._wake.clear()
            try:
                sent, failed = await self._send_once(connection)
            except sqlite3.Error as error:
                sent, failed = 0, error
            if failed is not None:
                failures += 1
                _log.warning("answers not sent yet; trying again", error=repr(failed))
                await asyncio.sleep(pause(failures))
                continue
            failures = 0
            if not sent:
                await self._slumber()

    async def _send_once(self, connection: Connection) -> tuple[int, BaseException | None]:
        waiting = self._journal.waiting(AT_ONCE)
        if not waiting:
            return 0, None
        results = await connection.send([self._answering.outgoing(said) for said in waiting])
        self._journal.confirm(said for said, error in zip(waiting, results, strict=True) if error is None)
        return len(waiting), next((error for error in results if error is not None), None)

    async def _slumber(self) -> None:
        try:
            async with asyncio.timeout(LOOK_EVERY):
                await self._wake.wait()
        except TimeoutError:
            return

    async def settle(self, within: float) -> bool:
        """Wait until nothing is left to send, at most so many seconds; say whether that was reached."""
        deadline = asyncio.get_running_loop().time() + within
        while self._journal.waiting(1):
            if asyncio.get_running_loop().time() > deadline:
                return False
            self.wake()
            await asyncio.sleep(0.02)
        return True
