"""Scheduled drills inside ``muster up``: each runs as a process of its own, in real time."""

import asyncio
import json
import os
import random
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from services.cli.output import aside
from services.drills.schedule import Schedule, watch_schedule
from services.platform.runtime import Runtime

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
    configured = runtime.settings
    seed = schedule.seed if schedule.seed is not None else random.SystemRandom().randrange(1, 1_000_000)
    environment = {
        **os.environ,
        "MUSTER_KAFKA": configured.kafka,
        "MUSTER_DATABASE": configured.database,
        "MUSTER_EMBEDDED_BROKER": str(configured.embedded_broker).lower(),
    }
    arguments = [
        "--speed",
        "1",
        "--seed",
        str(seed),
        "--json",
        "--data-dir",
        str(data_dir),
        "--playbooks",
        str(playbooks),
    ]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.cli", "drill", "run", str(schedule.file), *arguments),
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
        outcome = f"{found['ending']}; drill {found['id']}"
    except (ValueError, KeyError):
        lines = said.decode(errors="replace").strip().splitlines()
        outcome = f"failed: {lines[-1] if lines else f'exit code {process.returncode}'}"
    aside.print(f"Scheduled drill {schedule.name}: {outcome}", soft_wrap=True, markup=False)
    return outcome
