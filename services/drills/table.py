"""A drill's report on the terminal, and as the one JSON document of ``--json``."""

from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text as Styled

from schemas.base import Text
from schemas.drill import Criterion, Measure
from services.domain.segments import BOUND_NEEDS, NEEDS, NEVER, Quantile, Summary
from services.drills import figures
from services.drills.record import Seat
from services.drills.report import ObjectiveRow, Report
from services.drills.terminal import print_gantt, print_review, print_timeline, say, verdict
from services.drills.words import ENDINGS, NONE_YET, SEGMENTS, beside, quantile, seated, share, span

ROOMY = 130
"""Columns from which titles stand in place of ids, and the rarer numbers are shown."""


def print_report(report: Report, console: Console, language: str = "en", *, whole: bool = True) -> None:
    """Print the report; it fits into 80 columns, and says more where there is more room.

    ``language`` is ``en`` (with Chinese titles beside the English where there is room) or ``zh``. Without ``whole``
    the timeline and the Gantt are left out.
    """
    drill = report.drill
    mark = {"en": "EXERCISE", "zh": "演练"}[language]
    console.print(Styled(f"{mark}  {_both(drill.document.title, language, roomy=True)}", style="bold"))
    console.print(
        {
            "en": f"STARTEX to ENDEX {span(report.duration)}; {ENDINGS[drill.ending].en}. {seated(drill).en}",
            "zh": f"STARTEX 至 ENDEX {span(report.duration)}；{ENDINGS[drill.ending].zh}。{seated(drill).zh}",
        }[language],
        style="dim",
    )
    if (told := beside(drill)) is not None:
        console.print(say(told, language), style="bold yellow" if drill.real_incidents else "dim")
    roomy = console.width >= ROOMY
    if whole:
        console.print()
        print_timeline(report, console, language)
        console.print()
        print_gantt(report, console, language)
    for table in (_departments(report, language, roomy=roomy), _segments(report, language, roomy=roomy)):
        console.print()
        console.print(table)
    console.print()
    console.print(_objectives(report, language))
    print_review(report, console, language)


def _both(text: Text, language: str, *, roomy: bool) -> str:
    return f"{text.en} · {text.zh}" if roomy and language == "en" else say(text, language)


_CHINESE = {
    "department": "单位",
    "orders": "任务",
    "no": "拒绝",
    "never": "未应答",
    "done": "完成",
    "late": "超时",
    "in\ntarget": "达标率",
    "segment": "时段",
    "target": "目标",
    "longest": "最长",
    "p90 at most": "p90 上限",
    "objective": "目标",
    "wanted": "要求",
    "found": "实测",
    "By department, and its turnout (order received to committed or started)": "按单位及其出动准备",
    "By time segment": "分段用时",
    "Objectives": "演练目标",
}


def _table(language: str, title: str, *columns: str) -> Table:
    def said(words: str) -> str:
        return words if language == "en" else _CHINESE.get(words, words)

    table = Table(
        title=said(title), title_justify="left", title_style="bold", header_style="dim", box=None, padding=(0, 2, 0, 0)
    )
    for number, column in enumerate(columns):
        table.add_column(said(column), justify="left" if number == 0 else "right", vertical="top")
    return table


def _departments(report: Report, language: str, *, roomy: bool) -> Table:
    table = _table(
        language,
        "By department, and its turnout (order received to committed or started)",
        *("department", "orders", "no", "never", "done", "late", "n", "p50", "p90", "in\ntarget"),
    )
    for row in report.departments:
        counts = (row.orders, row.declined, row.never, row.completed, row.late)
        table.add_row(
            _both(row.title, language, roomy=True) if roomy or language == "zh" else row.id,
            *(str(count) if count else NONE_YET for count in counts),
            *_numbers(row.turnout, language),
            style="red" if row.never else None,
        )
    return table


