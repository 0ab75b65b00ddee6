"""A study's findings on the terminal, and as the one JSON document of ``--json``."""

from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from services.domain.segments import NEEDS, NEVER, Quantile, Summary
from services.drills.critical import Why
from services.drills.simulate_findings import Chain, Counts, Findings, Worth
from services.drills.simulate_outcome import Work
from services.drills.words import NONE_YET, quantile, share, span

MOST = 8
"""Tasks and chains that are printed; JSON has all."""
_TIMES = {
    "mobilization": "mobilization, each order",
    "first_orders": "all first orders taken on",
    "completion": "all tasks complete",
}
_LED_TO = {Why.ACTIVATED: "", Why.AFTER: " → ", Why.DECLINED: " ⇥no ", Why.SILENT: " ⇥silent "}


def print_findings(findings: Findings, plan: str, console: Console) -> None:
    """Print the tables; ``plan`` is the id of the plan that was simulated, and the others' tasks carry theirs."""
    for table in (_times(findings), _tasks(findings, plan), _roles(findings, plan), _chains(findings, plan)):
        console.print(table)
        console.print()
    counts = findings.escalations
    console.print(
        f"In {share(findings.unfilled)} of the runs some task was never taken on by as many as it needs. Escalations in"
        f" a run: p50 {counts.p50}, p90 {counts.p90}, at most {counts.most}; reminders: p50 {findings.reminders.p50}."
    )
    console.print()
    console.print(_worths(findings, plan))


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", header_style="dim", box=None, padding=(0, 2, 0, 0)
    )
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    return table


def _times(findings: Findings) -> Table:
    table = _table("Times from the report", "", "n", "never", "p50", "p90", "p95", "longest")
    for name, words in _TIMES.items():
        summary: Summary = getattr(findings, name)
        longest = NONE_YET if summary.longest is None else span(summary.longest)
        percentiles = (
            quantile(value, NEEDS[percent])
            for percent, value in ((50, summary.p50), (90, summary.p90), (95, summary.p95))
        )
        table.add_row(words, str(summary.n), share(summary.never_responded), *percentiles, longest)
    return table


def _tasks(findings: Findings, plan: str) -> Table:
    columns = (
        "task",
        "role",
        "decides\nthe end",
        "of the\ntime",
        "last\ntaken on",
        "mobilized\np50",
        "p90",
        "unfilled",
    )
    table = _table("What decides: the tasks most often on the critical path", *columns)
    for row in findings.works[:MOST]:
        table.add_row(
            _name(row.work, plan),
            row.work.role,
            share(row.on_path),
            share(row.of_path),
            share(row.last),
            quantile(row.mobilization.p50, NEEDS[50]),
            quantile(row.mobilization.p90, NEEDS[90]),
            share(row.unfilled),
        )
    return table


def _roles(findings: Findings, plan: str) -> Table:
    table = _table("The roles most often on the critical path", "role", "decides\nthe end", "of the\ntime")
    for row in findings.roles[:MOST]:
        table.add_row(_in(row.plan, row.role, plan), share(row.on_path), share(row.of_path))
    return table


def _chains(findings: Findings, plan: str) -> Table:
    table = _table("The most frequent critical paths", "path", "share", "p50")
    for chain in findings.chains[:MOST]:
        table.add_row(_chain(chain, plan), share(chain.share), quantile(chain.p50, NEEDS[50]))
    return table


def _chain(chain: Chain, plan: str) -> str:
    words = "".join(f"{_LED_TO[why]}{_name(work, plan)}" for work, why in chain.steps)
    return f"{words} …" if chain.never else words


def _worths(findings: Findings, plan: str) -> Table:
    columns = ("without", "as", "called in", "first orders\np90", "complete\np90", "unfilled")
    table = _table("What each deputy and quota candidate buys: the same runs without it", *columns)
    for row in sorted(findings.worth, key=_loss):
        candidate = row.candidate
        table.add_row(
            candidate.department,
            _in(candidate.plan, candidate.role, plan),
            share(row.called),
            _longer(*row.first_orders),
            _longer(*row.completion),
            f"{(row.unfilled[1] - row.unfilled[0]) * 100:+.1f} pp",
        )
    return table


