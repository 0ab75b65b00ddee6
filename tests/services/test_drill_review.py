"""The review of a drill: what proves a finding, what stays open, what is corrected, and what must be better."""

import io
import json
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from pydantic_core import to_json
from rich.console import Console

from schemas.base import Text
from schemas.drill import Segment
from schemas.timeline import Entry
from services.drills import improvements as items
from services.drills.corrections import correct
from services.drills.evaluation import Evaluation
from services.drills.html import render
from services.drills.improvements import Action
from services.drills.measured import Item
from services.drills.reading import read_report
from services.drills.record import DrillError
from services.drills.report import Report, Verdict
from services.drills.table import as_json, print_report
from services.platform.postgres import Pool
from tests.domain.builders import START, make_id
from tests.services.drill_history import DRILL, MINUTE, SECOND, History, at, document, write_drill

DUE = date(2026, 7, 1)


@pytest.fixture
async def report(pool: Pool) -> Report:
    await write_drill(pool)
    return await read_report(pool, DRILL)


async def item_of(pool: Pool, id_: str) -> Item:
    return next(item for item in (await read_report(pool, DRILL)).evaluation.items if item.id == id_)


def turnout(report: Report) -> dict[str, Any]:
    found: dict[str, Any] = as_json(report)["segments"]["turnout"]
    return found


# Evidence


async def test_every_piece_of_evidence_is_an_entry_of_the_timeline(report: Report) -> None:
    told = as_json(report)
    known = {entry["id"] for entry in told["timeline"]}
    named = {check["entry"] for checks in told["evidence"].values() for check in checks}
    named |= {check["entry"] for item in told["aqt_9009"] for check in item["evidence"]}
    named |= {entry for finding in (*told["strengths"], *told["gaps"]) for entry in finding["evidence"]}
    assert len(named) >= 8
    assert named <= known


async def test_every_evidence_link_of_the_page_leads_to_its_entry(report: Report) -> None:
    page = render(report)
    targets = re.findall(r'<tr id="(e-[0-9a-f-]{36})"', page)
    links = re.findall(r'href="#([^"]+)"', page)
    assert len(targets) == len(set(targets)) == len(report.timeline)
    assert len(links) > 10
    assert set(links) <= set(targets)


async def test_an_objective_shows_the_entry_behind_each_observation(report: Report) -> None:
    (sheet,) = report.evaluation.sheets
    shown = [(check.ok, check.moment.entry, check.moment.department) for check in sheet.evidence.shown]
    assert shown == [
        (False, Entry.STARTED, "fire"),
        (False, Entry.OVERDUE, "water"),
        (True, Entry.COMMITTED, "traffic"),
    ]


@pytest.mark.parametrize(
    ("within", "at_least", "verdict"),
    [("30s", 100, Verdict.MET), ("4m", 90, Verdict.PARTLY_MET), ("1m", 90, Verdict.NOT_MET)],
)
async def test_an_objective_is_partly_met_from_half_on(
    pool: Pool, within: str, at_least: int, verdict: Verdict
) -> None:
    criterion = {"segment": "turnout", "measure": "share", "within": within, "at_least": at_least}
    if verdict is Verdict.MET:
        criterion |= {"within": "4m", "at_least": 60}
    objective = {"id": "soon", "title": {"en": "Soon", "zh": "尽快"}, "criterion": criterion}
    await write_drill(pool, drill=document(objectives=[objective]))
    assert [row.verdict for row in (await read_report(pool, DRILL)).objectives] == [verdict]


async def test_an_objective_nothing_speaks_of_is_not_observed(pool: Pool) -> None:
    criterion = {"segment": "travel", "measure": "p50", "within": "1m"}
    objective = {"id": "soon", "title": {"en": "Soon", "zh": "尽快"}, "criterion": criterion}
    await write_drill(pool, drill=document(objectives=[objective]))
    assert [row.verdict for row in (await read_report(pool, DRILL)).objectives] == [Verdict.NOT_OBSERVED]


# What only an evaluator may fill in


async def test_judgements_are_left_empty_everywhere(report: Report) -> None:
    told = as_json(report)
    assert told["evaluation_guide"] == [
        {
            "objective": "soon",
            "tasks": ("close-road",),
            "rating": None,
            "notes": None,
            "evaluator": None,
            "signed_on": None,
        }
    ]
    page = render(report)
    sheets = page[page.index('<div class="sheet"') :]
    fields = re.findall(r"<input[^>]*>|<textarea[^>]*>[^<]*</textarea>", sheets)
    assert len(fields) == 5 + 4
    assert not [field for field in fields if "checked" in field or re.search(r">[^<]+<", field)]
    assert [field for field in fields if 'value="' in field and 'type="radio"' not in field] == []


