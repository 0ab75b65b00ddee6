"""A process that is asked to stop does so, whatever its libraries make of that."""

import asyncio
import subprocess
import sys

from services.platform.runtime import end_tasks

STUBBORN = """
import asyncio, os, signal
from contextlib import suppress
from datetime import timedelta
from services.platform import runtime

runtime.STOP_WITHIN = timedelta(seconds=1.5)

async def stubborn():
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)

async def ask():
    asyncio.get_running_loop().call_later(0.5, os.kill, os.getpid(), signal.SIGTERM)

asyncio.run(runtime.run_all([], extra=[stubborn], ready=ask))
"""


async def test_a_task_whose_library_swallows_a_cancellation_is_cancelled_again() -> None:
    swallowed = 0

    async def work() -> None:
        nonlocal swallowed
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            swallowed += 1
        await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    await asyncio.wait_for(end_tasks([task], again_after=0.01), timeout=10)
    assert swallowed == 1
    assert task.cancelled()


def test_a_process_that_can_not_end_is_ended() -> None:
    ended = subprocess.run([sys.executable, "-c", STUBBORN], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "did not stop in time" in ended.stderr + ended.stdout
