"""What deciding costs without a broker: processor time of Python and Postgres, and bytes of Postgres' log.

`python -m tests.bench.path [INCIDENTS] 2> /dev/null` lets dispatch decide incidents of six orders, and tracking an
answer to each, in batches of 200, as the services do, with everything but Kafka. For looking at a change before and
after; the bytes of the log are nearly the same in every run.
"""

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Any
from unittest.mock import patch

import uvloop

from schemas.envelope import ACKNOWLEDGEMENT, INCIDENT
from schemas.vocabulary import Namespace
from services.bench.contenders import wordings
from services.bench.cost import cpu_seconds
from services.bench.material import Sent, sent_answer, sent_report
from services.dispatch.service import admit_report
from services.platform import outbox
from services.platform.clock import SystemClock
from services.platform.decider import Decider
from services.platform.embedded.postgres import EmbeddedPostgres
from services.platform.kafka import read_record
from services.platform.logs import configure_logging
from services.platform.migrations import migrate
from services.platform.outbox import Outbox
from services.platform.postgres import Pool, connect
from services.platform.published import PublishedPlaybook, publish
from services.platform.rights import role_name
from services.platform.worker import Admit, Worker
from services.playbooks.stored import directory_from, plan_from
from services.tracking.service import admit as admit_answer

INCIDENTS, TURNS, BATCH = 400, 4, 200
WORLD = Namespace.ACTUAL


@dataclass(frozen=True)
class _Raw:
    """A record as a consumer gives it."""

    topic: str
    offset: int
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    partition: int = 0
    timestamp: int = 0


class _Service:
    def __init__(self, pool: Pool, name: str, admit: Admit) -> None:
        playbook = PublishedPlaybook(pool, plan_from, directory_from)
        decider = Decider(pool, playbook, SystemClock(), WORLD, f"muster/{name}")
        broker: Any = None
        self.outbox = Outbox(pool, broker, WORLD)
        self.worker = Worker(pool, decider, self.outbox, WORLD, admit)

    async def take(self, records: Sequence[tuple[str, Sent]], kind: str) -> None:
        for begin in range(0, len(records), BATCH):
            raw = [_Raw(topic, at, *sent) for at, (topic, sent) in enumerate(records[begin : begin + BATCH], begin)]
            await self.worker.handle([read_record(each, kind) for each in raw])
        await self.outbox.drain()


async def _all_taken(_: object, messages: Sequence[object]) -> list[None]:
    return [None] * len(messages)


async def _measure(server: EmbeddedPostgres, incidents: int) -> None:
    owner = await connect(await server.start(), size=2)
    await migrate(owner)
    known = wordings()
    await publish(owner, known.plans, known.directory)
    dsn = await server.start()
    pools = [await connect(dsn, role=role_name(WORLD, name)) for name in ("dispatch", "tracking")]
    dispatch, tracking = _Service(pools[0], "dispatch", admit_report), _Service(pools[1], "tracking", admit_answer)

    async def turn(service: _Service, kind: str, records: Sequence[tuple[str, Sent]]) -> None:
        log = await owner.fetchval("SELECT pg_current_wal_insert_lsn()::text")
        python, postgres = process_time(), cpu_seconds([server.pid or 0])
        await service.take(records, kind)
        python, postgres = process_time() - python, cpu_seconds([server.pid or 0]) - postgres
        written = await owner.fetchval("SELECT pg_current_wal_insert_lsn() - $1::text::pg_lsn", log)
        told = (python * 1000, postgres * 1000, float(written))
        print(f"{kind:24}", *(f"{name} {value / len(records):8.3f}" for name, value in zip(_TOLD, told, strict=True)))

    for _ in range(TURNS):
        await turn(dispatch, INCIDENT, [(f"muster.{WORLD}.incidents", sent_report()) for _ in range(incidents)])
        waiting = await owner.fetch("SELECT id, incident_id, department FROM assignments WHERE state = 'issued'")
        answers = [
            (f"muster.{WORLD}.acknowledgements.{row['department']}", sent_answer(*row.values())) for row in waiting
        ]
        await turn(tracking, ACKNOWLEDGEMENT, answers)
    await asyncio.gather(*(pool.close() for pool in (owner, *pools)))


_TOLD = ("Python ms", "Postgres ms", "log bytes")


async def main(incidents: int) -> None:
    """Measure on a server of its own, which ends with the run; the services' logs go to stderr, as they do."""
    configure_logging()
    with tempfile.TemporaryDirectory(prefix="muster-bench-") as folder, patch.object(outbox, "publish_all", _all_taken):
        server = EmbeddedPostgres(Path(folder) / "postgres")
        try:
            await _measure(server, incidents)
        finally:
            await server.stop()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else INCIDENTS))
