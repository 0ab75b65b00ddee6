"""``muster drill segments`` and ``muster drill models``: what past calls say about response times, and its models."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from schemas.base import parse_duration
from services.cli.output import JsonFlag, aside, console, fail, print_json, print_table
from services.domain.segments import BOUND_NEEDS, NEEDS, NEVER, Quantile, Summary
from services.drills.dispatch_columns import Columns, Role, choose_columns, parse_map
from services.drills.dispatch_file import OptionError, RecordsError, open_records
from services.drills.dispatch_records import REASONS, Reason, Records, Span, Spans, read_records
from services.drills.response_model import (
    Censoring,
    Kind,
    ResponseModel,
    SegmentModel,
    load_model,
    sample,
    write_model,
)
from services.drills.words import quantile, share, span
from services.playbooks.problem import PlaybookError, did_you_mean

models_app = typer.Typer(help="Learn response times from dispatch records.", no_args_is_help=True)

LONG = 20_000_000
"""Bytes from which reading takes long enough for a progress bar."""
POOR = 0.1
"""The distance (KS) from which a fit is called poor."""
MANY_ZEROS = 0.05
"""The share of calls that took no time from which that is pointed out."""
MISUSE = 2

Csv = Annotated[Path, typer.Argument(metavar="CSV", help="Dispatch records: a header and one call in each row.")]
Map = Annotated[list[str] | None, typer.Option("--map", metavar="ROLE=COLUMN", help="Which column is what.")]
By = Annotated[str | None, typer.Option(help="Also by agency, unit or nature.")]
Encoding = Annotated[str, typer.Option(help="The file's encoding.")]
TimeFormat = Annotated[str | None, typer.Option(help='How times are written if not ISO, like "%m/%d/%Y %H:%M".')]
DropZeros = Annotated[bool, typer.Option("--drop-zeros", help="Learn nothing of speed from those that took 0 s.")]


def segments(
    csv: Csv,
    mapped: Map = None,
    by: By = None,
    target: Annotated[
        list[str] | None, typer.Option(metavar="SEGMENT=TIME", help="A segment's target, like turnout=80s.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many groups are printed, the largest first.")] = 10,
    encoding: Encoding = "utf-8",
    time_format: TimeFormat = None,
    as_json: JsonFlag = False,
) -> None:
    """Print the percentiles of past calls' response times, from a file of dispatch records.

    Only differences of times are used, so local times will do; calls under way when clocks change are off by it.
    """
    with _explained():
        role = _grouping(by)
        targets = _targets(target or [])
        records = _read(csv, mapped, role, encoding=encoding, time_format=time_format)
        for segment in targets:
            if segment not in records.whole:
                known = ", ".join(records.whole)
                raise OptionError(f"--target: {segment} can't be told from these columns, only {known}")
    groups = sorted(records.groups, key=lambda group: (-records.sizes[group], group))
    if as_json:
        print_json(_segments_json(records, targets, role, groups))
    else:
        _print_segments(records, targets, role, groups, top)


@models_app.command()
def fit(
    csv: Csv,
    out: Annotated[Path, typer.Option(help="The file to write, like playbooks/models/county.yaml.")],
    mapped: Map = None,
    name: Annotated[str | None, typer.Option(help="The model's id; by default from the file's name.")] = None,
    kind: Annotated[Kind, typer.Option(help="Quantiles as recorded, or a lognormal distribution.")] = Kind.EMPIRICAL,
    censoring: Annotated[
        Censoring, typer.Option(help="How long those who never responded were watched.")
    ] = Censoring.NEVER,
    by: By = None,
    encoding: Encoding = "utf-8",
    time_format: TimeFormat = None,
    drop_zeros: DropZeros = False,
    as_json: JsonFlag = False,
) -> None:
    """Fit a model of response times to a file of dispatch records; a drill's departments can be drawn from it."""
    # Fitting needs scipy, whose import takes longer than most commands do.
    from services.drills.fitting import fit_model

    with _explained():
        role = _grouping(by)
        chosen = _slug(name, csv)
        _check_out(out)
        if drop_zeros and censoring is Censoring.CLEARED:
            raise OptionError("--drop-zeros: goes with --censoring never only; leave one of them out")
        records = _read(csv, mapped, role, encoding=encoding, time_format=time_format, drop_zeros=drop_zeros)
        if censoring is Censoring.CLEARED and Role.CLEARED not in records.columns.names:
            raise OptionError("--censoring cleared: no column has the clear times; name it, like --map cleared=Column")
        model = fit_model(records, chosen, kind, censoring, role.value if role else None, zeros_dropped=drop_zeros)
        _write(out, model)
    missing = [each.value for each in records.whole if each not in {fitted.segment for fitted in model.segments}]
    if missing:
        aside.print(f"Left out, for want of usable times: {', '.join(missing)}.", soft_wrap=True, markup=False)
    if as_json:
        print_json({"file": str(out), "model": model.model_dump(mode="json", exclude_none=True)})
        return
    _print_model(model)
    aside.print(f"Model: {out}", soft_wrap=True, markup=False)


