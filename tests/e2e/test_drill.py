"""The shipped drill, played by the command line on a real broker and a real database, and looked at in Postgres."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from services.platform.embedded.broker import EmbeddedBroker
from services.platform.embedded.postgres import EmbeddedPostgres

REPOSITORY = Path(__file__).parents[2]
DRILL = "playbooks/drills/chemical-release.yaml"
COMMAND = (sys.executable, "-m", "services.cli", "drill")
SPEED = 120
AT_MOST = 150.0
"""Seconds after which a run is taken for stuck."""
WITH_STATUS = (
    "incidents",
    "activations",
    "assignments",
    "obstacles",
    "timeline",
    "inbox",
    "outbox",
    "drills",
    "drill_injects",
)

TURNOUT = """
SELECT count(*) AS n, count(*) FILTER (WHERE took = 'Infinity') AS never,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY took) AS p50, percentile_disc(0.9) WITHIN GROUP (ORDER BY took) AS p90,
    avg((took <= 80)::int)::float8 AS within
FROM (
    SELECT CASE WHEN num_nonnulls(a.committed_at, a.started_at) = 0 THEN 'Infinity'
        ELSE extract(epoch FROM least(a.committed_at, a.started_at) - coalesce(a.delivered_at, a.issued_at)) END AS took
    FROM assignments AS a JOIN drills AS d ON a.incident_id = ANY (d.incident_ids)
    WHERE d.id = $1 AND a.issued_at < d.ended_at
      AND (num_nonnulls(a.committed_at, a.started_at) > 0
        OR (a.declined_at IS NULL AND a.failed_at IS NULL AND least(a.ended_at, d.ended_at) >= acknowledge_by))
) AS spans
"""
"""Turnout by Postgres's own percentiles, independent of the engine's."""


@dataclass(frozen=True)
class Played:
    """Two runs of one seed: on a broker of the test's own, then on the embedded one; the database is the same."""

    first: dict[str, Any]
    second: dict[str, Any]
    data: Path
    topics: dict[str, int]


def muster(*arguments: str, data: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, *arguments, "--data-dir", str(data)],
        cwd=REPOSITORY,
        env={**clean_environment(), **environment},
        capture_output=True,
        text=True,
        timeout=AT_MOST,
        check=False,
    )


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}


def run_drill(data: Path, **environment: str) -> dict[str, Any]:
    done = muster("run", DRILL, "--speed", str(SPEED), "--seed", "1", "--json", data=data, **environment)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


async def on_own_broker(data: Path, folder: Path) -> tuple[dict[str, Any], dict[str, int]]:
    broker = EmbeddedBroker(folder)
    address = await broker.start()
    try:
        servers = {"MUSTER_KAFKA": address, "MUSTER_EMBEDDED_BROKER": "true"}
        result = await asyncio.to_thread(lambda: run_drill(data, **servers))
        return result, await count_records(address)
    finally:
        await broker.stop()


async def count_records(address: str) -> dict[str, int]:
    """Count what each topic of the broker holds."""
    consumer = AIOKafkaConsumer(bootstrap_servers=address, enable_auto_commit=False)
    await consumer.start()
    try:
        counts = {}
        for topic in await consumer.topics():
            partitions = consumer.partitions_for_topic(topic) or set()
            ends = await consumer.end_offsets([TopicPartition(topic, partition) for partition in partitions])
            counts[topic] = sum(ends.values())
        return counts
    finally:
        await consumer.stop()


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    data = tmp_path_factory.mktemp("drill")
    first, topics = asyncio.run(on_own_broker(data, tmp_path_factory.mktemp("broker")))
    return Played(first, run_drill(data), data, topics)


@pytest.fixture
async def record(played: Played) -> "AsyncIterator[asyncpg.Connection[Any]]":
    """A connection to the database that the runs have left behind."""
    server = EmbeddedPostgres(played.data / "postgres")
    connection = await asyncpg.connect(await server.start())
    yield connection
    await connection.close()
    await server.stop()


async def orders_of(record: "asyncpg.Connection[Any]", result: dict[str, Any], task: str) -> dict[str, Any]:
    rows = await record.fetch(
        "SELECT * FROM assignments WHERE incident_id = ANY ($1::uuid[]) AND task = $2", result["incidents"], task
    )
    return {row["department"]: row for row in rows}


