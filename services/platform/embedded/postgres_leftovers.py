"""Server processes that a previous run left in a PostgreSQL data folder, found and ended before a new start."""

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

STOP_SECONDS = 15.0
KILL_SECONDS = 5.0
POLL_SECONDS = 0.02
PROC = Path("/proc")


async def stop_leftovers(cluster: Path) -> None:
    """End every PostgreSQL process that works in `cluster` and remove its stale `postmaster.pid`.

    The caller holds the folder's lock, so whoever is found has lost its parent: a server asked to shut down and
    not finished, or the backends of one that was killed with -9. Both would make a new server refuse to start.
    A process counts when its working directory is this very folder and its program is `postgres`: a recycled
    process id is never signalled. Does nothing where there is no /proc; PostgreSQL's own check remains.
    """
    pid_file = cluster / "postmaster.pid"
    if not (PROC / "self" / "cwd").exists():
        return
    postmaster = _recorded_pid(pid_file)
    if postmaster in _servers_in(cluster):
        _signal(postmaster, signal.SIGINT)
        await _until_empty(cluster, STOP_SECONDS)
    for pid in _servers_in(cluster):
        _signal(pid, signal.SIGKILL)
    await _until_empty(cluster, KILL_SECONDS)
    if not _servers_in(cluster):
        # Its process id may belong to another program by now, which PostgreSQL would take for a running server.
        pid_file.unlink(missing_ok=True)


def _recorded_pid(pid_file: Path) -> int:
    try:
        return int(pid_file.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return 0


def _servers_in(cluster: Path) -> list[int]:
    wanted = cluster.stat()
    found = []
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # gone in between, or not ours to look at
            works_here = os.path.samestat((entry / "cwd").stat(), wanted)
            if works_here and (entry / "exe").readlink().name.split(" ")[0] == "postgres":
                found.append(int(entry.name))
    return found


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


async def _until_empty(cluster: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not _servers_in(cluster):
            return
        await asyncio.sleep(POLL_SECONDS)
