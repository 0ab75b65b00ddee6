"""``muster department``: one JSON document or line on stdout, exit codes that tell, and a mark on every exercise."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from schemas.vocabulary import Namespace, Notice
from services.cli.department import _department, app
from services.platform.postgres import Pool
from tests.services.support import publish_shipped
from tests.services.test_departments_world import KafkaWorld, again, give, heard, kafka_world, order, until, words

REPOSITORY = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "from services.cli.department import app; app()"]
NOWHERE = "127.0.0.1:1"


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KafkaWorld]:
    async with kafka_world(tmp_path_factory.mktemp("broker")) as world:
        yield world


async def started(folder: Path, kafka: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *COMMAND,
        *arguments,
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(REPOSITORY),
            "MUSTER_KAFKA": kafka,
            "MUSTER_NAMESPACE": "exercise",
            "MUSTER_EMBEDDED_BROKER": "true",
            "MUSTER_DATABASE": os.environ.get("MUSTER_DATABASE", "postgresql://nowhere:1/none"),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def muster(folder: Path, kafka: str, *arguments: str) -> tuple[int, str, str]:
    """Run one command; return its exit code and what it wrote to stdout and stderr."""
    process = await started(folder, kafka, *arguments)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode(), err.decode()


async def muster_json(folder: Path, kafka: str, *arguments: str) -> Any:
    code, out, err = await muster(folder, kafka, *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


async def test_an_order_is_seen_in_the_inbox_and_answered(world: KafkaWorld, tmp_path: Path) -> None:
    name = await world.department()
    message = order(name, read_back=True)
    await give(world, message)
    inbox = await muster_json(tmp_path, world.bootstrap, "inbox", name)
    assert (inbox["department"], inbox["namespace"], inbox["caught_up"]) == (name, "exercise", True)
    (seen,) = inbox["orders"]
    assert seen["assignment_id"] == str(message.assignment_id)
    assert (seen["status"], seen["is_exercise"], seen["state"]) == ("Exercise", True, "delivered")
    assert await words(world, name) == ["deliver"]

    short = str(message.assignment_id)[-8:]
    code, out, err = await muster(tmp_path, world.bootstrap, "reply", short, "commit")
    assert (code, out) == (2, "")
    assert err == "muster: read_back: this order asks for it; repeat the order in your own words\n"
    replied = await muster_json(tmp_path, world.bootstrap, "reply", short, "commit", "--read-back", "close it")
    assert (replied["said"], replied["sent"], replied["order"]["state"]) == (True, True, "committed")
    repeated = await muster_json(tmp_path, world.bootstrap, "reply", short, "commit", "--read-back", "close it")
    assert repeated["said"] is False
    assert "close it" in [said.read_back for _, said in await heard(world, name)]

    code, out, _ = await muster(tmp_path, world.bootstrap, "inbox", name)
    assert code == 0
    assert "EXERCISE * EXERCISE" in out
    assert (await muster(tmp_path, world.bootstrap, "reply", short, "complete"))[0] == 0
    assert (await muster_json(tmp_path, world.bootstrap, "inbox", name))["orders"] == []
    code, _, err = await muster(tmp_path, world.bootstrap, "reply", short, "start")
    assert (code, err) == (1, f"muster: order {message.assignment_id}: is completed already\n")


async def test_listening_prints_one_json_line_for_each_order_and_ends_on_a_signal(
    world: KafkaWorld, tmp_path: Path
) -> None:
    name = await world.department()
    message = order(name)
    process = await started(tmp_path, world.bootstrap, "listen", name, "--json")
    assert process.stdout is not None
    await give(world, message)
    first = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))
    await give(world, again(message, Notice.REMINDED, reason="acknowledge deadline missed"))
    second = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))
    assert [each["notice"] for each in (first, second)] == ["issued", "reminded"]
    assert {each["assignment_id"] for each in (first, second)} == {str(message.assignment_id)}
    replied = await muster_json(tmp_path, world.bootstrap, "reply", str(message.assignment_id), "commit")
    assert replied["sent"], "beside a listener, which has the journal open too"
    process.send_signal(signal.SIGTERM)
    rest, _ = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, rest) == (0, b"")


async def test_an_agent_commits_by_itself_and_marks_the_exercise(world: KafkaWorld, tmp_path: Path) -> None:
    name = await world.department()
    process = await started(tmp_path, world.bootstrap, "listen", name, "--auto")
    await give(world, order(name, read_back=True))

    async def committed() -> bool:
        return "commit" in await words(world, name)

    await until(committed, seconds=40)
    process.send_signal(signal.SIGINT)
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    assert b"EXERCISE * EXERCISE * EXERCISE" in out
    assert (await heard(world, name))[1][1].by == "automatic agent"


async def test_an_answer_is_kept_when_the_broker_is_away(world: KafkaWorld, tmp_path: Path) -> None:
    name = await world.department()
    message = order(name)
    await give(world, message)
    await muster_json(tmp_path, world.bootstrap, "inbox", name)
    code, out, err = await muster(tmp_path, NOWHERE, "reply", str(message.assignment_id), "commit", "--json")
    assert code == 1
    assert json.loads(out)["sent"] is False
    assert err.splitlines()[-1].startswith("muster: the answer is kept in the journal and not sent yet")
    offline = await muster_json(tmp_path, NOWHERE, "inbox", name)
    assert (offline["caught_up"], offline["orders"][0]["state"]) == (False, "committed")
    await muster_json(tmp_path, world.bootstrap, "inbox", name)
    assert "commit" in await words(world, name)


async def test_the_published_directory_is_listed_from_the_database(
    database: str, pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSTER_DATABASE", database)
    code, out, err = await muster(tmp_path, NOWHERE, "list", "--published")
    assert (code, out) == (1, "")
    assert "run `muster plan publish`" in err
    await publish_shipped(pool)
    listed = await muster_json(tmp_path, NOWHERE, "list", "--published")
    assert "police" in {each["id"] for each in listed["departments"]}


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout, result.stderr


def test_the_directory_is_listed() -> None:
    code, out, _ = run("list", "--playbooks", str(REPOSITORY / "playbooks"), "--json")
    listed = json.loads(out)
    assert code == 0
    assert listed["duty_officer"] in {each["id"] for each in listed["departments"]}
    code, out, _ = run("list", "--playbooks", str(REPOSITORY / "playbooks"))
    assert code == 0
    assert "The duty officer sits in" in out


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["listen", "police", "--auto", "--namespace", "actual"], 2, "nobody would do the work"),
        (["inbox", "No Such Name"], 2, "is no department's id"),
        (["reply", "0199", "commit"], 1, "no journal under .muster/departments knows an order 0199"),
        (["list", "--playbooks", "nowhere"], 1, "nowhere/departments.yaml"),
    ],
    ids=["auto in the actual world", "a bad name", "an unknown order", "no directory"],
)
def test_what_goes_wrong_is_one_line(
    arguments: list[str], code: int, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    got, out, err = run(*arguments)
    assert (got, out) == (code, "")
    assert line in err
    assert err.count("\n") == 1
    assert err.startswith("muster: ")


@pytest.mark.parametrize("arguments", [["reply", "0199", "deliver"], ["reply", "0199"], ["inbox"]])
def test_misuse_exits_with_2(arguments: list[str]) -> None:
    assert run(*arguments)[0] == 2


def test_each_world_has_a_journal_of_its_own() -> None:
    paths = {_department("police", namespace, None)._journal._path for namespace in Namespace}
    assert len(paths) == 2
