"""The canary finds nothing while every guard stands, and finds each leak when one is turned off."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from prometheus_client import REGISTRY
from typer import Typer
from typer.testing import CliRunner
from uuid_utils.compat import uuid7

from schemas.topics import ASSIGNMENTS, Topic, topic_name
from schemas.vocabulary import Namespace, Status
from services.cli.drill_canary import canary_command
from services.dispatch import service as dispatch
from services.drills.canary import Canary, Round
from services.drills.witness import Way, Witness
from services.escalation import service as escalation
from services.platform import decider
from services.platform.postgres import Pool
from services.platform.runtime import Runtime
from services.platform.worker import Worker
from services.playbooks.stored import directory_from, plan_from
from services.tracking import service as tracking
from tests.services.support import publish_shipped, report, send, sent, settings, until

app = Typer()
app.command(name="canary")(canary_command)
app.command(name="other")(lambda: None)

pytestmark = pytest.mark.long


@asynccontextmanager
async def serving(database: str, broker: str, *namespaces: Namespace) -> AsyncIterator[list[Runtime]]:
    """All services of these namespaces in one process."""
    async with AsyncExitStack() as stack:
        runtimes: list[Runtime] = []
        for namespace in namespaces:
            runtime = await Runtime.open(settings(database, broker, namespace), "test", plan_from, directory_from)
            for service in (dispatch, tracking, escalation):
                service.attach(runtime)
            runtimes.append(await stack.enter_async_context(runtime))
        yield runtimes


async def one_round(database: str, broker: str, within: float = 20) -> Round:
    async with Canary(settings(database, broker, Namespace.EXERCISE), within=within) as canary:
        return await canary.round()


async def test_a_round_goes_the_whole_way_and_has_no_real_effect(pool: Pool, database: str, broker: str) -> None:
    """Report, orders, an answer and the close, with real incidents beside it; none of it shows on the real side."""
    await publish_shipped(pool)
    before = REGISTRY.get_sample_value("muster_canary_rounds_total", {"outcome": "clean"}) or 0
    async with serving(database, broker, Namespace.ACTUAL, Namespace.EXERCISE):
        real = report()
        topic = "muster.actual.incidents"
        await send(broker, sent(real, "muster.incident", topic))
        done = await one_round(database, broker)
        assert done.clean, done
        assert done.orders > 0
        states = {row["state"] for row in await pool.fetch("SELECT state FROM assignments WHERE status = 'Exercise'")}
        assert states <= {"cancelled", "expired", "superseded"}
        assert await pool.fetchval("SELECT phase FROM incidents WHERE id = $1", done.incident_id) == "closed"
        assert await pool.fetchval(
            "SELECT committed_at IS NOT NULL FROM assignments WHERE status = 'Exercise' ORDER BY id"
        )
        assert await pool.fetchval("SELECT count(*) FROM incidents WHERE status = 'Actual'") == 1
    assert REGISTRY.get_sample_value("muster_canary_rounds_total", {"outcome": "clean"}) == before + 1
    assert REGISTRY.get_sample_value("muster_canary_last_round_timestamp_seconds")
    assert REGISTRY.get_sample_value("muster_canary_real_effects_total", {"way": "row"}) is not None


async def test_orders_on_a_real_topic_are_caught(
    pool: Pool, database: str, broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A guard is off: the services of the exercise write its orders to the topics of real ones."""
    await publish_shipped(pool)

    def misled(topic: Topic, namespace: Namespace, department: str | None = None) -> str:
        return topic_name(topic, Namespace.ACTUAL if topic is ASSIGNMENTS else namespace, department)

    async with serving(database, broker, Namespace.ACTUAL, Namespace.EXERCISE):
        monkeypatch.setattr(decider, "topic_name", misled)
        done = await one_round(database, broker)
    assert not done.clean
    messages = [leak for leak in done.leaks if leak.way is Way.MESSAGE]
    assert len(messages) >= done.orders
    assert all(leak.where.startswith("muster.actual.assignments.") for leak in messages)