# Measurable items of AQ/T 9009


async def begun(pool: Pool, **changes: Any) -> History:
    history = History(pool)
    await history.begin(document(**changes))
    await history.tell(Entry.REPORTED, START, recorded_at=START + SECOND)
    return history


@pytest.mark.parametrize(
    ("delivered", "verdict"),
    [
        ((1, 2), Verdict.MET),
        ((1, 7), Verdict.PARTLY_MET),
        ((7, None), Verdict.NOT_MET),
        ((), Verdict.NOT_OBSERVED),
    ],
)
async def test_internal_notice_is_judged_by_receipts_before_the_time_to_answer_is_over(
    pool: Pool, delivered: tuple[float | None, ...], verdict: Verdict
) -> None:
    history = await begun(pool)
    for number, minutes in enumerate(delivered, 20):
        await history.order(number, "police", 0, delivered_at=None if minutes is None else at(minutes))
    await history.end()
    assert (await item_of(pool, "internal-notice")).verdict is verdict


@pytest.mark.parametrize(
    ("minutes", "verdict"),
    [
        (9, Verdict.MET),
        (90, Verdict.NOT_MET),
        (None, Verdict.NOT_MET),
    ],
)
async def test_a_report_to_superiors_counts_when_it_is_done_within_its_legal_time(
    pool: Pool, minutes: float | None, verdict: Verdict
) -> None:
    history = await begun(pool)
    more: dict[str, Any] = {} if minutes is None else {"completed_at": at(minutes)}
    await history.order(20, "police", 0, task="county-report", complete_by=at(60), **more)
    await history.end(100)
    found = await item_of(pool, "report-to-superiors")
    assert found.verdict is verdict
    assert found.checks.shown[0].moment.entry is (Entry.COMPLETED if minutes else Entry.ISSUED)


async def test_a_report_whose_time_is_not_over_at_endex_was_not_observed(pool: Pool) -> None:
    history = await begun(pool)
    await history.order(20, "police", 0, task="county-report", complete_by=at(60))
    await history.end(30)
    assert (await item_of(pool, "report-to-superiors")).verdict is Verdict.NOT_OBSERVED


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        ([(Entry.ACTIVATED, 0.5, "II"), (Entry.LEVEL_CHANGED, 3, "I")], Verdict.MET),
        ([(Entry.ACTIVATED, 0.5, "II"), (Entry.LEVEL_SUGGESTED, 3, "I")], Verdict.PARTLY_MET),
        ([(Entry.ACTIVATED, 0.5, "II"), (Entry.LEVEL_SUGGESTED, 2, "I"), (Entry.LEVEL_CHANGED, 3, "I")], Verdict.MET),
        ([(Entry.ACTIVATED, 4, "II")], Verdict.NOT_MET),
        ([(Entry.NO_PLAN, 0.5, None)], Verdict.NOT_MET),
        ([], Verdict.NOT_OBSERVED),
    ],
)
async def test_the_level_is_judged_by_when_it_came_and_whether_suggestions_were_followed(
    pool: Pool, told: list[tuple[Entry, float, str | None]], verdict: Verdict
) -> None:
    history = await begun(pool)
    for entry, minutes, level in told:
        await history.tell(entry, at(minutes), level=level)
    await history.end()
    assert (await item_of(pool, "level")).verdict is verdict


@pytest.mark.parametrize(
    ("tasks", "unfilled", "verdict"),
    [
        (("watch", "county-report"), False, Verdict.MET),
        (("watch",), False, Verdict.PARTLY_MET),
        (("watch", "county-report"), True, Verdict.PARTLY_MET),
        ((), False, Verdict.NOT_MET),
    ],
)
async def test_the_range_is_every_task_and_report_the_plan_asks_for_at_the_level(
    pool: Pool, tasks: tuple[str, ...], unfilled: bool, verdict: Verdict
) -> None:
    history = await begun(pool)
    await history.tell(Entry.ACTIVATED, at(0.5), level="II")
    for number, task in enumerate(tasks, 20):
        await history.order(number, "police", 1, task=task)
    if unfilled:
        await history.tell(Entry.UNFILLED, at(2), task="watch")
    await history.end()
    assert (await item_of(pool, "range")).verdict is verdict


