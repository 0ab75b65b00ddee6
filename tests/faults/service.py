"""The suite's entry point of a service: ``muster serve`` with a safeguard taken out, or a clock that can be stepped.

The switches are here and not in the services: ``FAULTS_WITHOUT`` names the safeguard, ``FAULTS_CLOCK`` a file
that holds by how many seconds the wall clock is wrong, read again at each SIGUSR1.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import time_machine
from aiokafka import TopicPartition

from services.cli.main import main
from services.platform import decider
from services.platform.decider import Incoming
from services.platform.epoch import BrokerWatch
from services.platform.kafka import Consumer
from services.platform.outbox import Outbox
from services.platform.queries import query

WITHOUT = "FAULTS_WITHOUT"
CLOCK = "FAULTS_CLOCK"


def _reword(name: str, before: str, after: str) -> None:
    """Change the wording of one of the decider's statements; what is to be changed must be there."""
    text = query(name)
    assert text.count(before) == 1, f"{name}: {before!r} is not there once"

    @cache
    def reworded(asked: str) -> str:
        return text.replace(before, after) if asked == name else query(asked)

    decider.query = reworded  # type: ignore[attr-defined]


def _replace(owner: type, name: str, method: Callable[..., Any]) -> Any:
    """Put a method in the place of one that must be there, and give that one."""
    before = getattr(owner, name)
    setattr(owner, name, method)
    return before


def without_inbox() -> None:
    """Take what was decided before for new."""

    def forgetful(self: "decider._Work", incoming: Incoming, *, repeated: bool) -> None:
        del repeated
        take(self, incoming, repeated=False)

    take = _replace(decider._Work, "take", forgetful)
    before = "SELECT * FROM unnest($1::new_input[])"
    _reword("save_decisions", before, before + " ON CONFLICT DO NOTHING")


def without_outbox_sweeper() -> None:
    """Publish right after the commit, or never."""

    async def never(self: Outbox) -> None:
        del self
        await asyncio.Event().wait()

    _replace(Outbox, "sweep_for_ever", never)


def without_commit_after_effect() -> None:
    """Commit offsets first and handle the records then."""

    async def hasty(self: Consumer, records: "list[Any]") -> None:
        done = {TopicPartition(record.topic, record.partition): record.offset + 1 for record in records}
        await self._subscriber.consumer.commit(done)
        await take(self, records)

    take = _replace(Consumer, "_take", hasty)


def without_timer_lease() -> None:
    """Let every copy handle what has fallen due, also what another has in hand."""
    _reword("due_incidents", "pg_try_advisory_xact_lock(hashtextextended(incident_id::text, 0))", "true")


def without_broker_watch() -> None:
    """Take an empty broker for the one that was there before."""

    async def blind(self: BrokerWatch) -> None:
        del self

    async def unmoved(self: BrokerWatch) -> int:
        del self
        return 0

    _replace(BrokerWatch, "_look", blind)
    _replace(BrokerWatch, "_compare", unmoved)


SAFEGUARDS: dict[str, Callable[[], None]] = {
    "inbox": without_inbox,
    "outbox sweeper": without_outbox_sweeper,
    "commit after effect": without_commit_after_effect,
    "timer lease": without_timer_lease,
    "broker watch": without_broker_watch,
}
"""What can be taken out, by the name it has in the mutation table."""


def _step_on_signal(path: Path) -> None:
    travellers: list[Any] = []

    def step(*_: object) -> None:
        if not travellers:
            travellers.append(time_machine.travel(datetime.now(UTC), tick=True).start())
            travellers.append(0.0)
        off = float(path.read_text())
        travellers[0].shift(off - travellers[1])
        travellers[1] = off

    signal.signal(signal.SIGUSR1, step)


def run(arguments: Sequence[str]) -> None:
    """Serve as told on the command line."""
    if removed := os.environ.get(WITHOUT):
        SAFEGUARDS[removed]()
    if path := os.environ.get(CLOCK):
        _step_on_signal(Path(path))
    sys.argv = ["muster", "serve", *arguments]
    main()


if __name__ == "__main__":
    run(sys.argv[1:])
