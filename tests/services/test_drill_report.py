"""A drill's report is reckoned from the rows in Postgres, and reads the same in both languages, safely."""

import io
import json
import re
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import pytest
from rich.console import Console

from schemas.base import Text
from schemas.drill import Segment
from services.domain.segments import NEVER
from services.drills import gantt
from services.drills.html import render
from services.drills.record import DrillError, DrillRow, Ending, begin, end, list_drills, note_inject, read_drill
from services.drills.report import Report, Verdict, read_report
from services.drills.table import as_json, print_report
from services.drills.words import share, span
from services.platform.published import publish
from services.playbooks.plans import canonical, digest
from tests.domain.builders import START, make_id
from tests.playbooks.sample import directory, plan
from tests.services.test_drill_scenario import parse

Pool = asyncpg.Pool
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOSTILE = '<script>alert(1)</script> & "quoted"'
DRILL, INCIDENT, ACTIVATION = make_id(1), make_id(2), make_id(3)


def at(minutes: float) -> datetime:
    return START + minutes * MINUTE


async def write_drill(pool: "Pool[asyncpg.Record]", *, title: str = "Flood") -> None:
    """Put a drill on record as the controller and the services would have: six orders of one task."""
    document = parse().document.model_copy(update={"title": Text(en=title, zh="洪水")})
    row = DrillRow(DRILL, document, 7, 60.0, START, START)
    await publish(
        pool,
        [(digest(plan()), plan().id, 1, canonical(plan()))],
        (digest(directory()), canonical(directory())),
    )
    await begin(pool, row)
    await note_inject(pool, DRILL, "water-rises", make_id(10), INCIDENT, START)
    await pool.execute(
        "INSERT INTO activations"
        " (id, incident_id, status, plan, version, digest, state, matched_at, overridden, unfilled)"
        " VALUES ($1, $2, 'Exercise', 'river-flood', 1, $3, 'activated', $4, false, '{}')",
        ACTIVATION,
        INCIDENT,
        digest(plan()),
        START,
    )
    await pool.execute(
        "INSERT INTO timeline"
        " (entry_id, incident_id, status, entry, attention, detail, occurred_at, broker_at, recorded_at)"
        " VALUES ($1, $2, 'Exercise', 'incident_reported', false, $3, $4, $5, $6)",
        make_id(11),
        INCIDENT,
        json.dumps({"headline": HOSTILE}),
        START,
        START + 0.1 * SECOND,  # the broker's wall clock: six seconds of the scenario
        at(0.2),
    )
    await pool.execute(
        "INSERT INTO outbox (event_id, incident_id, status, namespace, topic, type, time, source, value, lease_until,"
        " published_at) VALUES ($1, $2, 'Exercise', 'exercise', 't', 'muster.assignment', $3, 's', '{}', $3, $4)",
        make_id(12),
        INCIDENT,
        START,
        START + 0.5 * SECOND,
    )
    orders: list[tuple[str, float, dict[str, object]]] = [
        ("police", 0, {"declined_at": at(1), "state": "declined", "reason": "No crew", "ended_at": at(1)}),
        ("traffic", 1, {"delivered_at": at(1.5), "committed_at": at(2), "started_at": at(3), "completed_at": at(9)}),
        ("fire", 1, {"delivered_at": at(1), "started_at": at(5)}),
        ("water", 1, {"delivered_at": at(1), "missed": ["acknowledge"]}),
        ("water", 8, {"delivered_at": at(8.5)}),
        ("traffic", 12, {"committed_at": at(13)}),  # after ENDEX: a stand-down task
    ]
    for number, (department, issued, more) in enumerate(orders, 20):
        await write_order(pool, make_id(number), department, at(issued), **more)
    await pool.execute(
        "INSERT INTO obstacles (id, incident_id, status, assignment_id, department, description, owner, reported_at)"
        " VALUES ($1, $2, 'Exercise', $3, 'traffic', $4, 'duty officer', $5)",
        make_id(40),
        INCIDENT,
        make_id(21),
        HOSTILE,
        at(6),
    )
    await end(pool, row, at(10), Ending.FINISHED)


