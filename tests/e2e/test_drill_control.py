"""A drill under control from other processes: held, started, paused, resumed, given an inject, stopped."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from services.platform.embedded.postgres import EmbeddedPostgres
from tests.e2e.test_drill import AT_MOST, COMMAND, REPOSITORY, clean_environment

CONTROL = (
    sys.executable,
    "-c",
    "import typer; from services.cli.drill_control import register; app = typer.Typer(); register(app); app()",
)
DRILL = """\
id: short-leak
version: 1
title: {en: A short leak, zh: 短时泄漏}
purpose: {en: Shows the controls., zh: 检验控制。}
kind: {content: single-item, form: tabletop}
announced: true
plans: [gas-explosion]
speed: 20
duration: 40m
objectives:
  - id: quick
    title: {en: Quick, zh: 快}
    criterion: {segment: turnout, measure: share, within: 5m, at_least: 50}
participants:
  - department: default
    answer: {median: 20s, spread: 10s}
    start: {median: 40s, spread: 10s}
    work: {median: 20m, spread: 5m}
  - department: ems
    mode: real
    stand_in: true
injects:
  - id: smell
    at: 0s
    kind: incident
    title: {en: A smell of gas, zh: 燃气味}
    expectation: {en: Orders go out, zh: 下达任务}
    within: 2m
    met_when: orders >= 3
    report:
      categories: [Infra]
      event: {en: Gas leak, zh: 燃气泄漏}
      headline: {en: Smell of gas, zh: 燃气味}
      urgency: Immediate
      certainty: Likely
      severity: Moderate
  - id: caller
    manual: true
    kind: message
    of: smell
    title: {en: A caller, zh: 来电}
    expectation: {en: Passed on, zh: 转告}
    says: {en: The smell grows, zh: 气味变浓}
"""

pytestmark = pytest.mark.long


def control(data: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*CONTROL, *arguments, "--data-dir", str(data)],
        cwd=REPOSITORY,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=AT_MOST,
        check=False,
    )


@contextmanager
def held(data: Path, file: Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [*COMMAND, "run", str(file), "--hold", "--json", "--data-dir", str(data)],
        cwd=REPOSITORY,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    watchdog = threading.Timer(AT_MOST, process.kill)
    watchdog.start()
    try:
        yield process
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()


def read_until(process: "subprocess.Popen[str]", words: str) -> None:
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if words in line:
            return
    raise AssertionError(f"{words!r} was not said: {''.join(seen)}")


async def test_a_drill_obeys_other_processes(tmp_path: Path) -> None:
    file = tmp_path / "short-leak.yaml"
    file.write_text(DRILL, encoding="utf-8")
    with held(tmp_path / "data", file) as process:
        read_until(process, "ems: a simulation stands in")
        read_until(process, "stands still")
        refused = control(tmp_path / "data", "inject", "short-leak", "caller")
        assert (refused.returncode, refused.stderr.strip()) == (
            1,
            "muster: drill short-leak: it stands still; resume it first",
        )
        begun = control(tmp_path / "data", "start")
        assert begun.stdout.strip() == "Drill short-leak has begun.", begun.stderr
        read_until(process, "Committed")
        assert control(tmp_path / "data", "pause", "--reason", "a real call", "--by", "li").returncode == 0
        again = control(tmp_path / "data", "pause")
        assert "it stands still already" in again.stderr
        await asyncio.sleep(3)  # a minute of the scenario, were it running
        assert control(tmp_path / "data", "resume").returncode == 0
        assert control(tmp_path / "data", "inject", "short-leak", "caller", "--by", "li").returncode == 0
        assert "has been played" in control(tmp_path / "data", "inject", "short-leak", "caller").stderr
        assert control(tmp_path / "data", "stop").returncode == 0
        out, _ = process.communicate(timeout=AT_MOST)
    assert process.returncode == 130
    report = json.loads(out)
    assert report["ending"] == "stopped"
    server = EmbeddedPostgres(tmp_path / "data" / "postgres")
    connection = await asyncpg.connect(await server.start())
    try:
        drill = await connection.fetchrow("SELECT * FROM drills")
        pauses = await connection.fetch("SELECT * FROM drill_pauses ORDER BY since")
        injects = {row["inject"]: row for row in await connection.fetch("SELECT * FROM drill_injects")}
        timeline = await connection.fetch("SELECT * FROM timeline ORDER BY recorded_at")
        rows = await connection.fetch("SELECT * FROM drill_controls WHERE refused IS NULL")
        taken = {row["action"]: row["taken_at"] for row in rows}
        phases = await connection.fetch("SELECT DISTINCT phase FROM incidents")
    finally:
        await connection.close()
        await server.stop()
    assert drill is not None
    assert json.loads(drill["seats"])["ems"] == "stand-in"
    assert [pause["by"] for pause in pauses] == ["Exercise controller, as duty officer", "li"]
    assert pauses[0]["since"] == drill["clock_start"], "it was held from STARTEX on"
    assert all(pause["until"] > pause["since"] for pause in pauses)
    # The scenario's time is the wall's from the start to ENDEX, less the time it stood still, times the speed.
    stood = taken["resume"] - taken["pause"]
    assert stood > timedelta(seconds=3)
    expected = (taken["stop"] - taken["start"] - stood) * drill["speed"]
    slack = timedelta(seconds=1.5) * drill["speed"]
    assert abs(drill["ended_at"] - drill["started_at"] - expected) < slack < stood * drill["speed"]
    assert max(row["recorded_at"] for row in timeline) <= drill["ended_at"] + slack
    assert injects["caller"]["released_by"] == "li"
    assert injects["caller"]["rating"] is None
    assert injects["smell"]["rating"] == "met"
    assert [row["phase"] for row in phases] == ["closed"]