async def test_the_decliners_deputy_is_called_at_once(played: Played, record: "asyncpg.Connection[Any]") -> None:
    orders = await orders_of(record, played.first, "block-drains")
    declined, deputy = orders["urban-management"], orders["water-resources"]
    assert declined["state"] == "declined"
    assert declined["reason"].startswith("Both pump and sealing crews are at a burst water main")
    assert deputy["state"] == "completed"
    assert declined["ended_at"] == deputy["issued_at"]


async def test_silence_is_followed_up_to_the_deputy(played: Played, record: "asyncpg.Connection[Any]") -> None:
    orders = await orders_of(record, played.first, "forecast-plume")
    silent = orders["meteorology"]
    assert silent["committed_at"] is None
    assert silent["delivered_at"] is not None, "received and not answered are two things"
    assert orders["ecology-environment"]["state"] == "completed"
    told = [
        row["entry"]
        for row in await record.fetch(
            "SELECT entry FROM timeline WHERE assignment_id = $1 ORDER BY recorded_at, entry_id", silent["id"]
        )
    ]
    follow_up = [entry for entry in told if entry in {"deadline_missed", "department_reminded", "silence_escalated"}]
    assert follow_up[0] == "deadline_missed"
    assert {"department_reminded", "silence_escalated"} <= set(follow_up)
    assert played.first["departments"]["meteorology"]["never"] == 1


async def test_an_obstacle_has_an_owner_and_is_closed_in_the_record(
    played: Played, record: "asyncpg.Connection[Any]"
) -> None:
    (row,) = await record.fetch(
        "SELECT * FROM obstacles WHERE incident_id = ANY ($1::uuid[])", played.first["incidents"]
    )
    assert row["department"] == "district-office"
    assert row["description"].startswith("46 residents of the care home")
    assert row["owner"] == "Exercise controller, as duty officer"
    assert row["reported_at"] <= row["taken_at"] <= row["resolved_at"]
    orders = await orders_of(record, played.first, "evacuate")
    assert orders["district-office"]["completed_at"] is not None


async def test_the_update_raises_the_level_of_the_same_incident(
    played: Played, record: "asyncpg.Connection[Any]"
) -> None:
    assert len(played.first["incidents"]) == 1
    (activation,) = await record.fetch(
        "SELECT level, state FROM activations WHERE incident_id = ANY ($1::uuid[])", played.first["incidents"]
    )
    assert (activation["level"], activation["state"]) == ("II", "stood_down")
    assert set(await orders_of(record, played.first, "warn-public")) == {"publicity"}


async def test_everything_is_an_exercise(record: "asyncpg.Connection[Any]") -> None:
    for table in WITH_STATUS:
        found = await record.fetch(f"SELECT DISTINCT status FROM {table}")  # noqa: S608 - this module's own words
        assert [row["status"] for row in found] == ["Exercise"], table
    assert await record.fetchval("SELECT count(*) FROM dead_letters") == 0
    assert await record.fetchval("SELECT count(*) FROM outbox WHERE topic NOT LIKE 'muster.exercise.%'") == 0


async def test_nothing_goes_to_a_topic_of_the_real_world(played: Played) -> None:
    assert not [topic for topic in played.topics if topic.startswith("muster.actual.")]
    assert played.topics["muster.exercise.incidents"] == 4
    assert played.topics["muster.exercise.assignments.meteorology"] >= 2
    assert sum(count for topic, count in played.topics.items() if "acknowledgements.meteorology" in topic) >= 1


async def test_every_incident_of_a_drill_is_closed_at_its_end(record: "asyncpg.Connection[Any]") -> None:
    assert await record.fetchval("SELECT count(*) FROM incidents WHERE phase <> 'closed'") == 0
    assert await record.fetchval("SELECT count(*) FROM openings") == 0
    assert await record.fetchval("SELECT count(*) FROM drills WHERE ending <> 'finished'") == 0


@pytest.mark.parametrize("run", ["first", "second"])
async def test_the_reports_numbers_are_those_that_postgres_reckons(
    played: Played, record: "asyncpg.Connection[Any]", run: str
) -> None:
    result = getattr(played, run)
    row = await record.fetchrow(TURNOUT, result["id"])
    assert row is not None
    turnout = result["segments"]["turnout"]
    assert turnout["n"] == row["n"] > 15
    assert turnout["never_responded"] == pytest.approx(row["never"] / row["n"])
    assert turnout["p50"] == pytest.approx(float(row["p50"]), abs=0.001)
    assert turnout["p90"] == pytest.approx(float(row["p90"]), abs=0.001)
    assert turnout["within_target"] == pytest.approx(row["within"])
    handling = result["segments"]["alarm_handling"]
    assert (handling["n"], handling["set_aside"]) == (1, 0)
    parts = [result["segments"][name]["p50"] for name in ("alarm_transfer", "alarm_answering", "alarm_processing")]
    assert all(part is not None and part >= 0 for part in parts)
    assert sum(parts) == pytest.approx(handling["p50"], abs=0.01)


