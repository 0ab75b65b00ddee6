"""A past incident played again goes as it went, and under another plan shows what that would have changed."""

import json
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from typer import Typer
from typer.testing import CliRunner

from schemas import command as order
from schemas.timeline import Entry
from schemas.vocabulary import Answer, AssignmentState, MessageType, Severity, Status
from services.cli.drill_replay import replay_command
from services.domain.decision import Outcome
from services.domain.plan import Plan
from services.drills.counterfactual import Differences, compare, under
from services.drills.record import DrillError
from services.drills.recorded import read_recorded
from services.drills.replay import NOT_GIVEN, NOT_KEPT, Replay, disagreements, replay
from services.platform.postgres import Pool
from services.platform.published import publish
from services.playbooks.plans import compile_plan, load_plan, parse_plan
from services.playbooks.stored import read_wordings
from tests.services.support import PLAYBOOKS, publish_shipped
from tests.services.test_asof import MINUTE, SECOND, Played, something

CHEMICAL = PLAYBOOKS / "plans" / "hazardous-chemical-release.yaml"
EXACT = timedelta(milliseconds=1)

app = Typer()
app.command(name="replay")(replay_command)
app.command(name="other")(lambda: None)


def reworded(*changes: tuple[str, str]) -> str:
    """The shipped chemical plan as its version 2, with other words in some places."""
    text = CHEMICAL.read_text(encoding="utf-8")
    for old, new in (("version: 1", "version: 2"), *changes):
        assert text.count(old) >= 1, old
        text = text.replace(old, new, 1)
    return text


def compiled(*changes: tuple[str, str]) -> Plan:
    document, source = parse_plan(reworded(*changes), "reworded.yaml")
    return compile_plan(document, source)


CORDON = (
    "zh: 警戒隔离}, department: police, deputies: [traffic-police]",
    "zh: 警戒隔离}, department: urban-management, deputies: [transport]",
)
PLUME_LATER = ("acknowledge: 2m, start: 3m, complete: 10m", "acknowledge: 5m, start: 6m, complete: 15m")
NO_DRAINS = ("  - id: block-drains", "  - id: survey-drains")
FORECAST_FIRST = (
    "    levels: [I, II, III]\n    done_when:\n      en: Order given for each",
    "    levels: [I, II, III]\n    after: [forecast-plume]\n    done_when:\n      en: Order given for each",
)


async def response(pool: Pool, status: Status = Status.ACTUAL) -> Played:
    """A chemical release: most answer at once, meteorology after four minutes, and drains are blocked in the end."""
    played = Played(pool, status)
    await played.begin()
    await played.wait(20 * SECOND)
    for assignment in (await played.state()).assignments.values():
        await played.answer(assignment, Answer.DELIVER)
        if assignment.task != "forecast-plume":
            await played.answer(assignment, Answer.COMMIT)
    await played.wait(4 * MINUTE)
    for assignment in list((await played.state()).assignments.values()):
        if assignment.state.is_open:
            await played.answer(assignment, Answer.START)
    await played.wait(4 * MINUTE)
    for assignment in list((await played.state()).assignments.values()):
        if assignment.state.is_open:
            await played.answer(assignment, Answer.COMPLETE)
    return played


async def replays(played: Played, plan: Plan) -> tuple[Replay, Replay, Differences]:
    recorded = await read_recorded(played.pool, played.id)
    after = replay(recorded.under(plan))
    before = replay(recorded, until=after.ended_at)
    assert under(recorded, plan) == compare(before, after)
    return before, after, compare(before, after)


