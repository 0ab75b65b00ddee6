"""Escalation: finds what has fallen due and lets the engine remind, call the next, and alarm.

Deadlines are rows, so they survive any crash, and any number of copies may look for them: an incident that one
copy holds is passed over by the others. They are looked for many times a second rather than woken by NOTIFY,
which takes a lock that all commits share.
"""

import asyncio

from services.platform.errors import UnpublishedError
from services.platform.logs import get_logger
from services.platform.postgres import TRANSIENT
from services.platform.runtime import Runtime

SERVICE = "escalation"
LOOK_EVERY = 0.1
"""Seconds between looks while nothing is due."""
AT_MOST = 100
"""Incidents handled in one transaction."""

_log = get_logger(__name__)


def attach(runtime: Runtime) -> None:
    """Let a process escalate."""
    decider = runtime.decider(SERVICE)

    async def look() -> None:
        while True:
            try:
                settled = await decider.pass_time(AT_MOST)
            except (UnpublishedError, *TRANSIENT) as error:
                _log.warning("deadlines not looked at; trying again", error=repr(error))
                await asyncio.sleep(1)
                continue
            await runtime.outbox.publish(settled.messages, settled.incidents)
            if len(settled.decisions) < AT_MOST:
                await asyncio.sleep(LOOK_EVERY)

    runtime.every(look)
