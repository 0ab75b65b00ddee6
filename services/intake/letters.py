"""A faulty body that claims to be an alert is kept, so that no alert is lost for a sender's mistake."""

from datetime import timedelta
from uuid import UUID

import asyncpg

from schemas.vocabulary import Namespace
from services.platform.clock import SystemClock
from services.platform.dead_letters import DeadLetter, set_aside
from services.platform.kafka import Origin
from services.platform.one_line import one_line

_TRIES = 100


async def keep(
    pool: "asyncpg.Pool[asyncpg.Record]",
    namespace: Namespace,
    *,
    origin: str,
    body: bytes,
    headers: dict[str, str],
    reason: str,
) -> UUID:
    """Keep a body as a dead letter and give the letter's id; database errors go to the caller.

    What tells letters apart is where and when they came from; over HTTP only the time differs, to the microsecond.
    """
    now = SystemClock().now()
    pairs = tuple((name, value.encode(errors="replace")) for name, value in headers.items())
    for later in range(_TRIES):
        at = Origin(origin, 0, 0, now + timedelta(microseconds=later))
        kept = await set_aside(pool, namespace, [DeadLetter(at, one_line(reason), None, pairs, body)])
        if kept:
            return kept[0]
    raise TimeoutError(f"dead letter from {origin}: {_TRIES} others came in the same moment")
