"""A run ends with whatever it stands on: nobody waits for a server or a contender that has died."""

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from services.bench.cost import tree
from services.bench.watch import EndedError, watched
from services.platform.embedded.process import ChildProcess

AT_ONCE = 30.0
"""Seconds in which a run has ended on a busy machine, all its servers stopped; it used to wait for ever."""


async def sleeper(folder: Path, name: str) -> ChildProcess:
    process = ChildProcess(name, ["/bin/sleep", "600"], log_file=folder / f"{name}.log")
    await process.start()
    return process


def kept_log(said: str) -> str:
    """Give the log that an error names, and remove it with the others beside it."""
    file = Path(said.rpartition(": ")[2])
    text = file.read_text()
    shutil.rmtree(file.parent)
    return text


async def test_a_dead_process_ends_the_run_and_the_other_processes(tmp_path: Path) -> None:
    dead, other = [await sleeper(tmp_path, name) for name in ("the dead", "the other")]
    dead.log_file.write_text("its last words")

    async def work() -> None:
        os.kill(dead.pid or 0, signal.SIGKILL)
        await asyncio.sleep(600)

    with pytest.raises(EndedError, match=r"^the dead has ended \(-9\), and the run with it; its log: ") as told:
        await watched(work(), [dead, other])
    assert kept_log(str(told.value)) == "its last words"
    assert await other.wait() == -signal.SIGKILL


async def test_what_fails_because_of_a_dead_process_is_told_as_its_death(tmp_path: Path) -> None:
    dead = await sleeper(tmp_path, "the dead")

    async def work() -> None:
        os.kill(dead.pid or 0, signal.SIGKILL)
        raise ConnectionError("nobody there")

    with pytest.raises(EndedError, match="the dead has ended") as told:
        await watched(work(), [dead])
    kept_log(str(told.value))


async def test_a_process_that_the_run_stops_itself_is_not_missed(tmp_path: Path) -> None:
    stopped = await sleeper(tmp_path, "the stopped")

    async def work() -> str:
        await stopped.stop()
        await asyncio.sleep(0.5)
        return "done"

    assert await watched(work(), [stopped]) == "done"


async def test_a_failure_of_the_work_itself_is_its_own(tmp_path: Path) -> None:
    alive = await sleeper(tmp_path, "the living")

    async def work() -> None:
        raise ValueError("of its own")

    with pytest.raises(ValueError, match="of its own"):
        await watched(work(), [alive])
    assert alive.alive
    await alive.stop()


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("whose", "name"),
    [
        ("kafka.Kafka", "Kafka node 1"),
        ("/postgres -D", "postgres"),
        ('services.bench.floor {"work": "incidents"', "floor incidents"),
    ],
    ids=["broker", "database", "contender"],
)
async def test_the_bench_ends_at_once_when_what_it_stands_on_is_killed(whose: str, name: str) -> None:
    """`kill -9` while it measures: one line that says which and where its log is, exit code 1, nothing left behind."""
    argv = ["-m", "services.cli", "bench", "--kafka", "apache", "--only", "steady"]
    bench = await asyncio.create_subprocess_exec(
        sys.executable, *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        await _until(lambda: _find(bench.pid, "services.bench.floor") is not None, 120)
        await asyncio.sleep(3)
        victim = _find(bench.pid, whose)
        assert victim is not None
        others = tree(bench.pid)
        os.kill(victim, signal.SIGKILL)
        begun = time.monotonic()
        _, said = await asyncio.wait_for(bench.communicate(), AT_ONCE)
    finally:
        if bench.returncode is None:
            bench.kill()
            await bench.wait()
    assert time.monotonic() - begun < AT_ONCE
    assert bench.returncode == 1
    # What a contender still says of its lost servers may come after it.
    (told,) = [line for line in said.decode().splitlines() if line.startswith("muster: ")]
    assert told.startswith(f"muster: {name} has ended (-9), and the run with it; its log: ")
    kept_log(told)
    assert "Traceback" not in said.decode()
    await _until(lambda: all(_is_gone(pid) for pid in others), 10)


def _find(root: int, part: str) -> int | None:
    for pid in tree(root):
        with suppress(FileNotFoundError, ProcessLookupError):  # it may end while it is looked at
            if part in Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode():
                return pid
    return None


def _is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


async def _until(holds: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        await asyncio.sleep(0.2)
