"""``muster drill compare`` and ``muster drill trend``: whether a drill was better than those before it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from enum import StrEnum
from math import isinf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer
from rich.table import Table
from rich.text import Text as Styled

from schemas.drill import Segment
from schemas.vocabulary import Namespace
from services.cli.output import JsonFlag, aside, console, fail, print_json, run
from services.cli.own_servers import start_servers
from services.cli.servers import DATA
from services.domain.segments import NEEDS, Summary
from services.drills.record import DrillRow, Pool
from services.drills.words import NONE_YET, SEGMENTS, quantile, share, span
from services.platform.migrations import migrate
from services.platform.postgres import connect

if TYPE_CHECKING:  # they need scipy, whose import takes longer than most commands do
    from services.drills.compare import Comparison, Difference, Row
    from services.drills.survival import Interval
    from services.drills.trend import Trend

MISUSE = 2
ROOMY = 130
"""Columns from which a department's names stand in place of its id."""
_VERDICTS = {
    "better": Styled("better", style="green"),
    "worse": Styled("worse", style="bold red"),
    "cant_tell": Styled("can't tell"),
    "insufficient_data": Styled("insufficient data", style="yellow"),
}


class By(StrEnum):
    """What a comparison may also be made by."""

    DEPARTMENT = "department"


Database = Annotated[str | None, typer.Option(help="A database's address.")]
DataDir = Annotated[Path, typer.Option(help="Where the embedded servers keep their data.")]
Segments = Annotated[list[Segment] | None, typer.Option("--segment", help="Only this time segment; may be repeated.")]
Alpha = Annotated[float, typer.Option(min=0.001, max=0.2, help="How often a false alarm is put up with.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")]
DRILL_DATA = DATA / "drill"


@run
async def compare(
    base: Annotated[str | None, typer.Argument(metavar="[BASE]", help="A drill's id.")] = None,
    candidate: Annotated[str | None, typer.Argument(metavar="[CANDIDATE]", help="The drill to be judged.")] = None,
    bases: Annotated[
        list[str] | None, typer.Option("--base", metavar="ID[,ID]", help="Drills that count as one; may be repeated.")
    ] = None,
    candidates: Annotated[
        list[str] | None, typer.Option("--candidate", metavar="ID[,ID]", help="The same for the other side.")
    ] = None,
    segment: Segments = None,
    by: Annotated[By | None, typer.Option(help="Also compare each department's turnout.")] = None,
    gate: Annotated[bool, typer.Option("--gate", help="Exit 1 when the candidate is worse.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="With --gate, exit 1 on insufficient data too.")] = False,
    alpha: Alpha = 0.05,
    seed: Seed = 7,
    database: Database = None,
    data_dir: DataDir = DRILL_DATA,
    as_json: JsonFlag = False,
) -> None:
    """Compare two drills, or two sets of drills, and tell a slower candidate from chance.

    All false alarms together stay below --alpha. Who never answers counts as slower than anybody, and a larger share
    of them is worse by itself.
    """
    sides = _sides(base, candidate, bases, candidates)
    if strict and not gate:
        fail("--strict: belongs to --gate", MISUSE)
    if by and segment and Segment.TURNOUT not in segment:
        fail("--by department: compares turnout; add --segment turnout, or leave --segment out", MISUSE)
    from services.drills import compare as drills
    from services.drills.compare_json import comparison_json

    async with _database(database, data_dir) as pool:
        played = [await drills.read_side(pool, ids) for ids in sides]
    found = drills.compare(*played, segments=segment or (), by_department=by is By.DEPARTMENT, alpha=alpha, seed=seed)
    failed = _fails(found, strict=strict) if gate else None
    if as_json:
        print_json(comparison_json(found) | ({"gate": "failed" if failed else "passed"} if gate else {}))
    else:
        print_comparison(found)
    if gate:
        _say_gate(found, failed)
    if failed:
        raise typer.Exit(1)


@run
async def trend(
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="A plan's id.")],
    last: Annotated[int, typer.Option(min=1, max=1000, help="How many drills, the latest.")] = 10,
    segment: Segments = None,
    alpha: Alpha = 0.05,
    seed: Seed = 7,
    database: Database = None,
    data_dir: DataDir = DRILL_DATA,
    as_json: JsonFlag = False,
) -> None:
    """Show how the drills of a plan went one after another, and compare the last with all before it."""
    from services.drills.compare_json import trend_json
    from services.drills.trend import read_history, trend_of

    async with _database(database, data_dir) as pool:
        history = await read_history(pool, plan, last)
    found = trend_of(plan, history, segments=segment or (), alpha=alpha, seed=seed)
    if as_json:
        print_json(trend_json(found))
    else:
        _print_trend(found)


