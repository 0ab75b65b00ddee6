"""How much is measured: all of it, a quick look, or what the guard needs."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

SCENARIOS = {
    "steady": "incidents of 6 assignments each, as fast as they go, and what 1,000 cost",
    "acknowledgements": "answers recorded, as fast as they go",
    "latency": "from report to order, idle and at half load",
    "burst": "many incidents at once",
    "copies": "two copies of dispatch and tracking against one",
    "plans": "the cost of matching with 10 to 10,000 plans",
    "fan-out": "one incident to 10 to 10,000 departments, and what an answer costs in each (Apache Kafka)",
    "deadlines": "how late deadlines fire with 1,000 and 100,000 open",
    "timeline": "reading and writing with 10^4 to 10^6 timeline rows, and the report of a drill",
    "stream": "the console's stream to 100 readers",
    "memory": "a service's memory under load",
    "start-up": "from the command to the first order",
}
"""The scenarios by name."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes and repetitions of a run. Seconds are of the wall; ``only`` empty means everything."""

    only: frozenset[str] = frozenset()
    peers: bool = False
    turns: int = 5
    warm_up: int = 200
    turn_seconds: float = 2.0
    idle_rate: float = 12.5
    idle_count: int = 40
    bursts: int = 2
    burst: int = 2_000
    copies: int = 2
    rebalance_seconds: float = 4.0
    plan_counts: tuple[int, ...] = (10, 100, 1_000, 10_000)
    departments: tuple[int, ...] = (10, 100, 1_000, 10_000)
    deadlines: tuple[int, int] = (1_000, 100_000)
    deadline_seconds: float = 15.0
    rows: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    readers: int = 100
    minutes: float = 10.0
    starts: int = 3
    profile: Path | None = None

    def wants(self, *scenarios: str) -> bool:
        """Say whether any of these scenarios is to be run."""
        return not self.only or not self.only.isdisjoint(scenarios)


def full(only: Collection[str] = (), *, peers: bool = False, minutes: float = 10, profile: Path | None = None) -> Plan:
    """Measure everything that ENGINEERING.md names."""
    return Plan(frozenset(only), peers=peers, minutes=minutes, profile=profile)


def quick(only: Collection[str] = (), *, peers: bool = False, minutes: float = 10, profile: Path | None = None) -> Plan:
    """Look quickly: smaller sizes, fewer turns, and the same ratios."""
    return Plan(
        frozenset(only),
        peers=peers,
        turns=3,
        warm_up=100,
        turn_seconds=1.0,
        idle_count=20,
        bursts=1,
        burst=600,
        copies=1,
        plan_counts=(10, 1_000),
        departments=(10, 100),
        deadlines=(1_000, 20_000),
        deadline_seconds=6,
        rows=(10_000, 100_000),
        minutes=min(minutes, 0.5),
        starts=1,
        profile=profile,
    )


def guard_plan() -> Plan:
    """Measure what the guard compares, in well under two minutes."""
    return Plan(
        frozenset({"steady", "acknowledgements", "latency", "plans"}),
        turns=3,
        warm_up=100,
        turn_seconds=1.5,
        idle_count=20,
        plan_counts=(10, 1_000),
    )
