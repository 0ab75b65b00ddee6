"""``muster up`` as a person runs it: report, receive, answer; kill everything; and go on where it was."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from schemas.vocabulary import Namespace
from services.departments import Department, Order
from services.platform.embedded.ports import free_ports
from services.platform.kafka import BRISK
from tests.services.support import PLAYBOOKS, until

REPO = PLAYBOOKS.parent
ALERT = """<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
  <identifier>e2e-1</identifier><sender>test@example.org</sender><sent>2026-05-02T23:21:04-00:00</sent>
  <status>{status}</status><msgType>Alert</msgType><scope>Public</scope>
  <info>
    <category>CBRNE</category><event>Chemical release</event><urgency>Immediate</urgency>
    <severity>Severe</severity><certainty>Observed</certainty><headline>Chlorine leak</headline>
    <area><areaDesc>Riverside</areaDesc></area>
  </info>
</alert>
"""


class Up:
    """A running ``muster up``, the addresses it announced, and the token it left for commands on its machine."""

    def __init__(self, process: asyncio.subprocess.Process, addresses: dict[str, str], folder: Path) -> None:
        self.process = process
        left = folder / ".muster" / "running.json"
        assert left.stat().st_mode & 0o777 == 0o600
        self.token = json.loads(left.read_text())["token"]
        self.http, self.kafka, self.database = (addresses[name] for name in ("http", "kafka", "database"))

    async def kill_everything(self) -> None:
        """End the process with -9 and its servers with it, as a power cut would."""
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> float:
        """Stop it as Ctrl-C does; return how many seconds that took."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        self.process.send_signal(signal.SIGINT)
        await asyncio.wait_for(self.process.wait(), timeout=40)
        return loop.time() - begun


def environment(folder: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")},
        "PYTHONPATH": str(REPO),
        "HOME": str(folder),
    }


