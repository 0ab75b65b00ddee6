"""Simulations that people asked for: one at a time in a process of its own, the latest results kept in memory.

The same question is the same simulation: what it is about makes its id, so that it is answered once.
"""

import asyncio
import hashlib
import json
import os
import signal
import sys
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from services.drills.simulate_worker import Job
from services.platform.logs import get_logger

LONGEST = 180.0
"""Seconds after which a simulation is given up."""
KEPT = 30
"""How many are remembered."""
_LONGEST_LINE = 64 << 20
_ID_LENGTH = 32

_log = get_logger(__name__)


class State(StrEnum):
    """How far a simulation is. ``refused``: it makes no sense for this plan; ``failed``: it was given up."""

    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(slots=True)
class Simulation:
    """One simulation: what was asked, how far it is, and what came of it."""

    id: str
    job: Job
    asked_by: str
    asked_at: datetime
    state: State = State.RUNNING
    done: int = 0
    result: dict[str, Any] | None = None
    reason: str | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class BusyError(Exception):
    """Another simulation runs."""


class Simulations:
    """Runs simulations, one at a time."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Simulation] = OrderedDict()
        self._running: Simulation | None = None
        self._task: asyncio.Task[None] | None = None

    def find(self, simulation: str) -> Simulation | None:
        """Give a simulation that is remembered."""
        return self._kept.get(simulation)

    def ask(self, job: Job, by: str) -> Simulation:
        """Start a simulation, or give the same one that was asked before; raises `BusyError` while another runs."""
        name = hashlib.sha256(job.model_dump_json().encode()).hexdigest()[:_ID_LENGTH]
        known = self._kept.get(name)
        if known is not None and known.state in {State.RUNNING, State.DONE, State.REFUSED}:
            self._kept.move_to_end(name)
            return known
        if self._running is not None:
            raise BusyError
        asked = Simulation(name, job, by, datetime.now(UTC))
        self._kept[name] = self._running = asked
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        self._task = asyncio.create_task(self._run(asked))
        return asked

    async def stop(self, simulation: Simulation) -> None:
        """Stop a simulation that runs; nothing happens to one that has ended."""
        if simulation is self._running and self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def drain(self) -> None:
        """Stop what runs."""
        if self._running is not None:
            await self.stop(self._running)

    async def _run(self, asked: Simulation) -> None:
        try:
            async with asyncio.timeout(LONGEST):
                await self._play(asked)
        except TimeoutError:
            asked.state, asked.reason = State.FAILED, f"took longer than {LONGEST:.0f} s"
        except asyncio.CancelledError:
            asked.state = State.STOPPED
            raise
        finally:
            self._running = self._task = None
            asked.ended.set()

    async def _play(self, asked: Simulation) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.drills.simulate_worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_LONGEST_LINE,
            start_new_session=True,
        )
        try:
            said, errors = await asyncio.gather(self._listen(process, asked), _stderr(process))
            if not said:
                _log.error("simulation failed", plan=asked.job.plan, error=errors[-2_000:])
                asked.state, asked.reason = State.FAILED, "its process ended without a result; the log has the reason"
        finally:
            await _end(process)

    async def _listen(self, process: asyncio.subprocess.Process, asked: Simulation) -> bool:
        """Follow what the process says; gives whether it came to an end."""
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        with suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write(asked.job.model_dump_json().encode())
            await process.stdin.drain()
            process.stdin.close()
        async for line in process.stdout:
            told = json.loads(line)
            if "result" in told:
                asked.state, asked.done, asked.result = State.DONE, asked.job.runs, told["result"]
                return True
            if "refused" in told:
                asked.state, asked.reason = State.REFUSED, told["refused"]
                return True
            asked.done = told["done"]
        return False


async def _stderr(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None  # noqa: S101 - it is a pipe
    return (await process.stderr.read()).decode(errors="replace")


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the process and those that it forked: they are a session of their own."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
