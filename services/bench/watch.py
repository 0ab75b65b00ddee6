"""Ends a run whose server or contender has died: nothing would come of waiting for it."""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from services.bench.stage import STOP_WITHIN, BenchError
from services.platform.embedded.process import ChildProcess

LOOK_EVERY = 0.2
"""Seconds between looks at whether all are alive."""

_Result = TypeVar("_Result")


class EndedError(BenchError):
    """A server or a contender has ended by itself; one line that says which, and where its log is."""


async def watched(work: Awaitable[_Result], living: Sequence[ChildProcess]) -> _Result:
    """Give what the work gives, or raise `EndedError` once one of these processes has ended without being asked to.

    ``living`` may grow meanwhile. The others are killed then, so that none waits for the one that is gone.
    """
    task = asyncio.ensure_future(work)
    try:
        while not task.done() and not _lost(living):
            await asyncio.wait([task], timeout=LOOK_EVERY)
        if task.done() and task.exception() is not None:
            # What fails first is who talks to the dead; that one is missed by the next look.
            await asyncio.sleep(LOOK_EVERY)
        lost = _lost(living)
        if not lost:
            return await task
        told = _farewell(lost[0])
        for process in living:
            process.kill()
        raise EndedError(told)
    finally:
        task.cancel()
        with suppress(Exception, asyncio.CancelledError, TimeoutError):
            await asyncio.wait_for(task, STOP_WITHIN)


def _lost(living: Sequence[ChildProcess]) -> list[ChildProcess]:
    return [process for process in living if process.is_lost]


def _farewell(process: ChildProcess) -> str:
    """Say how a process ended, and keep its logs: the folder of the run is removed with the run."""
    kept = Path(tempfile.mkdtemp(prefix="muster-bench-logs-"))
    for file in process.log_file.parent.glob("*.log"):
        shutil.copy(file, kept)
    log = kept / process.log_file.name
    return f"{process.name} has ended ({process.exit_code}), and the run with it; its log: {log}"