async def test_the_range_was_not_observed_when_nothing_was_activated(pool: Pool) -> None:
    history = await begun(pool)
    await history.end()
    assert (await item_of(pool, "range")).verdict is Verdict.NOT_OBSERVED


@pytest.mark.parametrize(
    ("by", "overdue", "verdict"),
    [
        ("Duty officer", False, Verdict.MET),
        ("Duty officer", True, Verdict.PARTLY_MET),
        (None, True, Verdict.NOT_MET),
        (None, False, Verdict.NOT_OBSERVED),
    ],
)
async def test_only_a_named_person_counts_as_the_one_who_started_it(
    pool: Pool, by: str | None, overdue: bool, verdict: Verdict
) -> None:
    history = await begun(pool)
    await history.tell(Entry.ACTIVATED, at(0.5), by=by, level="II")
    if overdue:
        await history.tell(Entry.CONFIRMATION_OVERDUE, at(0.4))
    await history.end()
    found = await item_of(pool, "started-by-commander")
    assert found.verdict is verdict
    assert (found.remark is not None) == (by is None)


@pytest.mark.parametrize(
    ("announced", "answers", "verdict"),
    [
        (False, (2.0, 3.0), Verdict.MET),
        (False, (2.0, None), Verdict.PARTLY_MET),
        (False, (None,), Verdict.NOT_MET),
        (True, (2.0,), Verdict.NOT_OBSERVED),
    ],
)
async def test_an_unannounced_drill_is_coped_with_when_departments_answer_their_first_order_in_time(
    pool: Pool, announced: bool, answers: tuple[float | None, ...], verdict: Verdict
) -> None:
    history = await begun(pool, announced=announced)
    for number, minutes in enumerate(answers):
        more: dict[str, Any] = {"missed": ["acknowledge"]} if minutes is None else {"committed_at": at(minutes)}
        await history.order(20 + number, ("police", "fire")[number], 0, **more)
    await history.end()
    assert (await item_of(pool, "unannounced")).verdict is verdict


@pytest.mark.parametrize(
    ("taken", "lost", "verdict"),
    [(1, 0, Verdict.MET), (1, 1, Verdict.PARTLY_MET), (0, 1, Verdict.NOT_MET), (0, 0, Verdict.NOT_OBSERVED)],
)
async def test_a_deputy_stands_in_where_somebody_dropped_out(
    pool: Pool, taken: int, lost: int, verdict: Verdict
) -> None:
    history = await begun(pool)
    for number in range(taken):
        await history.order(20 + number, "police", 0, task=f"taken-{number}", declined_at=at(1))
        await history.order(30 + number, "traffic", 1, task=f"taken-{number}", committed_at=at(2))
    for number in range(lost):
        await history.order(40 + number, "fire", 0, task=f"lost-{number}", declined_at=at(1))
    await history.order(50, "water", 0, task="untouched", committed_at=at(1))
    await history.end()
    assert (await item_of(pool, "deputies")).verdict is verdict


# Corrections


async def test_a_correction_is_reckoned_with_and_the_recorded_time_stays_beside_it(pool: Pool, report: Report) -> None:
    committed = next(each for each in report.timeline if each.entry is Entry.COMMITTED)
    before = await pool.fetch("SELECT * FROM timeline ORDER BY entry_id")
    await correct(pool, DRILL, committed.id, occurred_at=at(2.9), reason="The operator logged it early", by="Wang Li")
    after = await read_report(pool, DRILL)
    assert turnout(report)["within_target"] == pytest.approx(1 / 3)
    assert turnout(after)["p50"] == 240.0
    (traffic,) = [row for row in after.departments if row.id == "traffic"]
    assert traffic.turnout.p50 == 1.4 * MINUTE
    assert [row.verdict for row in after.objectives] == [Verdict.NOT_MET]
    moment = next(each for each in after.timeline if each.id == committed.id)
    assert (moment.at, moment.recorded_as) == (at(2.9), at(2))
    page, out = render(after), io.StringIO()
    print_report(after, Console(file=out, width=150, highlight=False))
    for told in (page, out.getvalue()):
        assert "T+0:02:54" in told
        assert "T+0:02:00" in told
        assert "Wang Li" in told
    assert await pool.fetch("SELECT * FROM timeline ORDER BY entry_id") == before