@models_app.command()
def show(
    file: Annotated[Path, typer.Argument(help="A model, as `muster drill models fit` writes it.")],
    as_json: JsonFlag = False,
) -> None:
    """Show a fitted model: where it comes from, what is drawn from it, and how well it fits."""
    with _explained():
        model = load_model(file)
    if as_json:
        print_json(model.model_dump(mode="json", exclude_none=True))
    else:
        _print_model(model)


@contextmanager
def _explained() -> Iterator[None]:
    """End with one line, 2 for misuse and 1 for the rest, when something can't be done."""
    try:
        yield
    except OptionError as error:
        fail(str(error), MISUSE)
    except (RecordsError, PlaybookError) as error:
        more = len(error.problems) - 1 if isinstance(error, PlaybookError) else 0
        fail(str(error).splitlines()[0] + (f" (and {more} more)" if more else ""))


def _grouping(by: str | None) -> Role | None:
    known = {"agency": Role.AGENCY, "unit": Role.UNIT, "nature": Role.NATURE}
    if by is not None and by not in known:
        raise OptionError(f'--by: "{by}" is no grouping; {did_you_mean(by, list(known))}')
    return known[by] if by is not None else None


def _targets(entries: Sequence[str]) -> dict[Span, timedelta]:
    targets: dict[Span, timedelta] = {}
    for entry in entries:
        word, _, time = entry.partition("=")
        known = [each.value for each in Span]
        if word not in known:
            raise OptionError(f'--target: "{word}" is not a segment; {did_you_mean(word, known)}')
        try:
            targets[Span(word)] = parse_duration(time)
        except ValueError as error:
            raise OptionError(f'--target {word}: "{time}" is not a time; {error}') from None
    return targets


def _slug(name: str | None, csv: Path) -> str:
    words = re.findall(r"[a-z0-9]+", csv.stem.lower()) if name is None else [name]
    slug = "-".join(words)[:60].rstrip("-")
    if name is None and not slug[:1].isalpha():
        slug = f"model-{slug}".rstrip("-")[:60].rstrip("-")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", slug):
        raise OptionError(f'--name: "{name}" is not a name; write lower-case words joined by hyphens, like county-2016')
    return slug


def _read(
    csv: Path,
    mapped: list[str] | None,
    by: Role | None,
    *,
    encoding: str,
    time_format: str | None,
    drop_zeros: bool = False,
) -> Records:
    told = parse_map(mapped or [])
    with open_records(csv, encoding) as source, _progress(csv) as watch:
        columns = choose_columns(str(csv), source.columns, told)
        if by is not None and by not in columns.names:
            raise OptionError(f"--by {by}: no column is known for it; name it, like --map {by}=Column")
        _say_assumed(columns)
        return read_records(source, columns, by=by, time_format=time_format, drop_zeros=drop_zeros, watch=watch)


def _say_assumed(columns: Columns) -> None:
    if columns.assumed:
        said = ", ".join(f"{role}={columns.names[role]}" for role in columns.assumed)
        aside.print(f"Assumed from the header: {said}. Say otherwise with --map.", soft_wrap=True, markup=False)