async def test_a_real_service_that_takes_exercises_is_caught(
    pool: Pool, database: str, broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A guard is off: a worker of the real side listens to exercises, does not ask, and writes as the tables' owner."""
    await publish_shipped(pool)
    async with serving(database, broker, Namespace.EXERCISE, Namespace.ACTUAL):
        astray = await Runtime.open(settings(database, broker), "astray", plan_from, directory_from)
        await astray.pool.close()
        astray.pool = astray.outbox._pool = astray.watch._pool = pool
        monkeypatch.setattr(Worker, "_admitted", lambda self, record: self._admit(record))
        topic = "muster.exercise.incidents"
        astray.take("astray", dispatch.admit_report, expected="muster.incident", topics=[topic])
        astray.playbook._pool = pool
        async with astray:
            # Whoever is first decides; the round whose report the stray worker took is the one that leaks.
            for _ in range(10):
                done = await one_round(database, broker)
                if done.leaks:
                    break
    assert any(leak.way is Way.MESSAGE and leak.where.startswith("muster.actual.timeline") for leak in done.leaks)


async def test_a_row_on_the_real_side_is_caught(pool: Pool, database: str, broker: str) -> None:
    """A guard is off: something with the owner's rights writes a real row about an exercise, in any table."""
    await publish_shipped(pool)
    await pool.execute(
        """
        CREATE TABLE hospital_beds (bed integer, incident_id uuid, status text);
        CREATE FUNCTION leak() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
            INSERT INTO hospital_beds VALUES (1, NEW.id, 'Actual');
            INSERT INTO alerts VALUES ('Actual', 'a', 'b', now(), NEW.id);
            RETURN NULL;
        END $$;
        CREATE TRIGGER leak AFTER INSERT ON incidents FOR EACH ROW EXECUTE FUNCTION leak();
        """
    )
    async with serving(database, broker, Namespace.EXERCISE):
        unseen = await one_round(database, broker)
        await pool.execute("GRANT SELECT ON hospital_beds TO muster_actual_canary")
        done = await one_round(database, broker)
    assert unseen.reason == "database: permission denied for table hospital_beds to the canary; see `muster roles`"
    assert (unseen.answered, unseen.clean) == (True, False), "what it may not look at proves nothing"
    assert done.answered
    assert sorted(leak.where for leak in done.leaks if leak.way is Way.ROW) == ["alerts", "hospital_beds"]


async def test_a_call_to_the_world_outside_is_caught(pool: Pool, database: str, broker: str) -> None:
    await publish_shipped(pool)
    async with serving(database, broker, Namespace.EXERCISE):
        done = await one_round(database, broker)
        witness = Witness(pool, broker, embedded=True)
        await pool.execute(
            "INSERT INTO outbound_calls VALUES ($1, $2, 'Exercise', 'police', 'http://pager', 'sent')",
            uuid7(),
            done.incident_id,
        )
        leaks = await witness.leaks(await witness.mark(), [done.incident_id])
    assert [(leak.way, leak.where) for leak in leaks] == [(Way.OUTBOUND, "http://pager")]


async def test_a_stray_message_of_another_exercise_is_caught_too(pool: Pool, database: str, broker: str) -> None:
    """Whatever is not Actual has no business on a real topic, whoever sent it; what is Actual is none of ours."""
    await publish_shipped(pool)
    async with serving(database, broker, Namespace.ACTUAL):
        witness = Witness(pool, broker, embedded=True)
        mark = await witness.mark()
        await send(broker, sent(report(), "muster.incident", "muster.actual.incidents"))
        assert await witness.leaks(mark, [uuid7()]) == []
        stray = report(status=Status.TEST)
        await send(broker, sent(stray, "muster.incident", "muster.actual.incidents"))
        leaks = await witness.leaks(mark, [uuid7()])
    assert {leak.what for leak in leaks} == {"a message on a real topic has status Test"}
    assert any(leak.where.startswith("muster.actual.incidents[") for leak in leaks)


async def run_canary(database: str, kafka: str, *arguments: str) -> asyncio.subprocess.Process:
    script = "from tests.services.test_canary import app; app()"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")},
        "MUSTER_DATABASE": database,
        "MUSTER_KAFKA": kafka,
        "MUSTER_EMBEDDED_BROKER": "true",
    }
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, "canary", *arguments),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_the_command_proves_a_round_and_goes_on_until_it_is_stopped(
    pool: Pool, database: str, broker: str
) -> None:
    await publish_shipped(pool)
    async with serving(database, broker, Namespace.EXERCISE):
        once = await run_canary(database, broker, "--once", "--json")
        out, err = await once.communicate()
        assert once.returncode == 0, err.decode()
        found = json.loads(out)
        assert (found["clean"], found["real_effects"], found["answered"]) == (True, 0, True)
        for_ever = await run_canary(database, broker, "--every", "1s", "--json")
        assert for_ever.stdout is not None
        lines = [json.loads(await for_ever.stdout.readline()) for _ in range(2)]
        for_ever.terminate()
        await for_ever.communicate()
        assert [line["number"] for line in lines] == [1, 2]
        assert for_ever.returncode == 0


async def test_a_round_that_nobody_answers_is_no_success(pool: Pool, database: str, broker: str) -> None:
    """Without the services nothing leaks, and nothing is proved either."""
    await publish_shipped(pool)
    runtime = await Runtime.open(settings(database, broker, Namespace.EXERCISE), "test", plan_from, directory_from)
    async with runtime:
        done = await one_round(database, broker, within=1)
    assert not done.clean
    assert (done.answered, done.proved, done.leaks) == (False, True, ())
    assert done.reason == "canary: nobody decided its report; do the exercise services run? (1 s)"


async def test_what_an_earlier_canary_left_open_is_closed(pool: Pool, database: str, broker: str) -> None:
    await publish_shipped(pool)
    async with serving(database, broker, Namespace.EXERCISE):
        done = await one_round(database, broker)
        old = done.incident_id
        await pool.execute(
            "UPDATE incidents SET phase = 'open', reported_at = reported_at - interval '1 hour' WHERE id = $1", old
        )
        await one_round(database, broker)

        async def closed() -> bool:
            return bool(await pool.fetchval("SELECT phase FROM incidents WHERE id = $1", old) == "closed")

        assert await until(closed)


def test_the_command_refuses_a_pause_it_can_not_read() -> None:
    for text in ("soon", "0s"):
        result = CliRunner().invoke(app, ["canary", "--every", text])
        assert result.exit_code == 2
        assert "--every" in result.stderr
