"""Others who do comparable work, on the same servers; each says what it does and what it doesn't do."""

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from aiokafka import TopicPartition

from services.bench.contenders import Contender, wordings
from services.bench.material import TASKS, department
from services.bench.plan import Plan
from services.bench.stage import BenchError, Stage, Topics

ABOUT = {
    "plain FastStream": "one message, one transaction, each order awaited; fixed tasks, no plans, timeline or outbox",
    "DBOS": "one durable workflow of six steps for each incident; fixed tasks, no plans, no timeline",
    "ansible-rulebook": "matches in memory; no record, no orders",
}
_MODULES = {"DBOS": "dbos", "ansible-rulebook": "ansible_rulebook"}
_ANSIBLE = Path(__file__).parent / "ansible"


def require() -> None:
    """Raise `BenchError` where a peer isn't installed."""
    missing = [name for name, module in _MODULES.items() if find_spec(module) is None]
    if missing:
        raise BenchError(f"--peers: {' and '.join(missing)} not installed here: `uv sync --group bench`")


async def start(stage: Stage, plan: Plan) -> list[Contender]:
    """Start the peers, if the run asks for them; raises `BenchError` where one isn't installed."""
    if not plan.peers:
        return []
    require()
    return [
        await _python(stage, "plain FastStream", "services.bench.peer_plain"),
        await _python(stage, "DBOS", "services.bench.peer_dbos"),
        await _rulebook(stage),
    ]


async def _python(stage: Stage, name: str, module: str) -> Contender:
    topics = Topics(f"bench.{module.rpartition('_')[2]}", TASKS)
    await stage.topics(topics.all())
    database = await stage.database(wordings())
    given = {
        "kafka": stage.kafka,
        "idempotent": not stage.embedded,
        "database": database,
        "topic": topics.incidents,
        "departments": [department(number) for number in range(TASKS)],
        "orders": {department(number): topics.assignments(number) for number in range(TASKS)},
    }
    process = await stage.program(name, module, given)
    return Contender(name, topics, database, [process], {"incidents": (topics.orders(), TASKS)})


async def _rulebook(stage: Stage) -> Contender:
    topics = Topics("bench.ansible", 0)
    done = "bench.ansible.done"
    await stage.topics({**topics.all(), done: 1})
    variables = stage.folder / "ansible.json"
    given = {"kafka": stage.kafka, "topic": topics.incidents, "done": done}
    variables.write_text(json.dumps({"given": json.dumps(given)}))
    programs = Path(sys.executable).parent
    argv = ["--rulebook", str(_ANSIBLE / "rulebook.yml"), "-S", str(_ANSIBLE), "--vars", str(variables)]
    # It looks for other programs of its kind, and takes no event without them.
    path = {"PATH": os.pathsep.join([str(programs), os.environ.get("PATH", os.defpath)])}
    process = await stage.start("ansible-rulebook", argv, path, str(programs / "ansible-rulebook"))
    return Contender("ansible-rulebook", topics, "", [process], {"incidents": ([TopicPartition(done, 0)], 1)})