async def write_order(
    pool: "Pool[asyncpg.Record]", id_: UUID, department: str, issued_at: datetime, **more: object
) -> None:
    values: dict[str, object] = {
        "id": id_,
        "activation_id": ACTIVATION,
        "incident_id": INCIDENT,
        "status": "Exercise",
        "task": "close-road",
        "role": "cordon",
        "department": department,
        "issued_at": issued_at,
        "state": "issued",
        "revision": 1,
        "silent": False,
        "acknowledge_by": issued_at + 5 * MINUTE,
        "missed": [],
        "rung": 0,
        **more,
    }
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    await pool.execute(f"INSERT INTO assignments ({', '.join(values)}) VALUES ({places})", *values.values())  # noqa: S608


@pytest.fixture
async def report(pool: "Pool[asyncpg.Record]") -> Report:
    await write_drill(pool, title=HOSTILE)
    return await read_report(pool, DRILL)


def summary_of(report: Report, segment: Segment) -> tuple[int, int, object]:
    summary = next(row.summary for row in report.segments if row.segment is segment)
    return summary.n, summary.censored, summary.p50


async def test_segments_are_reckoned_in_the_scenarios_time_with_the_brokers_wall_clock_translated(
    report: Report,
) -> None:
    assert summary_of(report, Segment.ALARM_TRANSFER) == (1, 0, 6 * SECOND)
    assert summary_of(report, Segment.ALARM_ANSWERING) == (1, 0, 6 * SECOND)
    assert summary_of(report, Segment.ALARM_PROCESSING) == (1, 0, 18 * SECOND)
    assert summary_of(report, Segment.ALARM_HANDLING) == (1, 0, 30 * SECOND)


async def test_the_silent_count_and_who_declined_or_was_called_off_early_does_not(report: Report) -> None:
    assert summary_of(report, Segment.TURNOUT) == (3, 1, 4 * MINUTE)
    assert summary_of(report, Segment.MOBILIZATION) == (3, 1, 4.5 * MINUTE)
    assert report.cut_short == 1
    assert [bar.department for bar in report.never] == ["water"]
    rows = {row.id: (row.orders, row.answered, row.declined, row.never, row.cut_short) for row in report.departments}
    assert rows == {
        "police": (1, 1, 1, 0, 0),
        "traffic": (1, 1, 0, 0, 0),
        "fire": (1, 1, 0, 0, 0),
        "water": (2, 0, 0, 1, 1),
    }


async def test_an_objective_is_judged_by_its_number(report: Report) -> None:
    (objective,) = report.objectives
    assert (objective.verdict, objective.n) == (Verdict.NOT_MET, 3)
    assert objective.value == pytest.approx(1 / 3)


async def test_what_was_issued_after_endex_is_not_judged(report: Report) -> None:
    assert len(report.bars) == 5
    assert max(bar.issued_at for bar in report.bars) == at(8)


async def test_the_page_has_both_languages_and_escapes_every_text(report: Report) -> None:
    page = render(report)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 3
    for words in (
        "Drill report",
        "演练报告",
        "Close the road",
        "封闭道路",
        "Department of water",
        "seed 7",
        "随机种子 7",
    ):
        assert words in page
    body = page.partition("</style>")[2]
    assert body.count('lang="en"') == body.count('lang="zh-CN"') > 50


async def test_the_page_needs_nothing_from_anywhere_else(report: Report) -> None:
    page = render(report)
    assert not re.search(r"https?:|\bsrc=|\bhref=|url\(|@import", page)
    assert "default-src 'none'" in page