def _sides(
    base: str | None, candidate: str | None, bases: Sequence[str] | None, candidates: Sequence[str] | None
) -> tuple[list[UUID], list[UUID]]:
    pooled = (bases or [], candidates or [])
    if base is not None and (candidate is None or any(pooled)):
        fail("compare: give BASE CANDIDATE, or --base ID and --candidate ID as often as needed", MISUSE)
    if base is not None and candidate is not None:
        pooled = ([base], [candidate])
    if not all(pooled):
        fail("compare: which drills? Give BASE CANDIDATE, or --base ID and --candidate ID", MISUSE)
    before, after = (
        [_drill_id(word) for entry in side for word in entry.split(",") if word.strip()] for side in pooled
    )
    return before, after


def _drill_id(word: str) -> UUID:
    try:
        return UUID(word.strip())
    except ValueError:
        fail(f'"{word.strip()}" is not a drill\'s id; see `muster drill list`', MISUSE)


@asynccontextmanager
async def _database(database: str | None, data_dir: Path) -> AsyncIterator[Pool]:
    async with AsyncExitStack() as stack:
        # No broker is needed to read; any address keeps one from being started.
        configured = await start_servers(stack, kafka="-", database=database, data_dir=data_dir)
        pool = await connect(configured.postgres(Namespace.EXERCISE), size=2)
        stack.push_async_callback(pool.close)
        await migrate(pool)
        yield pool


def _untold(found: "Comparison") -> list["Row"]:
    return [row for row in found.rows if row.finding.outcome == "insufficient_data"]


def _fails(found: "Comparison", *, strict: bool) -> bool:
    untold = len(_untold(found)) > 0 or not found.rows
    return found.outcome == "worse" or (strict and untold)


def _say_gate(found: "Comparison", failed: bool | None) -> None:
    """Say on stderr what the gate did, and what it could not see."""
    worse = [_name(row, found) for row in found.rows if row.finding.outcome == "worse"]
    untold = [_name(row, found) for row in _untold(found)]
    if worse:
        aside.print(f"Gate: worse: {', '.join(worse)}", style="red", soft_wrap=True, markup=False)
    if untold or not found.rows:
        what = ", ".join(untold) or "nothing was observed"
        aside.print(f"Gate: insufficient data: {what}", style="yellow", soft_wrap=True, markup=False)
    if not failed:
        aside.print("Gate: passed" + ("; what has insufficient data was not judged" if untold else ""), markup=False)


def _name(row: "Row", found: "Comparison") -> str:
    if row.department is None:
        return SEGMENTS[row.segment].en
    title = found.names.get(row.department)
    return f"{title.en} ({row.department})" if title else row.department


def print_comparison(found: "Comparison") -> None:
    """Print the tables; they fit into 80 columns."""
    console.print(Styled("EXERCISE  Drills compared · 演练对比", style="bold"))
    for name, drills in (("base", found.base), ("candidate", found.candidate)):
        console.print(f"{name:<9}  {_said(drills)}", style="dim", markup=False)
    for title, rows in (
        ("By time segment", [row for row in found.rows if row.department is None]),
        ("Turnout by department", [row for row in found.rows if row.department is not None]),
    ):
        if rows:
            console.print()
            console.print(_table(title, rows, found))
    console.print()
    console.print(Styled.assemble("Overall: ", _VERDICTS[found.outcome.value]))
    untold = _untold(found)
    if untold:
        needs = untold[0].finding.needs
        console.print(
            f"Insufficient data: fewer than {needs} beside {needs} could not differ beyond chance among these"
            " comparisons, whatever their times; of mobilization, incidents are counted.",
            style="dim",
        )
    console.print(
        f"p is one-sided (log-rank, or Fisher on never), Holm-adjusted; intervals are bootstrap {1 - found.alpha:.0%}"
        f" each for itself, seed {found.seed}. slower: how often the candidate's is the slower of two.",
        style="dim",
    )
    for note in found.notes:
        console.print(f"Note: {note.en}", style="yellow", markup=False)


def _said(drills: Sequence[DrillRow]) -> str:
    names = dict.fromkeys(f"{drill.document.id} v{drill.document.version}" for drill in drills)
    seeds = ", ".join(str(drill.seed) for drill in drills)
    which = str(drills[0].id) if len(drills) == 1 else f"{len(drills)} drills"
    return f"{which}  {', '.join(names)}  seed {seeds}"


