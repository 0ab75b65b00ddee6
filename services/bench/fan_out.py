"""One incident for up to ten thousand departments: how long until the last one has its order."""

import asyncio
from functools import partial
from typing import Any

from aiokafka import TopicPartition

from schemas.topics import ACKNOWLEDGEMENTS, ASSIGNMENTS, TOPICS, topic_name
from schemas.vocabulary import Namespace
from services.bench import contenders, material
from services.bench.contenders import Contender, Record, undisturbed
from services.bench.figures import Row, Target, figure, quotients
from services.bench.material import department, sent_report
from services.bench.plan import Plan
from services.bench.stage import Stage, Topics
from services.playbooks.stored import Wordings

TWOFOLD = Target(at_most=2)
TURNS = 3


async def run(stage: Stage, plan: Plan) -> list[Row]:
    """Fan out to growing numbers of departments, the floor and Muster in turns."""
    most = max(plan.departments)
    names = {topic_name(topic, Namespace.ACTUAL): topic.partitions for topic in TOPICS if not topic.per_department}
    prefixed = {f"{contenders.FLOOR}.{name}": partitions for name, partitions in names.items()}
    for number in range(most):
        # One partition each: ten thousand departments are beyond one small broker as it is.
        for topic in (ASSIGNMENTS, ACKNOWLEDGEMENTS):
            names[topic_name(topic, Namespace.ACTUAL, department(number))] = 1
        prefixed[f"{contenders.FLOOR}.{topic_name(ASSIGNMENTS, Namespace.ACTUAL, department(number))}"] = 1
    await stage.topics(names | prefixed)
    known = material.wordings([_plan(count) for count in plan.departments], most)
    muster = await contenders.muster(stage, "dispatch", known=known, topics_made=True)
    rows: list[Row] = []
    for count in plan.departments:
        rows += await _to(stage, muster, known, count)
    return rows


async def _to(stage: Stage, muster: Contender, known: Wordings, count: int) -> list[Row]:
    entries = 3 + count
    muster.results = {"incidents": (_partitions("", count), count + entries)}
    moulds = await contenders.sample(stage, muster, "incidents", said=_report(count))
    topics = Topics(contenders.FLOOR, 0)
    floor = Contender("floor", topics, await stage.database(known))
    floor.results = {"incidents": (_partitions(contenders.FLOOR, count), count + entries)}
    await contenders.start_floor(stage, floor, "incidents", moulds["incidents"], f"{contenders.FLOOR}.fan-out")
    taken: dict[str, list[float]] = {"floor": [], "muster": []}
    for turn in range(TURNS + 1):
        for each in (floor, muster):
            seconds = (await undisturbed(stage, each, "incidents", partial(_one, each, count))).seconds
            if turn:  # the first one learns where all the topics are
                taken[each.name].append(seconds)
    await asyncio.sleep(1)  # it commits its offsets, from which the next one goes on
    for process in floor.processes:
        await process.stop()
    title = f"one incident to {count:,} departments, until the last has its order"
    rows = [
        Row("fan-out", f"fan-out.{count}.{name}", f"{title}, {name}", figure(values, "s"))
        for name, values in taken.items()
    ]
    ratio = quotients(taken["muster"], taken["floor"])
    rows.append(
        Row("fan-out", f"fan-out.{count}.ratio", f"{title}, muster of the floor", ratio, of="floor", target=TWOFOLD)
    )
    return rows


def _one(contender: Contender, count: int) -> list[Record]:
    return [(contender.topics.incidents, *sent_report(_report(count)))]


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


def _partitions(prefix: str, count: int) -> list[TopicPartition]:
    topics = Topics(prefix, count)
    return [TopicPartition(topics.assignments(number), 0) for number in range(count)] + topics.entries()
