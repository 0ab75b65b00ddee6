"""Where a millisecond goes: a sampled profile of a service under load, summed up by stage of its work."""

import asyncio
import shutil
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from services.bench.cost import cpu_seconds
from services.bench.figures import Row, figure
from services.bench.stage import BenchError

SAMPLES = 200
"""Samples a second."""
STAGES = (
    ("logging", ("structlog/", "logging/", "platform/logs.py")),
    ("reading messages", ("schemas/envelope.py:read", "read_record", "read_message")),
    ("matching and deciding", ("services/domain/", "services/playbooks/conditions", "domain/")),
    ("writing messages as JSON", ("write_value", "model_dump_json")),
    ("rows for the database", ("platform/records.py", "_gather", "platform/outbox.py:row", "chain.py")),
    ("database client", ("asyncpg/",)),
    ("publishing", ("aiokafka/producer", "kafka_publishing", "_send", "aiokafka/record", "envelope.py:headers")),
    ("consuming", ("aiokafka/", "faststream/", "platform/kafka.py")),
    ("deciding: the rest", ("platform/decider.py", "platform/worker.py")),
)
"""Stages by the parts of a frame that belong to them; the frame nearest to the work decides, the first stage wins."""
OTHER = "the event loop and the rest"


def require() -> str:
    """Find the profiler; raises `BenchError` where it isn't installed."""
    found = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if found is None:
        raise BenchError("--profile: py-spy is not installed here: `uv sync --group bench`")
    return found


async def profile(pid: int, file: Path, work: Callable[[], Awaitable[int]], seconds: int) -> dict[str, float]:
    """Sample a process while work runs again and again; give the milliseconds of processor time for each, by stage.

    The time is the kernel's count, shared out by the samples: a process that waits for a processor is sampled too.

    The folded stacks are kept in ``file`` (``py-spy record -f raw``), for any flame graph viewer.
    """
    process = await asyncio.create_subprocess_exec(
        *(require(), "record", "--pid", str(pid), "--duration", str(seconds), "--rate", str(SAMPLES)),
        *("--format", "raw", "--full-filenames", "--output", str(file)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    done, spent = 0, cpu_seconds([pid])
    waiting = asyncio.create_task(process.communicate())
    while not waiting.done():
        done += await work()
    _, said = await waiting
    if process.returncode:
        raise BenchError(f"--profile: {said.decode(errors='replace').strip().splitlines()[-1]}")
    spent = cpu_seconds([pid]) - spent
    samples = by_stage((await asyncio.to_thread(file.read_text)).splitlines())
    return {stage: count / samples.total() * spent / done * 1000 for stage, count in samples.most_common()}


def by_stage(stacks: list[str]) -> Counter[str]:
    """Sum up folded stacks, ``frame;frame;frame samples``, by stage."""
    found: Counter[str] = Counter()
    for line in stacks:
        frames, _, samples = line.rpartition(" ")
        found[_stage(frames.split(";"))] += int(samples)
    return found


def _stage(frames: list[str]) -> str:
    for frame in reversed(frames):
        for stage, parts in STAGES:
            if any(part in frame for part in parts):
                return stage
    return OTHER


def rows(scenario: str, what: str, stages: Mapping[str, float]) -> list[Row]:
    """Tell the stages in milliseconds of processor time for each record, the longest first."""
    return [
        Row(scenario, f"profile.{scenario}.{stage}", f"{what}: {stage}", figure([milliseconds], "ms each"))
        for stage, milliseconds in stages.items()
    ]
