"""One run from servers to rows: each group of scenarios on servers of its own, so that none meets what another left."""

import os
import platform
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

from services.bench import deadlines, fan_out, matching, memory, response, start_up, stream, timeline
from services.bench.figures import Row
from services.bench.plan import Plan
from services.bench.stage import BenchError, Stage, stage
from services.bench.watch import EndedError, watched

GROUPS: tuple[tuple[tuple[str, ...], Callable[[Stage, Plan], Awaitable[list[Row]]]], ...] = (
    (("steady", "acknowledgements", "latency", "burst", "copies"), response.run),
    (("plans",), matching.run),
    (("fan-out",), fan_out.run),
    (("deadlines",), deadlines.run),
    (("timeline",), timeline.run),
    (("stream",), stream.run),
    (("start-up",), start_up.run),
    (("memory",), memory.run),
)
"""Scenarios that share servers, and what runs them."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """All rows of a run, the scenarios that could not be measured, and what it was run on."""

    rows: tuple[Row, ...]
    failed: tuple[str, ...]
    about: dict[str, Any]

    def document(self) -> dict[str, Any]:
        """Give it as JSON has it."""
        return {"about": self.about, "rows": [row.document() for row in self.rows], "failed": list(self.failed)}


async def measure(plan: Plan, *, apache: bool, tell: Callable[[str], None]) -> Outcome:
    """Run what the plan asks for and tell progress."""
    begun, at = monotonic(), datetime.now(UTC)
    rows: list[Row] = []
    failed: list[str] = []
    for scenarios, work in GROUPS:
        if not plan.wants(*scenarios):
            continue
        tell(f"{', '.join(name for name in scenarios if plan.wants(name))} ...")
        with tempfile.TemporaryDirectory(prefix="muster-bench-") as folder:
            try:
                async with stage(Path(folder), apache=apache, tell=tell) as servers, servers.stack:
                    rows += await watched(work(servers, plan), servers.living)
            except EndedError:
                raise
            except BenchError as error:
                # The other scenarios have servers of their own, and what they tell stands.
                failed.append(f"{scenarios[0]}: {error}")
                tell(failed[-1])
    about = {
        "at": at.isoformat(timespec="seconds"),
        "seconds": round(monotonic() - begun, 1),
        "broker": "Apache Kafka" if apache else "embedded",
        "processors": len(os.sched_getaffinity(0)),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }
    return Outcome(tuple(rows), tuple(failed), about)
