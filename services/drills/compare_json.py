"""A comparison and a trend as the one JSON document of ``--json``."""

from math import inf, isinf
from typing import Any

from services.domain.segments import NEVER, Quantile, Summary
from services.drills.compare import Comparison, Row
from services.drills.record import DrillRow
from services.drills.survival import Interval
from services.drills.trend import Trend


def comparison_json(found: Comparison) -> dict[str, Any]:
    """Give everything as plain values; times are seconds, ``"never"``, or null for what isn't told."""
    return {
        "status": "Exercise",
        "outcome": found.outcome,
        "alpha": found.alpha,
        "seed": found.seed,
        "base": [_drill_json(drill) for drill in found.base],
        "candidate": [_drill_json(drill) for drill in found.candidate],
        "rows": [_row_json(row) for row in found.rows],
        "notes": [note.en for note in found.notes],
    }


def trend_json(found: Trend) -> dict[str, Any]:
    """Give the drills' numbers in order, and the comparison of the last one."""
    return {
        "status": "Exercise",
        "plan": found.plan,
        "drills": [_drill_json(drill) for drill in found.drills],
        "segments": {line.segment.value: [_summary_json(each) for each in line.summaries] for line in found.lines},
        "last": comparison_json(found.last) if found.last else None,
    }


def _drill_json(drill: DrillRow) -> dict[str, Any]:
    return {
        "id": str(drill.id),
        "drill": drill.document.id,
        "version": drill.document.version,
        "seed": drill.seed,
        "speed": drill.speed,
        "started_at": drill.started_at,
        "ending": drill.ending,
    }


def _row_json(row: Row) -> dict[str, Any]:
    ranks, finding = row.log_rank, row.finding
    return {
        "segment": row.segment,
        "department": row.department,
        "outcome": finding.outcome,
        "because_more_never_answer": finding.silence,
        "p_worse": _round(finding.p_worse),
        "p_better": _round(finding.p_better),
        "needs": finding.needs,
        "units": list(row.units),
        "base": _summary_json(row.base),
        "candidate": _summary_json(row.candidate),
        "difference": {
            name: {"value": _seconds(each.value), "interval": _seconds_of(each.interval)}
            for name, each in (("p50", row.p50), ("p90", row.p90))
        },
        "probability_slower": {
            "value": _round(row.slower),
            "interval": [_round(end) for end in row.slower_interval] if row.slower_interval else None,
        },
        "log_rank": {
            "observed": ranks.observed,
            "expected": _round(ranks.expected),
            "z": _round(ranks.z),
            "rate_ratio": _round(ranks.rate_ratio),
            "p_worse": _round(ranks.chance.worse),
            "p_better": _round(ranks.chance.better),
        },
        "never_responded": {"p_worse": _round(row.silence.worse), "p_better": _round(row.silence.better)},
    }


def _summary_json(summary: Summary) -> dict[str, Any]:
    return {
        "n": summary.n,
        "never": summary.censored,
        "never_responded": _round(summary.never_responded),
        "p50": _quantile_json(summary.p50),
        "p90": _quantile_json(summary.p90),
    }


def _quantile_json(value: Quantile) -> float | str | None:
    if value is None:
        return None
    return "never" if value is NEVER else round(value.total_seconds(), 3)


def _seconds(value: float | None) -> float | str | None:
    if value is None or not isinf(value):
        return None if value is None else round(value, 3)
    return "never" if value == inf else "-never"


def _seconds_of(interval: Interval) -> list[float | str | None] | None:
    return None if interval is None else [_seconds(end) for end in interval]


def _round(value: float | None) -> float | None:
    """Keep what a reader can use; the last bits may differ between processors."""
    return None if value is None else float(f"{value:.6g}")