@contextmanager
def _progress(csv: Path) -> Iterator[Callable[[int], None] | None]:
    size = csv.stat().st_size
    if size < LONG or not aside.is_terminal:
        yield None
        return
    shown = (TextColumn("Reading {task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*shown, console=aside, transient=True) as progress:
        task = progress.add_task(csv.name, total=size)
        yield lambda done: progress.update(task, completed=done)


def _check_out(out: Path) -> None:
    """Refuse to write over anything but a model, before the long work."""
    if not out.parent.is_dir():
        raise OptionError(f"--out: there is no folder {out.parent}")
    if out.exists():
        try:
            load_model(out)
        except PlaybookError:
            raise OptionError(f"--out: {out} exists and is not a model; choose another name") from None


def _write(out: Path, model: ResponseModel) -> None:
    try:
        text = write_model(model)
        with NamedTemporaryFile("w", encoding="utf-8", dir=out.parent, suffix=".part", delete=False) as part:
            part.write(text)
        Path(part.name).chmod(0o644)
        Path(part.name).replace(out)
    except ValueError as error:
        raise OptionError(f"--by: {error}; group by a column with fewer values") from None
    except OSError as error:
        raise RecordsError(f"{out}: can't be written ({error.strerror or 'unknown reason'})") from None


def _print_segments(
    records: Records, targets: dict[Span, timedelta], by: Role | None, groups: Sequence[str], top: int
) -> None:
    columns = ("segment", "target", "n", "p50", "p90", "p95", "max", "in target", "never", "set aside")
    rows = [_row(each, spans, targets.get(each)) for each, spans in records.whole.items()]
    print_table(f"{records.file}: {records.rows} calls", columns, rows)
    if by is not None:
        inner = [
            (group if place == 0 else "", *_row(each, spans, targets.get(each)))
            for group in groups[:top]
            for place, (each, spans) in enumerate(records.groups[group].items())
        ]
        print_table(f"By {by}", (by.value, *columns), inner)
        if len(groups) > top:
            console.print(f"{len(groups) - top} smaller groups are not shown; --top shows more, --json all.")
    for each, spans in records.whole.items():
        for reason, count in sorted(spans.set_aside.items()):
            console.print(
                f"set aside  {each}: {count} {reason} ({_why(reason, records)})", soft_wrap=True, markup=False
            )
    for each, spans in records.whole.items():
        if spans.took and spans.zeros > MANY_ZEROS * len(spans.took):
            part = f"{spans.zeros} of {len(spans.took)} took 0 s"
            console.print(f"caution    {each}: {part}: recorded together, perhaps never measured")


def _row(segment: Span, spans: Spans, target: timedelta | None) -> tuple[object, ...]:
    summary = spans.summary(target)
    aside_of_it = sum(spans.set_aside.values())
    if summary.n == 0:
        return (segment, span(target) if target else None, 0, *[None] * 6, aside_of_it)
    return (
        segment,
        span(target) if target is not None else None,
        summary.n,
        quantile(summary.p50, NEEDS[50]),
        quantile(summary.p90, NEEDS[90]),
        quantile(summary.p95, NEEDS[95]),
        span(summary.longest) if summary.longest is not None else None,
        share(summary.within_target),
        share(summary.never_responded),
        aside_of_it,
    )


def _why(reason: Reason, records: Records) -> str:
    example = records.examples.get(reason)
    return REASONS[reason] + (f', first in line {example.line}: "{example.text}"' if example else "")


def _segments_json(
    records: Records, targets: dict[Span, timedelta], by: Role | None, groups: Sequence[str]
) -> dict[str, Any]:
    return {
        "file": records.file,
        "sha256": records.sha256,
        "rows": records.rows,
        "columns": dict(records.columns.names),
        "assumed": records.columns.assumed,
        "segments": {each: _spans_json(spans, targets.get(each)) for each, spans in records.whole.items()},
        "by": by,
        "groups": [
            {
                "group": group,
                "rows": records.sizes[group],
                "segments": {
                    each: _spans_json(spans, targets.get(each)) for each, spans in records.groups[group].items()
                },
            }
            for group in groups
        ],
    }


def _spans_json(spans: Spans, target: timedelta | None) -> dict[str, Any]:
    summary: Summary = spans.summary(target)
    return {
        "target": _seconds(target),
        "n": summary.n,
        "censored": summary.censored,
        "zeros": spans.zeros,
        "p50": _seconds(summary.p50),
        "p90": _seconds(summary.p90),
        "p95": _seconds(summary.p95),
        "longest": _seconds(summary.longest),
        "within_target": summary.within_target,
        "never_responded": summary.never_responded,
        "upper_bounds": {f"p{percent}": _seconds(summary.bounds[percent]) for percent in BOUND_NEEDS},
        "set_aside": dict(sorted(spans.set_aside.items())),
    }


def _seconds(value: Quantile) -> float | str | None:
    if value is None:
        return None
    return "never" if value is NEVER else round(value.total_seconds(), 3)


def _print_model(model: ResponseModel) -> None:
    source = model.source
    watched = "for ever" if model.censoring is Censoring.NEVER else "until their call was cleared"
    console.print(f"{model.id}: {model.kind}, from {source.rows} calls of {source.file}", style="bold", markup=False)
    console.print(f"sha256 {source.sha256}; those who never responded were watched {watched}", style="dim")
    columns = ("segment", "n", "censored", "zero", "p50", "p90", "p95", "p99", "never", "KS", "")
    print_table("Drawn from it", columns, [_model_row(each) for each in model.segments])
    for group in model.groups:
        print_table(f"{model.by} {group.group}", columns, [_model_row(each) for each in group.segments])
    if model.left_out:
        said = ", ".join(f"{group} ({rows})" for group, rows in model.left_out.items())
        console.print(f"Too few calls for a model of their own: {said}", soft_wrap=True, markup=False)


def _model_row(each: SegmentModel) -> tuple[object, ...]:
    drawn = [sample(each, percent / 100) for percent in (50, 90, 95, 99)]
    times = ["never" if time is None else span(timedelta(seconds=min(time, _LONGEST))) for time in drawn]
    verdict = "fits poorly" if each.ks > POOR else ""
    return (each.segment, each.n, each.censored, each.zeros, *times, share(each.never), f"{each.ks:.3f}", verdict)


_LONGEST = 1e9
"""Seconds that a poor fit is shown as at most: a time beyond belief, and within what a timedelta holds."""
