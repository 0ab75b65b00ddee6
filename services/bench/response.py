"""The response itself: incidents and answers as fast as they go, latency, a burst, two copies against one."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from services.bench import contenders, peers, profiling
from services.bench.contenders import TRIES, Answers, Contender, Record, Turn, reports, undisturbed
from services.bench.figures import Row, Target, figure, percentile, quotients
from services.bench.material import TASKS
from services.bench.pace import departments, paced
from services.bench.plan import Plan
from services.bench.stage import Stage

INCIDENTS = "incidents"
ACKNOWLEDGEMENTS = "acknowledgements"
PROFILED = 400
"""Records at a time while a profile is taken."""
PROFILE_SECONDS = 15
HALF = Target(at_least=0.5)
THREEFOLD = Target(at_most=3)


@dataclass
class Turns:
    """Turns taken in one scenario, by contender."""

    taken: dict[str, list[Turn]] = field(default_factory=dict)

    def add(self, name: str, turn: Turn) -> None:
        """Keep one."""
        self.taken.setdefault(name, []).append(turn)

    def rates(self, name: str) -> list[float]:
        """Give a contender's rates."""
        return [turn.rate for turn in self.taken[name]]

    def costs(self, name: str) -> list[float]:
        """Give the processor seconds that 1,000 records cost all processes together."""
        return [turn.spent.all / turn.records * 1000 for turn in self.taken[name]]


async def run(stage: Stage, plan: Plan) -> list[Row]:
    """Run every scenario of the response on one Muster and one floor."""
    muster = await contenders.muster(stage, "dispatch", "tracking", "escalation")
    floor = await contenders.floor(stage, muster, INCIDENTS, ACKNOWLEDGEMENTS)
    others = await peers.start(stage, plan)
    rows: list[Row] = []
    incidents = await _compete(stage, [floor, muster, *others], INCIDENTS, plan)
    rows += _rates("steady", INCIDENTS, incidents, target=HALF)
    rows += _spent("cost", INCIDENTS, incidents, muster.name, floor.name)
    rows += _peer_rows(incidents, others)
    for peer in others:
        for process in peer.processes:
            await process.stop()
    if plan.wants("acknowledgements"):
        turns = await _compete(stage, [floor, muster], ACKNOWLEDGEMENTS, plan)
        rows += _rates("acknowledgements", ACKNOWLEDGEMENTS, turns, target=HALF)
        rows += _spent("cost.answers", ACKNOWLEDGEMENTS, turns, muster.name, floor.name)
    if plan.wants("latency"):
        rows += await _latency(stage, floor, muster, figure(incidents.rates(muster.name), "/s").median, plan)
    if plan.profile is not None:
        rows += await _profiles(stage, muster, plan.profile)
    if plan.wants("burst"):
        rows += await _burst(stage, floor, muster, plan)
    if plan.wants("copies"):
        rows += await _copies(stage, muster, plan)
    return rows


async def _compete(stage: Stage, all_of_them: Sequence[Contender], work: str, plan: Plan) -> Turns:
    """Let contenders take turns, A B A B; each takes as many records as keep it busy for the time of a turn."""
    sources = {each.name: Answers(each) for each in all_of_them}
    if work == ACKNOWLEDGEMENTS:
        for source in sources.values():
            await source.read()

    async def turn(each: Contender, count: int) -> Turn:
        def some() -> Sequence[Record]:
            return reports(each, count) if work == INCIDENTS else sources[each.name].take(count)

        return await undisturbed(stage, each, work, some)

    counts: dict[str, int] = {}
    for each in all_of_them:
        first = await turn(each, plan.warm_up)
        again = await turn(each, plan.warm_up)
        counts[each.name] = max(plan.warm_up, int(max(first.rate, again.rate) * plan.turn_seconds))
    if work == ACKNOWLEDGEMENTS:
        for each in all_of_them:  # no more than there are to be answered
            left = len(sources[each.name]) // (plan.turns + 1)
            counts[each.name] = min(counts[each.name], left)
    turns = Turns()
    for _ in range(plan.turns):
        for each in all_of_them:
            turns.add(each.name, await turn(each, counts[each.name]))
    return turns


def _rates(scenario: str, work: str, turns: Turns, *, target: Target) -> list[Row]:
    found = [
        Row(scenario, f"{scenario}.{name}", f"{work}, {name}", figure(turns.rates(name), f"{work}/s"))
        for name in ("floor", "muster")
    ]
    ratio = quotients(turns.rates("muster"), turns.rates("floor"))
    cost = quotients(turns.costs("floor"), turns.costs("muster"))
    title = f"{work}, muster of the floor"
    found.append(Row(scenario, f"{scenario}.ratio", title, ratio, of="floor", target=target, more_is_better=True))
    title = f"{work}, the floor's processor time of muster's"
    found.append(Row(scenario, f"{scenario}.cpu", title, cost, of="floor", more_is_better=True))
    return found


def _spent(key: str, work: str, turns: Turns, *names: str) -> list[Row]:
    rows = []
    for name in names:
        for who in ("services", "broker", "database"):
            values = [getattr(turn.spent, who) / turn.records * 1000 for turn in turns.taken[name]]
            title = f"1,000 {work}, {name}: {who}"
            rows.append(Row("cost", f"{key}.{name}.{who}", title, figure(values, "CPU-s")))
    return rows