def _segments(report: Report, language: str, *, roomy: bool) -> Table:
    more = ("p95", "longest", "p90 at most") if roomy else ()
    table = _table(language, "By time segment", "segment", "target", "n", "p50", "p90", "in\ntarget", "never", *more)
    for row in report.segments:
        summary = row.summary
        extra = (
            quantile(summary.p95, NEEDS[95], language),
            span(summary.longest) if summary.longest is not None else NONE_YET,
            quantile(summary.bounds[90], BOUND_NEEDS[90], language),
        )
        table.add_row(
            _both(SEGMENTS[row.segment], language, roomy=True),
            span(row.target) if row.target is not None else NONE_YET,
            *_numbers(summary, language, judged=row.target is not None),
            share(summary.never_responded),
            *((extra if summary.n else [NONE_YET] * len(extra)) if roomy else ()),
        )
    return table


def _numbers(summary: Summary, language: str, *, judged: bool = True) -> tuple[str, ...]:
    if summary.n == 0:
        return ("0", NONE_YET, NONE_YET, NONE_YET)
    within = share(summary.within_target) if judged else NONE_YET
    return (
        str(summary.n),
        quantile(summary.p50, NEEDS[50], language),
        quantile(summary.p90, NEEDS[90], language),
        within,
    )


def _objectives(report: Report, language: str) -> Table:
    table = _table(language, "Objectives", "objective", "wanted", "found", "n", "")
    for row in report.objectives:
        title = say(row.rule.title, language)
        numbers = (wanted(row.rule.criterion), found(row, language), str(row.n))
        table.add_row(title, *numbers, verdict(row.verdict, language))
    return table


def wanted(criterion: Criterion) -> str:
    """Write a criterion the same way in both languages: ``p90 ≤ 2:00``, ``95 % ≤ 3:00``."""
    measure = f"{criterion.at_least} %" if criterion.measure is Measure.SHARE else criterion.measure.value
    return f"{measure} ≤ {span(criterion.within)}"


def found(row: ObjectiveRow, language: str = "en") -> str:
    """Write what was found for an objective."""
    if isinstance(row.value, float):
        return share(row.value)
    percent = row.rule.criterion.measure.value.removeprefix("p")
    return quantile(row.value, NEEDS.get(int(percent), 1) if percent.isdigit() else 1, language)


def as_json(report: Report) -> dict[str, Any]:
    """Give the whole report; spans are seconds of the scenario, ``"never"``, or null for too few observations."""
    drill = report.drill
    return {
        "id": str(drill.id),
        "drill": drill.document.id,
        "version": drill.document.version,
        "status": "Exercise",
        "simulated": not any(seat in {Seat.REAL, Seat.MIXED} for seat in drill.seats.values()),
        "seats": drill.seats,
        "seed": drill.seed,
        "speed": drill.speed,
        "started_at": drill.started_at,
        "ended_at": drill.ended_at,
        "ending": drill.ending,
        "incidents": [str(each) for each in drill.incident_ids],
        "real_incidents": drill.real_incidents,
        "objectives": [
            {
                "id": row.rule.id,
                "verdict": row.verdict,
                "found": row.value if isinstance(row.value, float) else _seconds(row.value),
                "n": row.n,
            }
            for row in report.objectives
        ],
        "segments": {
            row.segment.value: {
                "target": _seconds(row.target),
                **_summary(row.summary),
                "set_aside": row.impossible,
            }
            for row in report.segments
        },
        "departments": {
            row.id: {
                "orders": row.orders,
                "answered": row.answered,
                "declined": row.declined,
                "never": row.never,
                "cut_short": row.cut_short,
                "completed": row.completed,
                "late": row.late,
                "turnout": _summary(row.turnout),
            }
            for row in report.departments
        },
        "escalations": report.escalations.total,
        "obstacles": len(report.obstacles),
        "cut_short": report.cut_short,
        **figures.review(report),
    }


def _summary(summary: Summary) -> dict[str, Any]:
    return {
        "n": summary.n,
        "p50": _seconds(summary.p50),
        "p90": _seconds(summary.p90),
        "p95": _seconds(summary.p95),
        "longest": _seconds(summary.longest),
        "within_target": summary.within_target,
        "never_responded": summary.never_responded,
        "upper_bounds": {f"p{percent}": _seconds(bound) for percent, bound in summary.bounds.items()},
    }


def _seconds(value: Quantile | timedelta) -> float | str | None:
    if value is None:
        return None
    return "never" if value is NEVER else round(value.total_seconds(), 3)
