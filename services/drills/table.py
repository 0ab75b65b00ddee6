"""A drill's report on the terminal, and as the one JSON document of ``--json``."""

from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text as Styled

from schemas.drill import Criterion, Measure
from services.domain.segments import BOUND_NEEDS, NEEDS, NEVER, Quantile, Summary
from services.drills.report import ObjectiveRow, Report, Verdict
from services.drills.words import ENDINGS, NONE_YET, SEGMENTS, quantile, share, span

ROOMY = 130
"""Columns from which titles stand in place of ids, and the rarer numbers are shown."""
_VERDICTS = {
    Verdict.MET: Styled("met", style="green"),
    Verdict.NOT_MET: Styled("not met", style="red"),
    Verdict.NOT_OBSERVED: Styled("not observed", style="yellow"),
}


def print_report(report: Report, console: Console) -> None:
    """Print the tables; they fit into 80 columns, and say more where there is more room."""
    drill = report.drill
    console.print(Styled(f"EXERCISE  {drill.document.title.en} · {drill.document.title.zh}", style="bold"))
    console.print(
        f"STARTEX to ENDEX {span(report.duration)}; {ENDINGS[drill.ending].en}. Departments were simulated with seed"
        f" {drill.seed}, {drill.speed:g} times as fast as the clock; all times are the scenario's.",
        style="dim",
    )
    roomy = console.width >= ROOMY
    for table in (_departments(report, roomy=roomy), _segments(report, roomy=roomy), _objectives(report)):
        console.print()
        console.print(table)


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", header_style="dim", box=None, padding=(0, 2, 0, 0)
    )
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right", vertical="top")
    return table


def _departments(report: Report, *, roomy: bool) -> Table:
    table = _table(
        "By department, and its turnout (order received to committed or started)",
        *("department", "orders", "no", "never", "done", "late", "n", "p50", "p90", "in\ntarget"),
    )
    for row in report.departments:
        counts = (row.orders, row.declined, row.never, row.completed, row.late)
        table.add_row(
            f"{row.title.en} · {row.title.zh}" if roomy else row.id,
            *(str(count) if count else NONE_YET for count in counts),
            *_numbers(row.turnout),
            style="red" if row.never else None,
        )
    return table


def _segments(report: Report, *, roomy: bool) -> Table:
    more = ("p95", "longest", "p90 at most") if roomy else ()
    table = _table("By time segment", "segment", "target", "n", "p50", "p90", "in\ntarget", "never", *more)
    for row in report.segments:
        summary = row.summary
        extra = (
            quantile(summary.p95, NEEDS[95]),
            span(summary.longest) if summary.longest is not None else NONE_YET,
            quantile(summary.bounds[90], BOUND_NEEDS[90]),
        )
        table.add_row(
            f"{SEGMENTS[row.segment].en} · {SEGMENTS[row.segment].zh}",
            span(row.target) if row.target is not None else NONE_YET,
            *_numbers(summary, judged=row.target is not None),
            share(summary.never_responded),
            *((extra if summary.n else [NONE_YET] * len(extra)) if roomy else ()),
        )
    return table


def _numbers(summary: Summary, *, judged: bool = True) -> tuple[str, ...]:
    if summary.n == 0:
        return ("0", NONE_YET, NONE_YET, NONE_YET)
    within = share(summary.within_target) if judged else NONE_YET
    return (str(summary.n), quantile(summary.p50, NEEDS[50]), quantile(summary.p90, NEEDS[90]), within)


def _objectives(report: Report) -> Table:
    table = _table("Objectives", "objective", "wanted", "found", "n", "")
    for row in report.objectives:
        title = f"{row.rule.title.en}\n{row.rule.title.zh}"
        table.add_row(title, wanted(row.rule.criterion), found(row), str(row.n), _VERDICTS[row.verdict])
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
    """Give the report's numbers; times are seconds of the scenario, ``"never"``, or null for too few."""
    drill = report.drill
    return {
        "id": str(drill.id),
        "drill": drill.document.id,
        "version": drill.document.version,
        "status": "Exercise",
        "simulated": True,
        "seed": drill.seed,
        "speed": drill.speed,
        "started_at": drill.started_at,
        "ended_at": drill.ended_at,
        "ending": drill.ending,
        "incidents": [str(each) for each in drill.incident_ids],
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
        "escalations": len(report.escalations),
        "obstacles": len(report.obstacles),
        "cut_short": report.cut_short,
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