def _peer_rows(turns: Turns, others: Sequence[Contender]) -> list[Row]:
    rows = []
    for peer in others:
        title = f"incidents, {peer.name}"
        key = f"peers.{peer.name}"
        rate = figure(turns.rates(peer.name), "incidents/s")
        rows.append(Row("peers", key, title, rate, note=peers.ABOUT[peer.name]))
        ratio = quotients(turns.rates("muster"), turns.rates(peer.name))
        rows.append(Row("peers", f"{key}.ratio", f"incidents, muster of {peer.name}", ratio, of=peer.name))
    return rows


async def _profiles(stage: Stage, muster: Contender, folder: Path) -> list[Row]:
    """Sample dispatch, then tracking, under full load."""
    answers = Answers(muster)
    rows = []
    for work, process in zip((INCIDENTS, ACKNOWLEDGEMENTS), muster.processes, strict=False):

        async def some(work: str = work) -> int:
            def of_work() -> Sequence[Record]:
                return reports(muster, PROFILED) if work == INCIDENTS else answers.take(PROFILED)

            if work == ACKNOWLEDGEMENTS and len(answers) < PROFILED * TRIES:
                await answers.read()
            return (await undisturbed(stage, muster, work, of_work)).records

        stages = await profiling.profile(process.pid or 0, folder / f"{work}.folded", some, PROFILE_SECONDS)
        rows += profiling.rows("profile", f"{work}, {process.name}", stages)
    return rows


async def _latency(stage: Stage, floor: Contender, muster: Contender, rate: float, plan: Plan) -> list[Row]:
    waits: dict[tuple[str, str], list[list[float]]] = {}
    pairs = (floor, muster)
    for each in pairs:
        async with departments(stage, each) as here:
            await paced(stage, here, plan.idle_rate, plan.warm_up // 4)
    for _ in range(plan.turns):
        for each in pairs:
            async with departments(stage, each) as here:
                waits.setdefault(("idle", each.name), []).append(
                    await paced(stage, here, plan.idle_rate, plan.idle_count)
                )
                count = int(rate / 2 * plan.turn_seconds)
                waits.setdefault(("half", each.name), []).append(await paced(stage, here, rate / 2, count))
    rows = []
    for load, share, title in (("idle", 0.5, "idle, p50"), ("half", 0.99, f"at {rate / 2:.0f} incidents/s, p99")):
        told = {each.name: [percentile(waiting, share) * 1000 for waiting in waits[load, each.name]] for each in pairs}
        for name, values in told.items():
            text = f"report to order, {title}, {name}"
            rows.append(Row("latency", f"latency.{load}.{name}", text, figure(values, "ms")))
        ratio = quotients(told["muster"], told["floor"])
        text = f"report to order, {title}, muster of the floor"
        rows.append(Row("latency", f"latency.{load}.ratio", text, ratio, of="floor", target=THREEFOLD))
    return rows


async def _burst(stage: Stage, floor: Contender, muster: Contender, plan: Plan) -> list[Row]:
    turns = Turns()
    for _ in range(plan.bursts):
        for each in (floor, muster):
            turns.add(each.name, await undisturbed(stage, each, INCIDENTS, partial(reports, each, plan.burst)))
    rows = []
    for name in turns.taken:
        title = f"{plan.burst:,} incidents at once, until the last order, {name}"
        rows.append(Row("burst", f"burst.{name}", title, figure([t.seconds for t in turns.taken[name]], "s")))
    ratio = quotients(turns.rates("muster"), turns.rates("floor"))
    title = "burst, muster's rate of the floor's"
    rows.append(Row("burst", "burst.ratio", title, ratio, of="floor", more_is_better=True))
    return rows


async def _copies(stage: Stage, muster: Contender, plan: Plan) -> list[Row]:
    """Let one copy of each service work, then two, then one again, and so on."""
    alone: dict[str, list[float]] = {}
    both: dict[str, list[float]] = {}
    for _ in range(plan.copies):
        for rates, more in ((alone, ()), (both, ("dispatch", "tracking"))):
            second = [await stage.muster(service, muster.database) for service in more]
            muster.processes += second
            if second:
                await asyncio.sleep(plan.rebalance_seconds)
            answers = Answers(muster)
            for work, count in ((INCIDENTS, plan.burst), (ACKNOWLEDGEMENTS, plan.burst * TASKS // 2)):
                await answers.read()
                some = partial(reports, muster, count) if work == INCIDENTS else partial(answers.take, count)
                rates.setdefault(work, []).append((await undisturbed(stage, muster, work, some)).rate)
            for process in second:
                await process.stop()
                muster.processes.remove(process)
            if second:
                await asyncio.sleep(plan.rebalance_seconds)
    return [
        Row(
            "copies",
            f"copies.{work}",
            f"{work}, two copies of one",
            quotients(both[work], alone[work]),
            of="one copy",
            more_is_better=True,
        )
        for work in alone
    ]