@pytest.mark.parametrize("status", [Status.ACTUAL, Status.EXERCISE])
async def test_a_replay_goes_as_the_incident_went(pool: Pool, status: Status) -> None:
    """However it went, and whatever it was: the same orders, deadlines and ends, as an exercise with its own id."""
    await publish_shipped(pool)
    for seed in range(4):
        played, chance = Played(pool, status), random.Random(seed)
        await played.begin()
        for _ in range(50):
            await something(played, chance)
        recorded = await read_recorded(pool, played.id)
        again = replay(recorded)
        assert disagreements(recorded, again, EXACT) == [], seed
        assert again.incident.status is Status.EXERCISE
        assert again.incident.id != played.id
        assert {entry.status for entry in again.entries} == {Status.EXERCISE}
        told = [
            (entry.recorded_at.timestamp(), entry.entry, entry.department or "", entry.reason)
            for entry in again.entries
        ]
        rows = await pool.fetch(
            "SELECT recorded_at, entry, coalesce(department, ''), reason FROM timeline WHERE incident_id = $1",
            played.id,
        )
        assert sorted(told, key=str) == sorted(
            ((row[0].timestamp(), Entry(row[1]), row[2], row[3]) for row in rows), key=str
        )
        assert [each.outcome for each in again.played] == [each.outcome for each in recorded.inputs]


async def test_a_replay_touches_nothing_and_is_the_same_each_time(pool: Pool) -> None:
    await publish_shipped(pool)
    played = await response(pool)
    tables = ("incidents", "timeline", "outbox", "inbox", "assignments")
    before = [await pool.fetchval(f"SELECT count(*) FROM {table}") for table in tables]  # noqa: S608
    first = replay(await read_recorded(pool, played.id))
    second = replay(await read_recorded(pool, played.id))
    assert first == second
    after = [await pool.fetchval(f"SELECT count(*) FROM {table}") for table in tables]  # noqa: S608
    assert before == after


async def test_another_plan_changes_what_a_person_would_expect(pool: Pool) -> None:
    """A later deadline, another department, a task taken out and one put in: each is told as what it is."""
    await publish_shipped(pool)
    played = await response(pool)
    _, after, found = await replays(played, compiled(CORDON, PLUME_LATER, NO_DRAINS))
    assert [(b.version if b else None, a.version if a else None) for b, a in found.plans] == [(1, 2)]
    assert [(each.department, each.task) for each in found.gone] == [("urban-management", "block-drains")]
    # The deputies, as nobody answered what nobody was asked.
    assert [(each.department, each.task, each.silent) for each in found.added] == [
        ("urban-management", "survey-drains", ()),
        ("transport", "isolate", ("urban-management",)),
        ("water-resources", "survey-drains", ("urban-management",)),
    ]
    assert all(each.unheard for each in found.added)
    changed = {(each.before.department, each.after.department, each.after.task): each for each in found.changed}
    assert set(changed) == {
        ("police", "urban-management", "isolate"),
        ("meteorology", "meteorology", "forecast-plume"),
    }
    plume = changed[("meteorology", "meteorology", "forecast-plume")]
    assert plume.fields == ("acknowledge_by", "start_by", "complete_by")
    assert plume.before.acknowledge_by == 2 * MINUTE
    assert plume.after.acknowledge_by == 5 * MINUTE
    assert changed[("police", "urban-management", "isolate")].after.unheard
    gone = {(each.kind, each.step, each.department) for each in found.followed_gone}
    assert gone == {
        (Entry.OVERDUE, "acknowledge", "meteorology"),
        (Entry.OVERDUE, "start", "meteorology"),
        (Entry.REMINDED, None, "meteorology"),
        (Entry.OVERDUE, "start", "police"),
        (Entry.REMINDED, None, "police"),
        (Entry.ESCALATED, "deputy", "police"),
    }
    assert all(each.unheard for each in found.followed_added)
    assert found.followed_moved == ()
    lost = {(each.about.department, each.about.task, each.reason) for each in found.not_applicable if each.about}
    assert lost == {("police", "isolate", NOT_GIVEN), ("urban-management", "block-drains", NOT_GIVEN)}
    assert len(found.not_applicable) == 8  # received, committed, started and completed, of each
    assert len(after.played) == await pool.fetchval("SELECT count(*) FROM inbox")


