"""The guard: ratios of a short run against those on file. A time is never compared: machines differ."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.bench.figures import Row, short
from services.bench.stage import BenchError

WORSE_BY = 2
"""A ratio may be worse than the recorded one by less than this factor."""
TRIES = 2
"""Runs until none is: what else the machine does may fall on one side for a while, not on the same one twice."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One ratio beside the one on file."""

    key: str
    title: str
    recorded: float
    found: float
    ok: bool

    def __str__(self) -> str:
        return f"{self.title}: {short(self.found)}, on file {short(self.recorded)}"


def ratios(rows: Sequence[Row]) -> dict[str, Row]:
    """Take the rows that are ratios."""
    return {row.key: row for row in rows if row.of is not None}


def compare(rows: Sequence[Row], recorded: Mapping[str, float]) -> list[Finding]:
    """Compare every ratio on file; raises `BenchError` for one that wasn't measured."""
    found = ratios(rows)
    missing = sorted(set(recorded) - set(found))
    if missing:
        raise BenchError(f"{missing[0]} is on file and was not measured: record the ratios again")
    findings = []
    for key, before in recorded.items():
        row, now = found[key], found[key].figure.median
        ok = now >= before / WORSE_BY if row.more_is_better else now <= before * WORSE_BY
        findings.append(Finding(key, row.title, before, now, ok))
    return findings


def read(file: Path) -> dict[str, float]:
    """Read the ratios on file."""
    try:
        return {str(key): float(value) for key, value in json.loads(file.read_text()).items()}
    except (OSError, ValueError) as error:
        raise BenchError(f"{file}: {error}") from None


def write(file: Path, rows: Sequence[Row]) -> None:
    """Put ratios on file."""
    found = {key: round(row.figure.median, 3) for key, row in ratios(rows).items()}
    file.write_text(json.dumps(found, indent=2) + "\n")
