"""A drill's report is reckoned from the rows in Postgres, and reads the same in both languages, safely."""

import io
import re
from datetime import timedelta

import asyncpg
import pytest
from rich.console import Console

from schemas.drill import Segment
from schemas.timeline import Entry
from services.domain.segments import NEVER
from services.drills import gantt
from services.drills.html import render
from services.drills.reading import read_report
from services.drills.record import DrillError, Ending, end, list_drills, read_drill
from services.drills.report import Report, Verdict
from services.drills.table import as_json, print_report
from services.drills.words import share, span
from services.platform.postgres import Pool
from tests.domain.builders import make_id
from tests.services.drill_history import DRILL, HOSTILE, INCIDENT, MINUTE, SECOND, at, write_drill


@pytest.fixture
async def report(pool: Pool) -> Report:
    await write_drill(pool, title=HOSTILE)
    return await read_report(pool, DRILL)


def summary_of(report: Report, segment: Segment) -> tuple[int, int, object]:
    summary = next(row.summary for row in report.segments if row.segment is segment)
    return summary.n, summary.censored, summary.p50


async def test_segments_are_reckoned_in_the_scenarios_time(
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


async def test_a_task_beside_the_plan_is_called_what_the_officer_called_it(pool: Pool) -> None:
    history = await write_drill(pool)
    title = {"en": "Count the boats", "zh": "清点船只"}
    await history.tell(Entry.TASK_ADDED, at(2), task="added-1", title=title, departments=["water"])
    await history.order(30, "water", 2, task="added-1", committed_at=at(3))
    report = await read_report(pool, DRILL)
    assert [bar.title.model_dump() for bar in report.bars if bar.task == "added-1"] == [title]
    assert {moment.task.zh for moment in report.timeline if moment.detail.get("task") == "added-1" and moment.task} == {
        "清点船只"
    }


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
    assert not re.search(r"https?:|\bsrc=|\bhref=\"(?!#e-)|url\((?!data:font/woff;base64,)|@import", page)
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


async def test_a_first_order_stays_on_record_when_its_message_is_published_again(pool: Pool) -> None:
    await write_drill(pool)
    await pool.execute("UPDATE outbox SET published_at = NULL")
    assert summary_of(await read_report(pool, DRILL), Segment.ALARM_HANDLING) == (1, 0, 30 * SECOND)


async def test_endex_is_noted_once(pool: Pool) -> None:
    await write_drill(pool)
    await end(pool, await read_drill(pool, DRILL), at(20), Ending.FAILED)
    again = await read_drill(pool, DRILL)
    assert (again.ended_at, again.ending, again.incident_ids) == (at(10), Ending.FINISHED, (INCIDENT,))
    assert [row["id"] for row in await list_drills(pool)] == [DRILL]


async def test_an_unknown_drill_is_refused_in_one_line(pool: Pool) -> None:
    with pytest.raises(DrillError, match=r"^drill .*: there is none on record; see `muster drill list`$"):
        await read_report(pool, make_id(99))


async def test_a_drill_is_never_anything_but_an_exercise(pool: Pool) -> None:
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