async def test_what_is_said_about_an_order_keeps_its_distance_to_it(pool: Pool) -> None:
    """A department that is called later answers as much later, and nothing of what it said is lost."""
    await publish_shipped(pool)
    played = await response(pool)
    before, after, found = await replays(played, compiled(FORECAST_FIRST))
    moved = {each.after.task: each for each in found.changed}
    assert set(moved) >= {"decide-protective-action"}
    decision = moved["decide-protective-action"]
    shift = decision.after.issued - decision.before.issued
    assert shift > 8 * MINUTE
    key = next(key for key in before.orders if key.task == "decide-protective-action")
    then, now = before.orders[key], after.orders[key]
    assert then.committed_at is not None
    assert now.committed_at is not None
    assert now.committed_at - now.issued_at == then.committed_at - then.issued_at
    assert now.state is AssignmentState.COMPLETED
    assert not found.not_applicable


async def test_the_same_plan_changes_nothing_and_one_that_takes_no_part_neither(pool: Pool) -> None:
    await publish_shipped(pool)
    played = await response(pool)
    assert not (await replays(played, load_plan(CHEMICAL)))[2]
    assert not (await replays(played, load_plan(PLAYBOOKS / "plans" / "earthquake.yaml")))[2]


async def test_a_plan_that_would_not_have_answered_takes_its_orders_with_it(pool: Pool) -> None:
    """Without a matching plan every order is gone, and everything that was said is listed as not applicable."""
    await publish_shipped(pool)
    played = await response(pool)
    said = await pool.fetchval("SELECT count(*) FROM inbox WHERE type = 'muster.acknowledgement'")
    before, after, found = await replays(played, compiled(("severity: Minor, urgency", "severity: Extreme, urgency")))
    assert len(found.gone) == len(before.orders)
    assert after.orders == {}
    assert len(found.not_applicable) == said
    assert [(b.plan if b else None, a) for b, a in found.plans] == [("hazardous-chemical-release", None)]


async def test_what_an_officer_decided_is_played_too(pool: Pool) -> None:
    """Orders handed over, obstacles, levels: each finds its counterpart, and a level the plan lacks is turned down."""
    await publish_shipped(pool)
    played = Played(pool)
    await played.begin()
    drains = await played.of_task("block-drains", "urban-management")
    await played.answer(drains, Answer.BLOCK)
    (obstacle,) = (await played.state()).obstacles.values()
    await played.command(order.TakeObstacle, obstacle_id=obstacle.id)
    await played.command(order.Reassign, assignment_id=drains.id, department="water-resources")
    await played.answer(await played.of_task("block-drains", "water-resources"), Answer.COMMIT)
    await played.command(order.AddTask, departments=("second-hospital",), title="Feed them", done_when="All have eaten")
    await played.answer(await played.of_task("added-1", "second-hospital"), Answer.COMMIT)
    await played.command(order.ChangeLevel, level="IV")
    await played.say(MessageType.UPDATE, severity=Severity.EXTREME, parameters={"deaths": 12.0})
    level_iv = ("  - id: IV\n    title: {en: Level IV, zh: 四级响应}", "  - id: V\n    title: {en: Level V, zh: 五级}")
    levels = ("levels: [III, IV]", "levels: [III, V]")
    _, after, found = await replays(played, compiled(level_iv, levels))
    assert [each.reason for each in found.turned_down] == [
        "hazardous-chemical-release has no level 'IV', only I, II, III, V"
    ]
    assert [each.owner for each in after.incident.obstacles.values()] == ["Li Wei, duty officer"]
    given = {(key.department, key.task): given for key, given in after.orders.items()}
    assert given[("water-resources", "block-drains")].state is AssignmentState.COMMITTED
    assert given[("second-hospital", "added-1")].state is AssignmentState.COMMITTED
    assert not found.not_applicable


async def test_an_incident_that_joined_another_joins_it_again(pool: Pool) -> None:
    await publish_shipped(pool)
    first = Played(pool)
    await first.begin()
    second = Played(pool, areas=first.first.areas)
    second.clock.time = first.clock.time + SECOND
    await second.begin()
    again = replay(await read_recorded(pool, second.id))
    assert again.orders == {}
    assert again.incident.joined_to == first.id
    assert [each.outcome for each in again.played] == [Outcome.JOINED]