async def test_the_last_time_said_counts_and_a_note_changes_no_time(pool: Pool, report: Report) -> None:
    started = next(each for each in report.timeline if each.entry is Entry.STARTED and each.department == "fire")
    await correct(pool, DRILL, started.id, occurred_at=at(4), reason="Wrong clock", by="A")
    await correct(pool, DRILL, started.id, occurred_at=at(1.5), reason="Heard on the radio", by="B")
    await correct(pool, DRILL, started.id, note="Two crews", reason="Asked afterwards", by="C")
    after = await read_report(pool, DRILL)
    moment = next(each for each in after.timeline if each.id == started.id)
    assert moment.at == at(1.5)
    assert [each.by for each in moment.corrections] == ["A", "B", "C"]
    assert turnout(after)["within_target"] == pytest.approx(2 / 3)
    assert turnout(after)["p50"] == 30.0


async def test_a_corrected_answer_takes_a_missed_deadline_back_or_brings_it(pool: Pool) -> None:
    history = await begun(pool)
    late: dict[str, Any] = {"committed_at": at(7), "missed": ["acknowledge"]}
    await history.order(20, "police", 0, delivered_at=at(1), **late)
    await history.order(21, "fire", 0, delivered_at=at(1), committed_at=at(2))
    await history.end()
    timeline = (await read_report(pool, DRILL)).timeline
    told = {each.department: each.id for each in timeline if each.entry is Entry.COMMITTED}
    await correct(pool, DRILL, told["police"], occurred_at=at(4), reason="Clock was fast", by="A")
    await correct(pool, DRILL, told["fire"], occurred_at=at(6), reason="Clock was slow", by="A")
    missed = {bar.department: bar.missed for bar in (await read_report(pool, DRILL)).bars}
    assert missed["police"] == ()
    assert [deadline.value for deadline in missed["fire"]] == ["acknowledge"]


async def test_a_corrected_report_moves_the_alarm(pool: Pool, report: Report) -> None:
    reported = next(each for each in report.timeline if each.entry is Entry.REPORTED)
    await correct(pool, DRILL, reported.id, occurred_at=at(0.05), reason="The call log says so", by="A")
    summaries = {row.segment: row.summary for row in (await read_report(pool, DRILL)).segments}
    assert summaries[Segment.ALARM_TRANSFER].p50 == 3 * SECOND


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"entry_id": make_id(999), "note": "x"}, "its timeline has no entry"),
        ({"occurred_at": at(11)}, "is not between STARTEX"),
        ({"occurred_at": at(-1)}, "is not between STARTEX"),
        ({}, "says when it happened, or adds a note"),
        ({"note": "  "}, "says when it happened, or adds a note"),
        ({"note": "x", "reason": " "}, "needs its reason"),
        ({"note": "x", "by": ""}, "needs its reason and who makes it"),
    ],
)
async def test_a_correction_that_says_nothing_or_of_nothing_is_refused(
    pool: Pool, report: Report, given: dict[str, Any], said: str
) -> None:
    given = {"entry_id": report.timeline[0].id, "reason": "r", "by": "b", **given}
    with pytest.raises(DrillError, match=said):
        await correct(pool, DRILL, given.pop("entry_id"), **given)
    assert await pool.fetchval("SELECT count(*) FROM corrections") == 0