def _table(title: str, rows: Sequence["Row"], found: "Comparison") -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", header_style="dim", box=None, padding=(0, 1, 0, 0)
    )
    for number, column in enumerate(("", "", "n", "never", "p50", "p90", "slower", "verdict")):
        wide = {"min_width": 12} if column == "verdict" else {"no_wrap": True} if number else {}
        table.add_column(column, justify="left" if number in {0, 1, 7} else "right", vertical="top", **wide)
    for row in rows:
        first, second = _titles(row, found)
        finding = row.finding
        chances = (NONE_YET if row.slower is None else f"{row.slower:.0%}", _ends(row.slower_interval))
        reason = "more never answer" if finding.silence else ""
        table.add_row(first, "base", *_numbers(row.base), "", _VERDICTS[finding.outcome.value])
        table.add_row(second, "candidate", *_numbers(row.candidate), chances[0], _p(row))
        table.add_row("", "difference", "", "", _change(row.p50), _change(row.p90), chances[1], reason)
        table.add_row("", "interval", "", "", _interval(row, 50, found.alpha), _interval(row, 90, found.alpha))
    return table


def _titles(row: "Row", found: "Comparison") -> tuple[str, str]:
    if row.department is None:
        return SEGMENTS[row.segment].en, SEGMENTS[row.segment].zh
    title = found.names.get(row.department)
    return (title.en, title.zh) if title and console.width >= ROOMY else (row.department, title.zh if title else "")


def _numbers(summary: Summary) -> tuple[str, str, str, str]:
    if summary.n == 0:
        return ("0", NONE_YET, NONE_YET, NONE_YET)
    p50, p90 = quantile(summary.p50, NEEDS[50]), quantile(summary.p90, NEEDS[90])
    return (str(summary.n), share(summary.never_responded), p50, p90)


def _p(row: "Row") -> str:
    finding = row.finding
    told = [p for p in (finding.p_worse, finding.p_better) if p is not None]
    if finding.outcome == "insufficient_data" or not told:
        few = min(row.units)
        what = "" if row.units == (row.base.n, row.candidate.n) else " incident" if few == 1 else " incidents"
        return f"{few}{what}, needs {finding.needs}" if few < finding.needs else ""
    p = (
        finding.p_worse
        if finding.outcome == "worse"
        else finding.p_better
        if finding.outcome == "better"
        else min(told)
    )
    return "" if p is None else "p <0.001" if p < _SMALL_P else f"p {p:.3f}"


_SMALL_P = 0.001


def _change(difference: "Difference") -> str:
    return NONE_YET if difference.value is None else _signed(difference.value)


def _interval(row: "Row", percent: int, alpha: float) -> str:
    from services.drills.survival import interval_needs

    difference = row.p50 if percent == 50 else row.p90
    if difference.interval is None:
        what = "n" if row.units == (row.base.n, row.candidate.n) else "incidents"
        return f"{what}<{interval_needs(percent, alpha)}" if row.base.n and row.candidate.n else NONE_YET
    low, high = difference.interval
    return f"{_signed(low)}…{_signed(high)}"


def _ends(interval: "Interval") -> str:
    return "" if interval is None or console.width < ROOMY else f"{interval[0]:.0%}…{interval[1]:.0%}"


def _signed(seconds: float) -> str:
    sign = "−" if seconds < 0 else "+"
    return f"{sign}never" if isinf(seconds) else f"{sign}{span(timedelta(seconds=abs(seconds)))}"


def _print_trend(found: "Trend") -> None:
    console.print(Styled(f"EXERCISE  Drills of {found.plan}, the oldest first · 演练趋势", style="bold"))
    for line in found.lines:
        title = SEGMENTS[line.segment]
        table = Table(
            title=f"{title.en} · {title.zh}", title_justify="left", title_style="bold", header_style="dim", box=None
        )
        for number, column in enumerate(("STARTEX", "drill", "seed", "n", "never", "p50", "p90")):
            table.add_column(column, justify="left" if number < 2 else "right", no_wrap=number == 0)
        for drill, summary in zip(found.drills, line.summaries, strict=True):
            name = f"{drill.document.id} v{drill.document.version}"
            table.add_row(f"{drill.started_at:%F %H:%M}", name, str(drill.seed), *_numbers(summary))
        table.add_section()
        table.add_row("", "", "", "", "", *line.sparklines)
        console.print()
        console.print(table)
    console.print()
    if found.last is None:
        console.print(Styled.assemble("The last drill: ", _VERDICTS["insufficient_data"], "; there is none before it"))
        return
    console.print(Styled(f"The last drill against the {len(found.drills) - 1} before it", style="bold"))
    print_comparison(found.last)