async def test_a_replay_goes_by_the_plans_of_its_time(pool: Pool) -> None:
    """A wording that was published since changes nothing about the past."""
    await publish_shipped(pool)
    played = await response(pool)
    wordings = read_wordings(PLAYBOOKS)
    document, _ = parse_plan(reworded(NO_DRAINS), "reworded.yaml")
    newer = (compiled(NO_DRAINS).digest, document.id, 2, document.model_dump_json())
    await publish(pool, [newer, *(each for each in wordings.plans if each[1] != document.id)], wordings.directory)
    recorded = await read_recorded(pool, played.id)
    assert disagreements(recorded, replay(recorded), EXACT) == []


async def test_what_was_not_kept_is_said_and_without_a_report_there_is_no_replay(pool: Pool) -> None:
    await publish_shipped(pool)
    played = await response(pool)
    await pool.execute("UPDATE inbox SET input = NULL WHERE type = 'muster.acknowledgement'")
    again = replay(await read_recorded(pool, played.id))
    lost = [each for each in again.played if each.reason == NOT_KEPT]
    assert len(lost) == await pool.fetchval("SELECT count(*) FROM inbox WHERE input IS NULL")
    await pool.execute("UPDATE inbox SET input = NULL")
    with pytest.raises(DrillError, match="not on record"):
        replay(await read_recorded(pool, played.id))
    with pytest.raises(DrillError, match="none on record"):
        await read_recorded(pool, UUID(int=0))


async def invoke(*arguments: str) -> Any:
    """Run the command in a thread of its own, as it brings its own event loop."""
    import asyncio

    return await asyncio.to_thread(CliRunner().invoke, app, ["replay", *arguments])


async def test_the_command_prints_the_differences_for_a_person_and_as_json(
    pool: Pool, database: str, tmp_path: Path
) -> None:
    await publish_shipped(pool)
    played = await response(pool)
    file = tmp_path / "chemical-2.yaml"
    file.write_text(reworded(CORDON, PLUME_LATER, NO_DRAINS), encoding="utf-8")
    plain = await invoke(str(played.id), "--database", database)
    assert plain.exit_code == 0, plain.output
    assert "It goes as it went" in plain.stdout
    told = await invoke(str(played.id), "--plan", str(file), "--database", database)
    assert told.exit_code == 0, told.output
    for words in (
        "Under hazardous-chemical-release version 2",
        "police -> urban-management",
        "T+0:02:00 -> T+0:05:00",
        "Not applicable",
        "only as no answer is on record",
    ):
        assert words in told.stdout, told.stdout
    found = json.loads((await invoke(str(played.id), "--plan", str(file), "--database", database, "--json")).stdout)
    assert found["differs"] is True
    assert found["status"] == "Exercise"
    assert found["unlike_the_record"] == []
    assert len(found["differences"]["not_applicable"]) == 8
    (gone,) = found["differences"]["gone"]
    assert (gone["department"], gone["task"], gone["acknowledge_by"]) == ("urban-management", "block-drains", 180)
    assert datetime.fromisoformat(found["differences"]["not_applicable"][0]["decided_at"]).tzinfo is not None


async def test_the_command_refuses_what_it_can_not_read(pool: Pool, database: str, tmp_path: Path) -> None:
    await publish_shipped(pool)
    played = await response(pool)
    file = tmp_path / "broken.yaml"
    file.write_text(reworded(("mode: automatic", "mode: sometimes")), encoding="utf-8")
    broken = await invoke(str(played.id), "--plan", str(file), "--database", database)
    assert broken.exit_code == 1
    assert "broken.yaml" in broken.stderr
    unknown = await invoke(str(UUID(int=7)), "--database", database)
    assert unknown.exit_code == 1
    assert "there is none on record" in unknown.stderr
