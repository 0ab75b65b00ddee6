"""Drills inside ``muster up``: scheduled ones and those that people start from the console, each a process of its own.

A drill runs on the servers and exercise services of the process that started it, which take on its clock.
"""

import asyncio
import json
import os
import random
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from services.cli.output import aside
from services.drills.schedule import Schedule, watch_schedule
from services.drills.starting import Launch, Settle
from services.platform.runtime import Runtime
from services.platform.settings import Settings

STOP_WITHIN = 30.0
"""Seconds that a drill gets to close its incidents when the process that scheduled it stops."""


def watching_schedules(runtime: Runtime, data_dir: Path, playbooks: Path) -> Callable[[], Awaitable[None]]:
    """Give the background work that starts scheduled drills; ``runtime`` is the exercise's of ``muster up``.

    A drill runs as a process of its own, in real time, on this process's servers and exercise services.
    """

    async def launch(schedule: Schedule) -> str:
        return await run_scheduled(schedule, runtime, data_dir, playbooks)

    return lambda: watch_schedule(runtime.pool, launch)


async def run_scheduled(schedule: Schedule, runtime: Runtime, data_dir: Path, playbooks: Path) -> str:
    """Run one scheduled drill to its end and say how it went."""
    seed = schedule.seed if schedule.seed is not None else random.SystemRandom().randrange(1, 1_000_000)
    arguments = [str(schedule.file), "--speed", "1", "--seed", str(seed), *_folders(data_dir, playbooks)]
    outcome = await run_drill(arguments, runtime.settings)
    aside.print(f"Scheduled drill {schedule.name}: {outcome}", soft_wrap=True, markup=False)
    return outcome


class ChildDrills:
    """Starts the drills that people ask for, on the servers of this process; a `services.drills.starting.Launcher`.

    ``serving`` is background work for ``muster up``: it ends the drills that run when the process stops.
    """

    def __init__(self, runtime: Runtime, data_dir: Path, playbooks: Path) -> None:
        self._settings = runtime.settings
        self._folders = _folders(data_dir, playbooks)
        self._running: set[asyncio.Task[None]] = set()

    def launch(self, launch: Launch, settle: Settle) -> None:
        """Start a drill and return at once; ``settle`` is told how it went, when it is over."""
        task = asyncio.create_task(self._run(launch, settle))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, launch: Launch, settle: Settle) -> None:
        flags = {True: ["--announced"], False: ["--unannounced"], None: []}[launch.announced]
        flags += ["--hold"] if launch.hold else []
        pace = ["--speed", f"{launch.speed:g}", "--seed", str(launch.seed), "--id", str(launch.drill_id)]
        await settle(await run_drill([str(launch.file), *pace, *flags, *self._folders], self._settings))

    async def serving(self) -> None:
        """Wait until cancelled, then end the drills that run."""
        try:
            await asyncio.Event().wait()
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)


def _folders(data_dir: Path, playbooks: Path) -> list[str]:
    return ["--data-dir", str(data_dir), "--playbooks", str(playbooks)]


async def run_drill(arguments: Sequence[str], servers: Settings) -> str:
    """Run ``muster drill run`` on these servers and say in a few words how it went; cancelled, it stops the drill."""
    environment = {
        **os.environ,
        "MUSTER_KAFKA": servers.kafka,
        "MUSTER_DATABASE": servers.database,
        "MUSTER_EMBEDDED_BROKER": str(servers.embedded_broker).lower(),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.cli", "drill", "run", *arguments, "--json"),
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, said = await process.communicate()
    except asyncio.CancelledError:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_WITHIN)
        except TimeoutError:
            process.kill()
        raise
    try:
        found = json.loads(out)
        return f"{found['ending']}; drill {found['id']}"
    except (ValueError, KeyError):
        lines = said.decode(errors="replace").strip().splitlines()
        return f"failed: {lines[-1] if lines else f'exit code {process.returncode}'}"