@asynccontextmanager
async def muster_up(folder: Path, port: int) -> AsyncIterator[Up]:
    """Run ``muster up`` in a folder of its own."""
    with (folder / "up.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.cli", "up", "--json", "--port", str(port)),
            *("--data-dir", str(folder / "data"), "--playbooks", str(PLAYBOOKS)),
            cwd=folder,
            env=environment(folder),
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
        assert process.stdout is not None
        try:
            text = await asyncio.wait_for(process.stdout.readuntil(b"}\n"), timeout=90)
            yield Up(process, json.loads(text), folder)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def muster(folder: Path, *arguments: str) -> tuple[int, Any]:
    """Run a command in the folder of the running one, which it finds by itself."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.cli", *arguments, *([] if arguments[0] == "serve" else ["--json"])),
        cwd=folder,
        env=environment(folder),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, json.loads(out) if out.strip() else err.decode()


@asynccontextmanager
async def listening(department: Department) -> AsyncIterator[None]:
    """Let a department listen while the context lasts."""
    task = asyncio.create_task(department.run())
    try:
        yield
    finally:
        department.stop()
        with suppress(asyncio.CancelledError):
            await asyncio.wait_for(task, timeout=20)


def department(name: str, up: Up, seen: list[Order], *, commit: bool) -> Department:
    made = Department(name, namespace=Namespace.ACTUAL, kafka=up.kafka, pace=BRISK)

    @made.on_order
    async def handle(order: Order) -> None:
        seen.append(order)
        if commit:
            await order.commit(read_back="as ordered", by="duty desk")

    return made


async def test_orders_survive_a_power_cut_and_are_delivered_again(tmp_path: Path) -> None:
    """After kill -9 of everything, what was open is still open, what was answered stays answered, and every open
    order is delivered again though the broker has forgotten it."""
    (port,) = free_ports(1)
    (tmp_path / "alert.cap").write_text(ALERT.format(status="Actual"))
    first: list[Order] = []
    async with muster_up(tmp_path, port) as up:
        async with listening(department("fire-rescue", up, first, commit=True)):
            code, accepted = await muster(tmp_path, "incident", "report", "--cap", "alert.cap")
            assert code == 0, accepted
            incident = accepted["incident_id"]
            connection = await asyncpg.connect(up.database)

            async def committed() -> object:
                return await connection.fetchval(
                    "SELECT count(*) FROM assignments WHERE department = 'fire-rescue' AND committed_at IS NOT NULL"
                )

            await until(committed, 30)
            await connection.close()
        await up.kill_everything()
    assert first
    again: list[Order] = []
    other: list[Order] = []
    async with muster_up(tmp_path, port) as up:
        code, shown = await muster(tmp_path, "incident", "show", incident)
        assert code == 0, shown
        waiting = {a["id"]: a for a in shown["assignments"] if a["state"] in {"issued", "delivered", "committed"}}
        for order in first:
            assert waiting[str(order.id)]["committed_at"] is not None
        police = [a for a in waiting.values() if a["department"] == "police"]
        assert police
        async with (
            listening(department("fire-rescue", up, again, commit=False)),
            listening(department("police", up, other, commit=True)),
        ):

            async def delivered() -> bool:
                return {o.id for o in again} >= {o.id for o in first} and {str(o.id) for o in other} >= {
                    a["id"] for a in police
                }

            await until(delivered, 40)
        code, health = await muster(tmp_path, "doctor", "--invariants")
        assert code == 0, health
        assert await up.stop() < 15


async def test_faulty_alert_leaves_one_line_and_one_dead_letter(tmp_path: Path) -> None:
    """A faulty alert ends in one line with exit code 1; nothing but the dead letter is stored; the drill's world is
    another address."""
    (port,) = free_ports(1)
    (tmp_path / "faulty.cap").write_text(ALERT.format(status="Actual").replace("<scope>Public</scope>", ""))
    (tmp_path / "drill.cap").write_text(ALERT.format(status="Exercise"))
    async with muster_up(tmp_path, port) as up:
        code, said = await muster(tmp_path, "incident", "report", "--cap", "faulty.cap")
        assert code == 1
        assert said.count("\n") == 1
        assert "<scope>" in said
        code, said = await muster(tmp_path, "incident", "report", "--cap", "drill.cap")
        assert code == 1
        assert "Exercise" in said
        code, taken = await muster(tmp_path, "incident", "report", "--cap", "drill.cap", "--namespace", "exercise")
        assert code == 0, taken
        code, letters = await muster(tmp_path, "dead-letters", "list")
        assert code == 0
        assert len(letters) == 2
        async with httpx.AsyncClient(base_url=up.http) as client:
            assert (await client.get("/v1/incidents")).status_code == 401
            client.headers["Authorization"] = f"Bearer {up.token}"
            listed = (await client.get("/v1/incidents")).json()["items"]
            assert listed == []
            answer = await client.get("/health/ready")
            assert answer.status_code == 200
            assert b"muster_dead_letters_total" in (await client.get("/metrics")).content
        code, said = await muster(tmp_path, "dead-letters", "discard", letters[0]["id"], "--reason", "a test")
        assert code == 0, said
        code, said = await muster(tmp_path, "dead-letters", "discard", letters[0]["id"], "--reason", "a test")
        assert (code, "resolved before" in said) == (1, True)
        assert await up.stop() < 15


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("serve", "nothing"), 2, "there is no such service"),
        (("incident", "report"), 2, "give exactly one of"),
        (("incident", "report", "--event", "fire"), 2, "status has no default"),
        (("incident", "list", "--url", "http://127.0.0.1:9"), 1, "is Muster up"),
        (("dead-letters", "list", "--state", "lost"), 2, "write open, replayed or discarded"),
        (("plan", "explain", "--incident", "nowhere.json"), 1, "nowhere.json"),
        (("doctor",), 1, "check MUSTER_DATABASE"),
    ],
)
async def test_bad_input_ends_in_one_line(tmp_path: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    """What can't be done ends with one line that says what, where, and what to do."""
    (tmp_path / "playbooks").symlink_to(PLAYBOOKS)
    ended, said = await muster(tmp_path, *arguments)
    assert ended == code
    assert words in said
    assert said.strip().count("\n") == 0, said
