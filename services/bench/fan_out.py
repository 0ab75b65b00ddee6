"""One incident for up to ten thousand departments: how long until the last one has its order, and what an answer costs.

On Apache Kafka, which stamps what it takes: an order counts as received once its department can read it. The floor's
orders go to the same topics as Muster's, in turns, so that ten thousand departments are as many topics.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, time
from typing import Any
from uuid import UUID

from aiokafka import TopicPartition
from uuid_utils.compat import uuid7

from schemas.envelope import ACKNOWLEDGEMENT
from schemas.topics import ASSIGNMENTS, COMMANDS, EPOCH, INCIDENTS, TIMELINES, topic_name
from schemas.vocabulary import Namespace
from services.bench import contenders, material, profiling
from services.bench.contenders import TRIES, Contender
from services.bench.figures import Row, Target, figure, quotients
from services.bench.material import department, sent_report
from services.bench.plan import Plan
from services.bench.stage import BenchError, RepeatedError, Spent, Stage, Topics
from services.domain.decision import Answered
from services.platform.clock import SystemClock
from services.platform.decider import Decider, Incoming
from services.platform.kafka import Origin
from services.platform.postgres import Pool, connect
from services.platform.published import PublishedPlaybook
from services.platform.rights import role_name
from services.playbooks.stored import Wordings, directory_from, plan_from

WORK = "incidents"
TWOFOLD = Target(at_most=2)
TURNS, SMALL_TURNS, SMALL = 3, 10, 1_000
"""Turns of large incidents, and of those for fewer departments than that, whose time varies more."""
EVENTS = 4
"""Answers, and deadlines, of which each is decided by itself; after a first one of each."""
HERE = Origin("bench", 0, 0, None)
PROFILE_SECONDS = 30
_STAMPED = {"message.timestamp.type": "LogAppendTime"}
_FALLS_DUE = (
    "UPDATE assignments SET acknowledge_by = now(), next_due_at = now()"
    " WHERE id = (SELECT id FROM assignments WHERE incident_id = $1 AND state = 'issued' AND missed = '{}' LIMIT 1)"
)


@dataclass(frozen=True, slots=True)
class _Turn:
    seconds: float
    spent: Spent


async def run(stage: Stage, plan: Plan) -> list[Row]:
    """Fan out to growing numbers of departments, the floor and Muster in turns; then answer in each incident."""
    if stage.embedded:
        why = "only on Apache Kafka (--kafka apache), whose own stamps tell when an order was there"
        if plan.only:
            raise BenchError(why)
        stage.tell(f"fan-out: {why}")
        return []
    known = material.wordings([_plan(count) for count in plan.departments], max(plan.departments))
    muster = await _muster(stage, known, max(plan.departments))
    rows: list[Row] = []
    incidents: dict[int, UUID] = {}
    for count in plan.departments:
        rows += await _to(stage, muster, known, count)
        incidents[count] = await _newest(muster, count)
    rows += await _events(muster, incidents)
    if plan.profile is not None:
        rows += await _profile(stage, muster, max(plan.departments), plan.profile)
    return rows


async def _muster(stage: Stage, known: Wordings, most: int) -> Contender:
    orders = {topic_name(ASSIGNMENTS, Namespace.ACTUAL, department(number)): 1 for number in range(most)}
    shared = (INCIDENTS, COMMANDS, TIMELINES, EPOCH)
    wanted = orders | {topic_name(topic, Namespace.ACTUAL): topic.partitions for topic in shared}
    await stage.topics({**wanted, _floor().incidents: INCIDENTS.partitions}, _STAMPED)
    database = await stage.database(contenders.wordings(1, 1))
    contender = Contender("muster", Topics("", most), database, [await stage.muster("dispatch", database)])
    # It makes the topics that are missing as it starts. The departments come after that: their answers' topics would be
    # ten thousand more, which nobody needs here and one broker has no files for.
    await stage.until([TopicPartition(topic_name(EPOCH, Namespace.ACTUAL), 0)], 1)
    await stage.publish(database, known)
    await asyncio.sleep(1)  # it hears of them
    return contender


def _floor() -> Topics:
    return Topics(contenders.FLOOR, 0)


async def _to(stage: Stage, muster: Contender, known: Wordings, count: int) -> list[Row]:
    stage.tell(f"one incident to {count:,} departments ...")
    orders = [TopicPartition(muster.topics.assignments(number), 0) for number in range(count)]
    entries = muster.topics.entries()
    muster.results = {WORK: (orders + entries, 2 * count + 3)}
    moulds = await contenders.sample(stage, muster, WORK, said=_report(count), prefix="")
    floor = Contender("floor", _floor(), await stage.database(known), results=muster.results)
    await contenders.start_floor(stage, floor, WORK, moulds[WORK], f"{contenders.FLOOR}.fan-out")
    taken: dict[str, list[_Turn]] = {"floor": [], "muster": []}
    for turn in range(1 + (TURNS if count >= SMALL else SMALL_TURNS)):
        for each in (floor, muster):
            found = await _undisturbed(stage, each, count, orders, entries)
            if turn:  # the first one learns where all the topics are
                taken[each.name].append(found)
    await asyncio.sleep(1)  # it commits its offsets, from which the next one goes on
    for process in floor.processes:
        await process.stop()
    return _rows(count, taken)


async def _profile(stage: Stage, muster: Contender, count: int, folder: Path) -> list[Row]:
    """Sample dispatch while it fans out."""
    orders = [TopicPartition(muster.topics.assignments(number), 0) for number in range(count)]

    async def some() -> int:
        await _undisturbed(stage, muster, count, orders, muster.topics.entries())
        return count

    (process,) = muster.processes
    stages = await profiling.profile(process.pid or 0, folder / "fan-out.folded", some, PROFILE_SECONDS)
    return profiling.rows("fan-out", f"an order among {count:,}", stages)


async def _undisturbed(
    stage: Stage, each: Contender, count: int, orders: Sequence[TopicPartition], entries: Sequence[TopicPartition]
) -> _Turn:
    """Take a turn; again where a message came twice in it."""
    for _ in range(TRIES - 1):
        with suppress(RepeatedError):
            return await _turn(stage, each, count, orders, entries)
        await stage.quiet([*orders, *entries])
    return await _turn(stage, each, count, orders, entries)


async def _turn(
    stage: Stage, each: Contender, count: int, orders: Sequence[TopicPartition], entries: Sequence[TopicPartition]
) -> _Turn:
    told = await stage.count(entries)
    before = await stage.positions(orders)
    spent, begun = stage.spent(*each.processes), time()
    await stage.send_all([(each.topics.incidents, *sent_report(_report(count)))])
    # The entries come last and are few partitions to look at: ten thousand would keep a processor busy.
    await stage.until(entries, told + count + 3)
    await stage.until(orders, sum(before.values()) + count)
    spent = stage.spent(*each.processes).since(spent)
    received = max(record.timestamp for record in await stage.records(before)) / 1000
    return _Turn(received - begun, spent)


def _rows(count: int, taken: dict[str, list[_Turn]]) -> list[Row]:
    title = f"one incident to {count:,} departments, until the last has its order"
    rows = [
        Row("fan-out", f"fan-out.{count}.{name}", f"{title}, {name}", figure([turn.seconds for turn in turns], "s"))
        for name, turns in taken.items()
    ]
    seconds = {name: [turn.seconds for turn in turns] for name, turns in taken.items()}
    ratio = quotients(seconds["muster"], seconds["floor"])
    target = TWOFOLD if count >= SMALL else None
    rows.append(
        Row("fan-out", f"fan-out.{count}.ratio", f"{title}, muster of the floor", ratio, of="floor", target=target)
    )
    for name, turns in taken.items():
        for part in ("services", "broker", "database"):
            each = figure([sum(getattr(turn.spent, part) for turn in turns) / len(turns) / count * 1000], "ms each")
            text = f"processor time of an order among {count:,}, {name}, {part}"
            rows.append(Row("fan-out", f"fan-out.{count}.cost.{name}.{part}", text, each))
    return rows


async def _newest(muster: Contender, count: int) -> UUID:
    pool = await connect(muster.database, size=1)
    found: UUID = await pool.fetchval(
        "SELECT incident_id FROM assignments GROUP BY incident_id HAVING count(*) = $1 ORDER BY max(issued_at) DESC"
        " LIMIT 1",
        count,
    )
    await pool.close()
    return found


async def _events(muster: Contender, incidents: dict[int, UUID]) -> list[Row]:
    """Answer some orders of each incident, and let some deadlines pass, one after the other."""
    owner = await connect(muster.database, size=1)
    pool = await connect(muster.database, size=2, role=role_name(Namespace.ACTUAL))
    playbook = PublishedPlaybook(pool, plan_from, directory_from)
    decider = Decider(pool, playbook, SystemClock(), Namespace.ACTUAL, "bench")
    await owner.execute("ANALYZE")
    rows: list[Row] = []
    for key, title, one in (("answer", "an answer", _answer), ("deadline", "a deadline that passes", _deadline)):
        took: dict[int, list[float]] = {}
        for turn in range(EVENTS + 1):
            for count, incident in incidents.items():
                milliseconds = await one(owner, decider, incident)
                if turn:
                    took.setdefault(count, []).append(milliseconds)
        rows += [
            Row("fan-out", f"fan-out.{count}.{key}", f"{title} in an incident of {count:,} orders", figure(some, "ms"))
            for count, some in took.items()
        ]
        few, many = min(took), max(took)
        growth = quotients(took[many], took[few])
        text = f"{title} in an incident of {many:,} orders, of {few:,}"
        rows.append(Row("fan-out", f"fan-out.{key}.growth", text, growth, of=f"{few:,} orders"))
    await asyncio.gather(owner.close(), pool.close())
    return rows


async def _answer(owner: Pool, decider: Decider, incident: UUID) -> float:
    row = await owner.fetchrow(
        "SELECT id, department FROM assignments WHERE incident_id = $1 AND state = 'issued' AND missed = '{}' LIMIT 1",
        incident,
    )
    assert row is not None  # noqa: S101 - an incident has as many orders as it was made for
    said = material.answer(row["id"], incident, row["department"])
    begun = perf_counter()
    await decider.decide([Incoming(Answered(uuid7(), said), ACKNOWLEDGEMENT, HERE)])
    return (perf_counter() - begun) * 1000


async def _deadline(owner: Pool, decider: Decider, incident: UUID) -> float:
    await owner.execute(_FALLS_DUE, incident)
    begun = perf_counter()
    await decider.pass_time(1, only=incident)
    return (perf_counter() - begun) * 1000


def _event(count: int) -> str:
    return f"Alarm for {count} departments"


def _report(count: int) -> Any:
    return material.report().model_copy(update={"event": _event(count)})


def _plan(count: int) -> Any:
    roles = [
        {"id": f"role-{n}", "title": {"en": f"Role {n}", "zh": f"职能{n}"}, "department": department(n)}
        for n in range(count)
    ]
    return material.plan(f"fan-out-{count}", event=_event(count), roles=roles)