def _loss(row: Worth) -> tuple[float, float, str, str]:
    return (row.unfilled[0] - row.unfilled[1], -row.called, row.candidate.role, row.candidate.department)


def _longer(before: Quantile, after: Quantile) -> str:
    if before == after:
        return "same"
    difference = _difference(before, after)
    if difference is None:
        return f"{quantile(before, NEEDS[90])} → {quantile(after, NEEDS[90])}"
    return f"{'+' if difference > timedelta(0) else '−'}{span(abs(difference))}"


def _difference(before: Quantile, after: Quantile) -> timedelta | None:
    if isinstance(before, timedelta) and isinstance(after, timedelta):
        return after - before
    return timedelta(0) if before is after and before is NEVER else None


def _name(work: Work, plan: str) -> str:
    return _in(work.plan, work.task, plan)


def _in(owner: str, name: str, plan: str) -> str:
    return name if owner == plan else f"{owner}/{name}"


def as_json(findings: Findings) -> dict[str, Any]:
    """Give all numbers. Times are seconds, ``"never"``, or null for too few runs; shares lie between 0 and 1."""
    return {
        "level": findings.level,
        "runs": findings.runs,
        "times": {name: _summary(getattr(findings, name)) for name in _TIMES},
        "tasks": [
            {
                **_work(row.work),
                "on_path": row.on_path,
                "of_path_time": row.of_path,
                "last_taken_on": row.last,
                "unfilled": row.unfilled,
                "mobilization": _summary(row.mobilization),
            }
            for row in findings.works
        ],
        "roles": [
            {"plan": row.plan, "role": row.role, "on_path": row.on_path, "of_path_time": row.of_path}
            for row in findings.roles
        ],
        "critical_paths": [
            {
                "steps": [{**_work(work), "why": why.value} for work, why in chain.steps],
                "completes": not chain.never,
                "share": chain.share,
                "p50": _seconds(chain.p50),
            }
            for chain in findings.chains
        ],
        "runs_with_unfilled_task": findings.unfilled,
        "reminders": _counts(findings.reminders),
        "escalations": {
            **_counts(findings.escalations),
            "by_step": {step: _counts(counts) for step, counts in findings.by_step},
        },
        "candidates": [_worth(row) for row in findings.worth],
    }


def _work(work: Work) -> dict[str, str]:
    return {"plan": work.plan, "role": work.role, "task": work.task}


def _counts(counts: Counts) -> dict[str, float]:
    return {"p50": counts.p50, "p90": counts.p90, "most": counts.most, "share_of_runs": counts.any}


def _worth(row: Worth) -> dict[str, Any]:
    candidate = row.candidate
    told: dict[str, Any] = {"plan": candidate.plan, "role": candidate.role, "department": candidate.department}
    told["called_in"] = row.called
    for name in ("first_orders", "completion"):
        before, after = getattr(row, name)
        told[f"{name}_p90"] = {
            "with": _seconds(before),
            "without": _seconds(after),
            "difference": _seconds(_difference(before, after)),
        }
    before, after = row.unfilled
    told["runs_with_unfilled_task"] = {"with": before, "without": after, "difference": round(after - before, 6)}
    return told


def _summary(summary: Summary) -> dict[str, Any]:
    return {
        "n": summary.n,
        "never": summary.never_responded,
        "p50": _seconds(summary.p50),
        "p90": _seconds(summary.p90),
        "p95": _seconds(summary.p95),
        "longest": _seconds(summary.longest),
    }


def _seconds(value: Quantile) -> float | str | None:
    if value is None:
        return None
    return "never" if value is NEVER else round(value.total_seconds(), 3)
