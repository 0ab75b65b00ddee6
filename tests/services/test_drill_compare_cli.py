"""``muster drill compare`` and ``trend`` over drills on record: a plan's CI can go by their exit codes."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest
import typer
from typer.testing import CliRunner, Result

from services.cli.drill_compare import compare, trend
from services.drills.compare import read_side
from services.drills.record import DrillError
from services.platform.postgres import Pool
from services.platform.published import publish
from services.playbooks.plans import canonical, digest
from tests.domain.builders import START, make_id
from tests.playbooks.sample import directory, plan
from tests.services.test_drill_compare import document_of

SECOND = timedelta(seconds=1)
PLAN = "river-flood"
ORDERS = 30
ids = count(5000)

app = typer.Typer()
app.command()(compare)
app.command()(trend)


@dataclass(frozen=True)
class Recorded:
    """A database with four drills: two alike, one with a slower police, and one with an order for each department."""

    database: str
    before: UUID
    again: UUID
    slow: UUID
    small: UUID


async def record(pool: Pool, turnouts: Mapping[str, Sequence[float | None]], *, seed: int, at: datetime) -> UUID:
    """Put a drill on record as the controller and the services would have; an order that takes None is not answered."""
    drill, incident, activation = make_id(next(ids)), make_id(next(ids)), make_id(next(ids))
    document = document_of(PLAN)
    await pool.execute(
        "INSERT INTO drills (id, drill, version, document, status, seed, speed, clock_start, started_at, ended_at,"
        " ending, incident_ids) VALUES ($1, $2, 1, $3, 'Exercise', $4, 60, $5, $5, $6, 'finished', $7)",
        drill,
        document.id,
        document.model_dump_json(),
        seed,
        at,
        at + timedelta(hours=1),
        [incident],
    )
    await pool.execute(
        "INSERT INTO activations (id, incident_id, status, plan, version, digest, state, matched_at, overridden,"
        " unfilled) VALUES ($1, $2, 'Exercise', $3, 1, $4, 'activated', $5, false, '{}')",
        activation,
        incident,
        PLAN,
        digest(plan()),
        at,
    )
    orders = [(department, seconds) for department, spans in turnouts.items() for seconds in spans]
    await pool.executemany(
        "INSERT INTO assignments (id, activation_id, incident_id, status, task, role, department, issued_at, state,"
        " revision, silent, acknowledge_by, missed, rung, delivered_at, committed_at)"
        " VALUES ($1, $2, $3, 'Exercise', 'close-road', 'cordon', $4, $5, 'issued', 1, false, $6, '{}', 0, $5, $7)",
        [
            (
                make_id(next(ids)),
                activation,
                incident,
                department,
                at,
                at + timedelta(minutes=5),
                None if seconds is None else at + seconds * SECOND,
            )
            for department, seconds in orders
        ],
    )
    return drill


def drawn(seed: int, police: float = 40.0, orders: int = ORDERS) -> dict[str, list[float | None]]:
    """Turnouts of three departments; one order in ten of the fire brigade's is never answered."""
    draw = random.Random(seed)
    medians = {"fire": 40.0, "police": police, "traffic": 40.0}
    turnouts: dict[str, list[float | None]] = {
        name: [median * draw.lognormvariate(0, 0.5) for _ in range(orders)] for name, median in medians.items()
    }
    turnouts["fire"][: orders // 10] = [None] * (orders // 10)
    return turnouts


@pytest.fixture
async def recorded(pool: Pool, database: str) -> Recorded:
    await publish(
        pool,
        [(digest(plan()), PLAN, 1, canonical(plan()))],
        (digest(directory()), canonical(directory())),
    )
    day = timedelta(days=1)
    before = await record(pool, drawn(1), seed=1, at=START)
    again = await record(pool, drawn(2), seed=2, at=START + day)
    slow = await record(pool, drawn(3, police=90.0), seed=3, at=START + 2 * day)
    small = await record(pool, drawn(4, police=200.0, orders=1), seed=4, at=START + 3 * day)
    return Recorded(database, before, again, slow, small)


def muster(recorded: Recorded, command: str, *arguments: object) -> Result:
    words = [str(each) for each in arguments]
    return CliRunner().invoke(app, [command, *words, "--database", recorded.database], env={"MUSTER_KAFKA": "-"})


def figures(result: Result) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def rows(result: Result) -> dict[str, dict[str, Any]]:
    return {row["department"] or row["segment"]: row for row in figures(result)["rows"]}


def test_a_slower_police_fails_the_gate(recorded: Recorded) -> None:
    result = muster(recorded, "compare", recorded.before, recorded.slow, "--by", "department", "--gate", "--json")
    assert result.exit_code == 1, result.stderr
    assert (figures(result)["outcome"], figures(result)["gate"]) == ("worse", "failed")
    police = rows(result)["police"]
    assert (police["outcome"], police["base"]["n"], police["candidate"]["n"]) == ("worse", ORDERS, ORDERS)
    assert police["p_worse"] < 0.05
    assert police["difference"]["p50"]["interval"][0] > 0
    assert {rows(result)[name]["outcome"] for name in ("fire", "traffic")} == {"cant_tell"}
    assert "Gate: worse: " in result.stderr
    assert "police" in result.stderr


def test_without_the_gate_a_finding_is_only_told(recorded: Recorded) -> None:
    result = muster(recorded, "compare", recorded.before, recorded.slow, "--by", "department")
    assert result.exit_code == 0, result.stderr
    assert "worse" in result.stdout
    assert "Turnout · " not in result.stdout, "languages stand one below the other"
    assert "出动准备" in result.stdout
    assert "insufficient data" not in result.stdout


def test_a_drill_beside_itself_or_its_like_passes(recorded: Recorded) -> None:
    for other in (recorded.before, recorded.again):
        result = muster(recorded, "compare", recorded.before, other, "--by", "department", "--gate", "--json")
        assert result.exit_code == 0, result.stderr
        assert (figures(result)["outcome"], figures(result)["gate"]) == ("cant_tell", "passed")


def test_insufficient_data_passes_the_gate_aloud_and_fails_a_strict_one(recorded: Recorded) -> None:
    asked = ("compare", recorded.before, recorded.small, "--by", "department", "--gate")
    result = muster(recorded, *asked, "--json")
    assert result.exit_code == 0
    assert {rows(result)[name]["outcome"] for name in ("fire", "police", "traffic")} == {"insufficient_data"}
    assert rows(result)["police"]["p_worse"] is None
    assert "Gate: insufficient data: " in result.stderr
    assert "was not judged" in result.stderr
    strict = muster(recorded, *asked, "--strict")
    assert strict.exit_code == 1
    assert "insufficient data" in strict.stdout
    assert "passed" not in strict.stderr


def test_drills_are_pooled_on_either_side(recorded: Recorded) -> None:
    sides = ("--base", f"{recorded.before},{recorded.again}", "--candidate", recorded.slow)
    result = muster(recorded, "compare", *sides, "--segment", "turnout", "--json")
    assert result.exit_code == 0, result.stderr
    turnout = rows(result)["turnout"]
    assert (turnout["base"]["n"], turnout["base"]["never"], turnout["candidate"]["n"]) == (180, 6, 90)
    repeated = muster(
        recorded, "compare", "--base", recorded.before, "--base", recorded.again, *sides[2:], "--segment", "turnout",
        "--json",
    )  # fmt: skip
    assert repeated.stdout == result.stdout


def test_the_same_seed_prints_the_same_bytes(recorded: Recorded) -> None:
    asked = ("compare", recorded.before, recorded.slow, "--by", "department", "--json")
    assert muster(recorded, *asked).stdout == muster(recorded, *asked).stdout
    assert muster(recorded, *asked).stdout != muster(recorded, *asked, "--seed", "8").stdout


def test_numbers_are_those_of_the_record(recorded: Recorded) -> None:
    result = muster(recorded, "compare", recorded.before, recorded.again, "--by", "department", "--json")
    spans = sorted(each for each in drawn(1)["fire"] if each is not None)
    fire = rows(result)["fire"]["base"]
    assert (fire["n"], fire["never"]) == (ORDERS, 3)
    assert fire["p50"] == pytest.approx(spans[14], abs=0.001)
    assert fire["p90"] == pytest.approx(spans[26], abs=0.001)


def test_a_trend_lists_the_drills_of_a_plan_and_judges_the_last(recorded: Recorded) -> None:
    result = muster(recorded, "trend", PLAN, "--segment", "turnout", "--json")
    assert result.exit_code == 0, result.stderr
    found = figures(result)
    assert [UUID(drill["id"]) for drill in found["drills"]] == [
        recorded.before, recorded.again, recorded.slow, recorded.small,
    ]  # fmt: skip
    assert [each["n"] for each in found["segments"]["turnout"]] == [90, 90, 90, 3]
    assert len(found["last"]["base"]) == 3
    printed = muster(recorded, "trend", PLAN, "--segment", "turnout", "--last", "3")
    assert printed.exit_code == 0
    assert "▁" in printed.stdout
    assert "█" in printed.stdout
    assert "against the 2 before it" in printed.stdout
    alone = muster(recorded, "trend", PLAN, "--last", "1")
    assert "there is none before it" in alone.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "which drills?"),
        (("not-an-id", "neither"), "is not a drill's id"),
        (("{before}", "{slow}", "--base", "{again}"), "give BASE CANDIDATE, or --base"),
        (("{before}", "{slow}", "--strict"), "belongs to --gate"),
        (("{before}", "{slow}", "--by", "department", "--segment", "travel"), "compares turnout"),
    ],
)
def test_misuse_ends_with_one_line_and_two(recorded: Recorded, arguments: tuple[str, ...], said: str) -> None:
    words = [word.format(before=recorded.before, slow=recorded.slow, again=recorded.again) for word in arguments]
    result = muster(recorded, "compare", *words)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert said in result.stderr


async def test_a_drill_under_way_is_not_compared(recorded: Recorded, pool: Pool) -> None:
    await pool.execute("UPDATE drills SET ended_at = NULL, ending = NULL WHERE id = $1", recorded.slow)
    with pytest.raises(DrillError, match="has not ended"):
        await read_side(pool, [recorded.slow])


def test_what_is_not_on_record_ends_with_one_line(recorded: Recorded) -> None:
    for arguments, said in (
        (("compare", recorded.before, make_id(1)), "there is none on record"),
        (("compare", "--base", f"{recorded.before},{recorded.before}", "--candidate", recorded.slow), "named twice"),
        (("trend", "no-such-plan"), "no drill of it"),
    ):
        result = muster(recorded, *arguments)
        assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
        assert said in result.stderr