async def test_a_pages_numbers_are_the_tables(report: Report) -> None:
    page, out = render(report), io.StringIO()
    print_report(report, Console(file=out, width=150, highlight=False))
    for row in report.segments:
        if row.summary.n and row.summary.p50 is not None and row.summary.p50 is not NEVER:
            assert f">{span(row.summary.p50)}</td>" in page
            assert span(row.summary.p50) in out.getvalue()
    assert "Department of water · 部门" in out.getvalue()


async def test_tables_fit_into_eighty_columns(report: Report) -> None:
    out = io.StringIO()
    print_report(report, Console(file=out, width=80, highlight=False))
    assert "…" not in out.getvalue()


async def test_the_json_tells_never_from_too_few(report: Report) -> None:
    figures = as_json(report)
    turnout = figures["segments"]["turnout"]
    assert (turnout["n"], turnout["p50"], turnout["p90"]) == (3, 240.0, None)
    assert figures["departments"]["water"]["turnout"]["p50"] == "never"
    assert (figures["seed"], figures["speed"], figures["simulated"]) == (7, 60.0, True)


async def test_the_drawing_shows_when_everything_happened(report: Report) -> None:
    chart = gantt.draw(report)
    rows = {lane.id: lane.rows for lane in chart.lanes}
    width = gantt.WIDTH - gantt.LABELS - gantt.RIGHT
    (traffic,) = rows["traffic"]
    assert [piece.kind for piece in traffic.pieces] == ["waiting", "preparing", "working"]
    assert [round((piece.x - gantt.LABELS) / width * 10, 1) for piece in traffic.pieces] == [1.0, 2.0, 3.0]
    assert rows["water"][0].pieces[0].kind == "silent"
    assert [mark.kind for mark in rows["water"][0].marks] == ["missed", "issued", "delivered", "called_off"]
    assert [mark.kind for mark in rows["police"][0].marks] == ["issued", "declined"]
    assert [number for _, number, _ in chart.injects] == [1]


async def test_a_first_order_stays_on_record_when_its_message_is_published_again(pool: "Pool[asyncpg.Record]") -> None:
    await write_drill(pool)
    await pool.execute("UPDATE outbox SET published_at = NULL")
    assert summary_of(await read_report(pool, DRILL), Segment.ALARM_HANDLING) == (1, 0, 30 * SECOND)


async def test_endex_is_noted_once(pool: "Pool[asyncpg.Record]") -> None:
    await write_drill(pool)
    await end(pool, await read_drill(pool, DRILL), at(20), Ending.FAILED)
    again = await read_drill(pool, DRILL)
    assert (again.ended_at, again.ending, again.incident_ids) == (at(10), Ending.FINISHED, (INCIDENT,))
    assert [row["id"] for row in await list_drills(pool)] == [DRILL]


async def test_an_unknown_drill_is_refused_in_one_line(pool: "Pool[asyncpg.Record]") -> None:
    with pytest.raises(DrillError, match=r"^drill .*: there is none on record; see `muster drill list`$"):
        await read_report(pool, make_id(99))


async def test_a_drill_is_never_anything_but_an_exercise(pool: "Pool[asyncpg.Record]") -> None:
    await write_drill(pool)
    with pytest.raises(asyncpg.CheckViolationError):
        await pool.execute("UPDATE drills SET status = 'Actual'")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.04, "0.0 s"),
        (4.21, "4.2 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1:00"),
        (187, "3:07"),
        (3900, "1:05:00"),
    ],
)
def test_a_span_is_written_to_be_read_at_a_glance(value: float, written: str) -> None:
    assert span(timedelta(seconds=value)) == written


@pytest.mark.parametrize(
    ("value", "written"), [(None, "–"), (0.0, "0 %"), (0.001, "1 %"), (0.999, "99 %"), (1.0, "100 %")]
)
def test_only_all_is_a_hundred_percent_and_only_none_is_nought(value: float | None, written: str) -> None:
    assert share(value) == written