@pytest.mark.parametrize("table", ["timeline", "corrections", "improvements", "improvement_history"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET status = 'Exercise'", "DELETE FROM {}"])
async def test_the_database_refuses_to_edit_what_is_on_record(
    pool: Pool, report: Report, table: str, statement: str
) -> None:
    await correct(pool, DRILL, report.timeline[0].id, note="n", reason="r", by="b")
    await items.add(pool, DRILL, Text(en="Better", zh="改进"), owner="fire", due=DUE, by="b")
    before = await pool.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608 - this module's own words
    with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
        await pool.execute(statement.format(table))
    assert await pool.fetchval(f"SELECT count(*) FROM {table}") == before > 0  # noqa: S608


async def test_no_partition_is_a_way_round_that(pool: Pool) -> None:
    await write_drill(pool)
    (partition,) = {row[0] for row in await pool.fetch("SELECT tableoid::regclass::text FROM timeline")}
    assert partition != "timeline"
    with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
        await pool.execute(f"UPDATE {partition} SET reason = 'x'")  # noqa: S608
    with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
        await pool.execute("TRUNCATE timeline")
    await pool.execute("SELECT make_partitions(6)")
    year = datetime.now(UTC) + timedelta(days=120)
    partitions = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'timeline'::regclass"
    names = [row[0] for row in await pool.fetch(partitions)]
    assert f"timeline_{year:%Y_%m}" in names
    guarded = await pool.fetch("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'timeline_append_only'")
    assert set(names) <= {row[0] for row in guarded}


# Improvement items


async def test_a_reports_gaps_become_items_once(pool: Pool, report: Report) -> None:
    proposals = report.evaluation.proposals
    findings = {each.finding for each in proposals}
    assert {"objective:soon", "silent:water:close-road", "obstacle:traffic:close-road"} <= findings
    new = await items.propose(pool, DRILL, proposals, due=DUE, by="Planner")
    assert len(new) == len(proposals) == len(findings)
    await items.close(pool, new[0], by="Planner", reason="Done")
    again = (await read_report(pool, DRILL)).evaluation.proposals
    assert await items.propose(pool, DRILL, again, due=DUE, by="Planner") == []
    silent = next(item for item in await items.read_improvements(pool, DRILL) if item.finding.startswith("silent"))
    assert (silent.owner, silent.due, silent.is_open) == ("water", DUE, True)


async def test_an_item_stays_on_record_with_its_whole_history(pool: Pool, report: Report) -> None:
    id_ = await items.add(pool, DRILL, Text(en="Second radio", zh="增配电台"), owner="fire", due=DUE, by="A")
    await items.assign(pool, id_, owner="police", due=None, by="B", reason="They have the budget")
    await items.close(pool, id_, by="C", reason="Bought")
    item = await items.reopen(pool, id_, by="D", reason="It was stolen", due=date(2026, 8, 1))
    assert [step.action for step in item.history] == [
        Action.ADDED,
        Action.ASSIGNED,
        Action.CLOSED,
        Action.REOPENED,
    ]
    assert (item.owner, item.due, item.is_open) == ("police", date(2026, 8, 1), True)
    assert item.is_overdue(date(2026, 8, 2))
    assert not item.is_overdue(date(2026, 8, 1))
    page = render(await read_report(pool, report.drill.id))
    assert "增配电台" in page
    assert "It was stolen" in page


async def test_what_an_item_can_not_become_is_refused(pool: Pool, report: Report) -> None:
    id_ = await items.add(pool, report.drill.id, Text(en="x", zh="x"), owner="fire", due=DUE, by="A")
    with pytest.raises(DrillError, match="on record already"):
        await items.add(pool, DRILL, Text(en="x", zh="x"), owner="fire", due=DUE, by="A")
    with pytest.raises(DrillError, match="it is open"):
        await items.reopen(pool, id_, by="A", reason="r")
    with pytest.raises(DrillError, match="reason is empty"):
        await items.close(pool, id_, by="A", reason=" ")
    await items.close(pool, id_, by="A", reason="r")
    with pytest.raises(DrillError, match=r"closed by A on .*; reopen it first"):
        await items.close(pool, id_, by="A", reason="r")
    with pytest.raises(DrillError, match="there is none on record"):
        await items.close(pool, make_id(77), by="A", reason="r")
    with pytest.raises(DrillError, match="there is none on record"):
        await items.add(pool, make_id(78), Text(en="x", zh="x"), owner="fire", due=DUE, by="A")


async def test_strengths_and_gaps_are_told_with_what_shows_them(report: Report) -> None:
    evaluation: Evaluation = report.evaluation
    assert {gap.key for gap in evaluation.gaps} >= {"objective:soon", "silent:water:close-road"}
    assert "item:level" in {strength.key for strength in evaluation.strengths}
    assert all(finding.evidence for finding in (*evaluation.gaps, *evaluation.strengths))


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_the_review_fits_into_eighty_columns_in_both_languages(report: Report, language: str) -> None:
    out = io.StringIO()
    print_report(report, Console(file=out, width=80, highlight=False), language)
    assert "…" not in out.getvalue()
    assert {"en": "Measurable items", "zh": "可测评项目"}[language] in out.getvalue()


async def test_the_json_is_one_document(report: Report) -> None:
    assert json.loads(to_json(as_json(report)))["aqt_9009"][0]["id"] == "internal-notice"


async def test_the_names_are_those_of_the_directory_at_the_time(pool: Pool) -> None:
    await write_drill(pool)
    await pool.execute(
        "INSERT INTO directories SELECT 'later', replace(document::text, 'Department of', 'Bureau of')::jsonb"
        " FROM directories"
    )
    await pool.execute("INSERT INTO publication (plans, directory) SELECT plans, 'later' FROM publication")
    titles = (await read_report(pool, DRILL)).titles
    assert titles.department("water").en == "Department of water"