async def test_the_same_seed_makes_the_departments_decide_the_same(
    played: Played, record: "asyncpg.Connection[Any]"
) -> None:
    first, second = [
        {
            (row["task"], row["department"]): (row["no"], row["turnout"])
            for row in await record.fetch(
                "SELECT task, department, declined_at IS NOT NULL AS no,"
                " extract(epoch FROM committed_at - delivered_at)::float8 AS turnout FROM assignments AS a"
                " JOIN drills AS d ON a.incident_id = ANY (d.incident_ids)"
                " WHERE d.id = $1 AND a.issued_at < d.ended_at",
                result["id"],
            )
        }
        for result in (played.first, played.second)
    ]
    both = first.keys() & second.keys()
    assert len(both) >= 18
    for key in both:
        assert first[key][0] == second[key][0], key
        if first[key][1] is not None and second[key][1] is not None:
            # The delays are drawn; what differs is the machine's own time, in scenario seconds.
            assert first[key][1] == pytest.approx(second[key][1], abs=SPEED * 0.5), key


def test_a_report_is_read_back_later_as_it_was(played: Played, tmp_path: Path) -> None:
    listed = muster("list", "--json", data=played.data)
    assert {row["id"] for row in json.loads(listed.stdout)} == {played.first["id"], played.second["id"]}
    again = muster("report", played.first["id"], "--json", "--report", str(tmp_path), data=played.data)
    assert again.returncode == 0, again.stderr
    assert without_path(json.loads(again.stdout)) == without_path(played.first)
    (page,) = tmp_path.iterdir()
    text = page.read_text(encoding="utf-8")
    assert "Chlorine release in the chemical park" in text
    assert "化工园区氯气泄漏演练" in text
    assert "养老院46名住户无法行走" in text, "the obstacle is told in Chinese too"


def without_path(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name != "report"}


def test_an_unknown_drill_ends_with_one_line(played: Played) -> None:
    done = muster("report", "01890000-0000-7000-8000-000000000000", data=played.data)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "there is none on record" in done.stderr


def test_a_drill_that_cannot_be_read_ends_with_a_line_for_each_mistake(tmp_path: Path) -> None:
    file = tmp_path / "drill.yaml"
    file.write_text(
        (REPOSITORY / DRILL).read_text(encoding="utf-8").replace("speed: 60 ", "sped: 60 "), encoding="utf-8"
    )
    done = muster("run", str(file), data=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"{file}:3: speed: is missing; write `speed:` here",
        f'{file}:14: sped: unknown key "sped"; did you mean "speed"?',
    ]
    assert muster("run", DRILL, "--speed", "0", data=tmp_path).returncode == 2


@contextmanager
def under_way(data: Path) -> Iterator["subprocess.Popen[str]"]:
    """A drill that has begun."""
    process = subprocess.Popen(
        [*COMMAND, "run", DRILL, "--json", "--data-dir", str(data)],
        cwd=REPOSITORY,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    watchdog = threading.Timer(AT_MOST, process.kill)
    watchdog.start()
    try:
        assert process.stderr is not None
        assert any("Plan activated" in line for line in process.stderr), "the drill did not begin"
        yield process
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()


async def test_a_stopped_drill_and_one_whose_process_died_leave_nothing_open(tmp_path: Path) -> None:
    with under_way(tmp_path) as killed:
        killed.kill()
        killed.wait()
    with under_way(tmp_path) as stopped:
        stopped.send_signal(signal.SIGINT)
        out, _ = stopped.communicate(timeout=AT_MOST)
    assert stopped.returncode == 130
    assert json.loads(out)["ending"] == "stopped"
    server = EmbeddedPostgres(tmp_path / "postgres")
    connection = await asyncpg.connect(await server.start())
    try:
        drills = await connection.fetch("SELECT ending FROM drills ORDER BY id")
        incidents = await connection.fetch("SELECT phase, joined_to FROM incidents")
        open_ones = await connection.fetchval("SELECT count(*) FROM openings")
    finally:
        await connection.close()
        await server.stop()
    assert [row["ending"] for row in drills] == ["failed", "stopped"]
    assert [(row["phase"], row["joined_to"]) for row in incidents] == [("closed", None)] * 2
    assert open_ones == 0
