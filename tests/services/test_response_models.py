"""Dispatch records become percentiles, censored observations and models, and every row is counted."""

import asyncio
import csv
import io
import json
import math
import tracemalloc
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
import typer
import uvloop
from scipy import stats
from typer.testing import CliRunner, Result

from services.cli.drill_models import models_app, segments
from services.domain.segments import NEVER, quantile
from services.drills.dispatch_columns import Role, choose_columns
from services.drills.dispatch_file import open_records
from services.drills.dispatch_records import NO_GROUP, Reason, Records, Span, Spans, read_records
from services.drills.fitting import Times, fit_lognormal, fit_model, fit_segment, kaplan_meier
from services.drills.response_model import (
    LEVELS,
    Censoring,
    Kind,
    ResponseModel,
    SegmentModel,
    course_from,
    draw_times,
    parse_model,
    sample,
    write_model,
)
from services.playbooks.problem import PlaybookError

REAL = Path(__file__).parents[3] / "shared" / "data" / "boone-county-ems-2016.csv"
needs_real = pytest.mark.skipif(not REAL.exists(), reason=f"../shared/data/{REAL.name} is absent")
HEADER = "CallTime,FirstDispatchTime,FirstEnroute,FirstArrive,LastClear,PrimaryUnit"
NINE = datetime(2026, 3, 2, 9)  # noqa: DTZ001 (a local time, as dispatch systems write it)

drill = typer.Typer()
drill.command()(segments)
drill.add_typer(models_app, name="models")


def muster(*arguments: str | Path) -> Result:
    return CliRunner().invoke(drill, [str(each) for each in arguments])


def write(path: Path, *rows: str, header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def call(*minutes: float | None, unit: str = "M1") -> str:
    """Write a row: its five times in minutes after nine."""
    times = ["" if each is None else (NINE + timedelta(minutes=each)).isoformat() for each in minutes]
    return ",".join([*times, unit])


def read(path: Path, by: Role | None = None, *, drop_zeros: bool = False) -> Records:
    with open_records(path) as source:
        columns = choose_columns(str(path), source.columns, {})
        return read_records(source, columns, by=by, drop_zeros=drop_zeros)


def spans(took: Iterable[float], watched: Iterable[float] = ()) -> Spans:
    made = Spans()
    made.took.extend(took)
    made.watched.extend(watched)
    return made


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Sixty calls: turnout 1 to 60 minutes, travel twice that; every sixth is never gone to."""
    rows = [
        call(0, 1, *((None, None) if n % 6 == 0 else (1 + n, 1 + 3 * n)), 400, unit=f"M{n % 2}") for n in range(1, 61)
    ]
    return write(tmp_path / "calls 2026.csv", *rows)


# --- the real file


@needs_real
@pytest.mark.parametrize("by", [None, "Agency"])
def test_real_records_agree_to_the_second_with_pandas(by: str | None) -> None:
    frame = pd.read_csv(REAL, parse_dates=["CallTime", "FirstDispatchTime", "FirstEnroute", "FirstArrive", "LastClear"])
    result = muster("segments", REAL, "--json", "--target", "turnout=80s", *(["--by", "agency"] if by else []))
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    if by is None:
        compared = {"": (found["segments"], frame)}
    else:
        groups = {each["group"]: each["segments"] for each in found["groups"]}
        compared = {name: (groups[str(name)], part) for name, part in frame.groupby(by)}
        assert len(groups) == len(compared) == 4
    for numbers, part in compared.values():
        for name, ends in {
            "alarm_handling": ("CallTime", "FirstDispatchTime"),
            "turnout": ("FirstDispatchTime", "FirstEnroute"),
            "travel": ("FirstEnroute", "FirstArrive"),
            "mobilization": ("CallTime", "FirstEnroute"),
            "total_response": ("CallTime", "FirstArrive"),
        }.items():
            assert told(numbers[name]) == reckoned(part, *ends), name
    turnout = compared[""][0]["turnout"] if by is None else None
    if turnout is not None:
        within = (frame.FirstEnroute - frame.FirstDispatchTime).dt.total_seconds().between(0, 80).sum()
        assert turnout["within_target"] == within / turnout["n"]


def told(numbers: dict[str, object]) -> dict[str, object]:
    keys = ("n", "censored", "p50", "p90", "p95", "longest")
    return {key: numbers[key] for key in keys} | {"set_aside": sum(numbers["set_aside"].values())}  # type: ignore[attr-defined]


def reckoned(frame: pd.DataFrame, begin: str, end: str) -> dict[str, object]:
    """Reckon a segment once more, column by column in pandas instead of row by row."""
    steps = ["CallTime", "FirstDispatchTime", "FirstEnroute", "FirstArrive"]
    later = frame[steps[steps.index(end) + 1 :]].notna().any(axis=1)
    seconds = (frame[end] - frame[begin]).dt.total_seconds()
    known = seconds[seconds >= 0]
    censored = int((frame[begin].notna() & frame[end].isna() & ~later).sum())
    n = len(known) + censored
    ordered = pd.concat([known, pd.Series([math.inf] * censored)]).sort_values().to_list()
    least = {50: 1, 90: 10, 95: 20}
    at = {p: ordered[-(-n * p // 100) - 1] if n >= least[p] else None for p in least}
    return {
        "n": n,
        "censored": censored,
        **{f"p{p}": "never" if value == math.inf else value for p, value in at.items()},
        "longest": known.max() if len(known) else None,
        "set_aside": len(frame) - n,
    }


@needs_real
def test_real_counts_are_those_that_the_data_are_known_for() -> None:
    whole = read(REAL).whole
    assert len(whole[Span.TOTAL_RESPONSE].watched) == 1_752  # never arrived
    turnout = whole[Span.TURNOUT]  # 1,029 without en route: of these 30 arrived all the same, and 3 had no dispatch
    assert (len(turnout.watched), turnout.set_aside[Reason.MISSING_END], turnout.set_aside[Reason.NOT_DUE]) == (
        996,
        30,
        3,
    )
    assert (
        sum(whole[each].set_aside[Reason.NEGATIVE] for each in (Span.ALARM_HANDLING, Span.TURNOUT, Span.TRAVEL)) == 47
    )
    assert all(each.n + sum(each.set_aside.values()) == 11_652 for each in whole.values())


@needs_real
@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("censoring", Censoring)
def test_real_models_are_the_same_bytes_each_time_and_read_back(
    tmp_path: Path, kind: Kind, censoring: Censoring
) -> None:
    texts = []
    for name in ("a.yaml", "b.yaml"):
        options = ("--kind", kind, "--censoring", censoring, "--by", "agency")
        result = muster("models", "fit", REAL, "--out", tmp_path / name, *options)
        assert result.exit_code == 0, result.stderr
        texts.append((tmp_path / name).read_bytes())
    assert texts[0] == texts[1]
    model = parse_model(texts[0].decode(), "a.yaml")
    assert write_model(model).encode() == texts[0]
    assert model.left_out == {"BCFD": 3, "CEFD": 7}
    assert json.loads(muster("models", "show", tmp_path / "a.yaml", "--json").stdout) == model.model_dump(
        mode="json", exclude_none=True
    )


@needs_real
def test_draws_from_the_real_model_give_the_table_again() -> None:
    whole = read(REAL).whole
    chance = np.random.default_rng(3)
    for span in (Span.TURNOUT, Span.TRAVEL, Span.TOTAL_RESPONSE):
        model = fit_segment(span, whole[span], Kind.EMPIRICAL, Censoring.NEVER)
        drawn = [sample(model, float(each)) for each in chance.random(20_000)]
        took = sorted(each for each in drawn if each is not None)
        assert 1 - len(took) / len(drawn) == pytest.approx(whole[span].summary().never_responded, abs=0.01)
        assert stats.ks_2samp(took, np.array(whole[span].took)).statistic < 0.02


# --- rows to spans


@pytest.mark.parametrize(
    ("row", "segment", "reason"),
    [
        (call(0, 1, 2, 3, 9) + ",extra", Span.TURNOUT, Reason.RAGGED),
        ("02.03.2026 09:00,2026-03-02T09:01:00,,,,M1", Span.ALARM_HANDLING, Reason.UNREADABLE),
        ("2026-03-02,2026-03-02T09:01:00,,,,M1", Span.ALARM_HANDLING, Reason.UNREADABLE),
        (call(0, 1, None, None, 9), Span.TRAVEL, Reason.NOT_DUE),
        (call(0, 1, None, None, 9), Span.WORK, Reason.NOT_DUE),
        (call(0, 1, None, 3, 9), Span.TRAVEL, Reason.MISSING_START),
        (call(None, 1, 2, 3, 9), Span.TOTAL_RESPONSE, Reason.MISSING_START),
        (call(0, 1, None, 3, 9), Span.TURNOUT, Reason.MISSING_END),
        (call(0, 2, 1, 3, 9), Span.TURNOUT, Reason.NEGATIVE),
        ("2026-03-02T09:00:00Z,2026-03-02T09:01:00,,,,M1", Span.ALARM_HANDLING, Reason.MIXED_ZONES),
        (call(0, 1, 1, 3, 9), Span.TURNOUT, Reason.ZERO),
    ],
)
def test_every_reason_to_set_a_row_aside_is_counted(tmp_path: Path, row: str, segment: Span, reason: Reason) -> None:
    good = call(0, 1, 2, 3, 9)
    whole = read(write(tmp_path / "calls.csv", good, row), drop_zeros=True).whole
    assert whole[segment].set_aside == {reason: 1}
    assert whole[segment].n == 1
    assert all(each.n + sum(each.set_aside.values()) == 2 for each in whole.values())


def test_the_reasons_above_are_all_there_are() -> None:
    marks = test_every_reason_to_set_a_row_aside_is_counted.pytestmark  # type: ignore[attr-defined]
    assert {case[2] for case in marks[0].args[1]} == set(Reason)


def test_a_unit_that_never_goes_is_censored_and_was_watched_until_its_call_was_cleared(tmp_path: Path) -> None:
    rows = [call(0, 1, None, None, 9), call(0, 1, 2, None, None), call(0, 1, None, None, 0)]
    whole = read(write(tmp_path / "calls.csv", *rows)).whole
    assert list(whole[Span.TURNOUT].watched) == [480.0, math.inf]
    assert list(whole[Span.TURNOUT].took) == [60.0]
    assert whole[Span.TURNOUT].summary().p50 is NEVER
    assert list(whole[Span.TRAVEL].watched) == [math.inf]


def test_null_words_are_no_time_and_other_formats_are_read_when_named(tmp_path: Path) -> None:
    rows = ("03/02/2026 09:00,03/02/2026 09:01,NULL,n/a,,M1", "03/02/2026 09:00,03/02/2026 09:03,,,,M1")
    path = write(tmp_path / "calls.csv", *rows)
    result = muster("segments", path, "--time-format", "%m/%d/%Y %H:%M", "--json")
    assert result.exit_code == 0, result.stderr
    told_of = json.loads(result.stdout)["segments"]
    assert told_of["alarm_handling"]["longest"] == 180
    assert told_of["turnout"]["censored"] == 2


def test_groups_are_told_largest_first_and_an_empty_one_has_a_name(tmp_path: Path) -> None:
    rows = [call(0, 1, 2, 3, 9, unit=unit) for unit in ("M1", "M2", "M2", "")]
    path = write(tmp_path / "calls.csv", *rows)
    result = muster("segments", path, "--by", "unit", "--json")
    assert [each["group"] for each in json.loads(result.stdout)["groups"]] == ["M2", NO_GROUP, "M1"]
    assert "2 smaller groups are not shown" in muster("segments", path, "--by", "unit", "--top", "1").stdout


@pytest.mark.parametrize(
    ("delimiter", "encoding", "options"),
    [(",", "utf-8-sig", ()), (";", "cp1252", ("--encoding", "cp1252")), ("\t", "utf-16", ("--encoding", "utf-16"))],
)
def test_delimiters_quotes_and_encodings_are_read(
    tmp_path: Path, delimiter: str, encoding: str, options: tuple[str, ...]
) -> None:
    text = io.StringIO()
    table = csv.writer(text, delimiter=delimiter)
    table.writerow(HEADER.split(","))
    table.writerows([*call(0, 1, 2, 3, 9, unit="x").split(",")[:-1], f'Café "{n}"\nnord{delimiter}1'] for n in range(3))
    path = tmp_path / "calls.csv"
    path.write_bytes(text.getvalue().encode(encoding))
    result = muster("segments", path, "--json", "--by", "unit", *options)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["groups"][0]["group"] == f'Café "0"\nnord{delimiter}1'


def test_an_export_of_many_megabytes_streams_in_little_memory(tmp_path: Path) -> None:
    """Rows pass one by one: what is kept of each is a number for every segment."""
    path = write(tmp_path / "calls.csv", *[call(0, 1, 2, 3, 9, unit="M" * 200)] * 20_000)
    seen: list[int] = []
    tracemalloc.start()
    with open_records(path) as source:
        records = read_records(source, choose_columns("calls.csv", source.columns, {}), watch=seen.append)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert records.rows == 20_000
    assert len(seen) == 1
    assert peak < path.stat().st_size / 2


# --- fitting


def test_a_censored_lognormal_is_recovered_with_those_who_never_respond() -> None:
    chance = np.random.default_rng(11)
    mu, sigma, never, n = 4.5, 0.7, 0.12, 20_000
    true = np.where(chance.random(n) < never, np.inf, chance.lognormal(mu, sigma, n))
    end = chance.uniform(20, 900, n)
    times = Times(np.sort(true[true <= end]), np.sort(end[true > end]))
    assert fit_lognormal(times) == pytest.approx((mu, sigma, never), abs=0.02)
    naive = np.log(times.took)
    assert abs(naive.mean() - mu) > 0.05  # leaving the censored out would be told apart


def test_without_people_who_never_respond_the_fit_is_scipys_censored_one() -> None:
    chance = np.random.default_rng(5)
    true, end = chance.lognormal(4, 0.5, 5_000), chance.uniform(20, 120, 5_000)
    times = Times(np.sort(true[true <= end]), np.sort(end[true > end]))
    sigma, _, scale = stats.lognorm.fit(
        stats.CensoredData(uncensored=times.took, right=times.watched), floc=0, method="mle"
    )
    found = fit_lognormal(times)
    assert found[:2] == pytest.approx((math.log(scale), sigma), abs=2e-2)
    assert found[2] < 0.03


def test_zeros_are_times_below_the_resolution_and_not_the_end_of_the_fit() -> None:
    chance = np.random.default_rng(7)
    took = np.sort(np.round(chance.lognormal(1, 1, 20_000)))
    assert (took == 0).sum() > 500
    assert fit_lognormal(Times(took, np.empty(0))) == pytest.approx((1, 1, 0), abs=0.05)


def test_knots_are_the_nearest_rank_percentiles_of_those_who_responded() -> None:
    chance = np.random.default_rng(2)
    for n in (20, 99, 100, 101, 1_003):
        took = np.floor(chance.lognormal(4, 1, n))
        model = fit_segment(Span.TURNOUT, spans(took, [math.inf] * 7), Kind.EMPIRICAL, Censoring.NEVER)
        ordered = sorted(timedelta(seconds=float(each)) for each in took)
        assert model.seconds is not None
        for percent in range(1, 100):
            wanted = quantile(ordered, n, percent)
            assert timedelta(seconds=model.seconds[LEVELS.index(percent * 10)]) == wanted, (n, percent)
        assert (model.seconds[0], model.seconds[-1]) == (took.min(), took.max())


def test_the_censored_estimate_is_kaplan_and_meiers() -> None:
    """Worked by hand: at risk 6, 4, 2 at the three times, and nothing after the last."""
    curve = kaplan_meier(Times(np.array([10.0, 20.0, 30.0]), np.array([10.0, 25.0, math.inf])))
    assert curve.at.tolist() == [10, 20, 30]
    assert curve.share.tolist() == pytest.approx([1 - 5 / 6, 1 - 5 / 6 * 3 / 4, 1 - 5 / 6 * 3 / 4 / 2])


def test_dropped_zeros_count_as_answered_so_that_silence_looks_no_more_common(tmp_path: Path) -> None:
    rows = (
        [call(0, 1, 1, 2, 9)] * 50
        + [call(0, 1, 1 + n, 90, 99) for n in range(1, 26)]
        + [call(0, 1, None, None, 9)] * 25
    )
    path = write(tmp_path / "calls.csv", *rows)
    model = fit_model(read(path, drop_zeros=True), "calls", zeros_dropped=True)
    turnout = model.segment(Span.TURNOUT)
    assert turnout is not None
    assert (turnout.never, turnout.zeros, turnout.set_aside) == (0.25, 0, {"zero": 50})
    assert turnout.seconds is not None
    assert turnout.seconds[0] == 60


def test_groups_with_too_few_calls_are_named_and_fall_back_on_the_whole(many: Path) -> None:
    write(many, *many.read_text().splitlines()[1:], *[call(0, 1, 2, 3, 9, unit="M9")] * 3)
    model = fit_model(read(many, Role.UNIT), "calls", by="unit")
    assert model.left_out == {"M9": 3}
    assert model.segment(Span.TURNOUT, "M9") == model.segment(Span.TURNOUT)
    assert model.segment(Span.TURNOUT, "M1") != model.segment(Span.TURNOUT)


# --- sampling


def segment_model(**changed: object) -> SegmentModel:
    given = {"segment": "turnout", "n": 100, "censored": 20, "zeros": 0, "set_aside": {}, "ks": 0.0, "never": 0.2}
    return SegmentModel.model_validate(given | changed)


def test_empirical_draws_go_through_the_knots_and_the_rest_never_respond() -> None:
    model = segment_model(seconds=tuple(map(float, LEVELS)))
    assert [sample(model, each) for each in (0.0, 0.4, 0.796, 0.8, 0.999)] == [0, 500, pytest.approx(995), None, None]


def test_lognormal_draws_have_the_quantiles_of_their_distribution() -> None:
    model = segment_model(mu=4.0, sigma=0.5)
    for percent in (1, 25, 50, 90, 99):
        wanted = math.exp(4 + 0.5 * NormalDist().inv_cdf(percent / 100))
        assert sample(model, 0.8 * percent / 100) == pytest.approx(wanted)
    assert sample(model, 0.0) == 0
    assert math.isfinite(sample(model, math.nextafter(0.8, 0)) or math.inf)
    assert sample(model, 0.8) is None


@pytest.mark.parametrize("uniform", [-0.1, 1.0, math.nan])
def test_a_chance_out_of_range_is_refused(uniform: float) -> None:
    with pytest.raises(ValueError, match="uniform"):
        sample(segment_model(mu=4.0, sigma=0.5), uniform)


def fitted(many: Path) -> ResponseModel:
    return fit_model(read(many, Role.UNIT), "calls", by="unit")


def test_a_course_is_the_same_for_the_same_seed_department_and_task(many: Path) -> None:
    model = fitted(many)
    drawn = [course_from(model, seed, dep, task) for seed in (1, 2) for dep in ("a", "b") for task in ("x", "y")]
    assert len(set(drawn)) == 8
    assert drawn == [course_from(model, s, d, t) for s in (1, 2) for d in ("a", "b") for t in ("x", "y")]


async def test_one_who_never_gets_there_works_for_ever_and_can_be_slept_through(many: Path) -> None:
    model = fitted(many)
    stuck = tuple(segment_model(segment=each, seconds=[60.0] * len(LEVELS), never=0.999) for each in ("travel", "work"))
    turnout = model.segment(Span.TURNOUT)
    assert turnout is not None
    course = course_from(model.model_copy(update={"segments": (turnout, *stuck), "groups": ()}), 1, "medical", "triage")
    assert (course.work_for, course.start_after, course.blocked_after) == (math.inf, 0.0, None)
    for run in (asyncio.run, uvloop.run):
        with pytest.raises(TimeoutError):
            await asyncio.to_thread(run, asyncio.wait_for(asyncio.sleep(course.work_for), 0.01))


def test_a_model_without_turnout_gives_no_course_and_one_without_work_the_usual_work(many: Path) -> None:
    model = fitted(many)
    turnout, travel = model.segment(Span.TURNOUT), model.segment(Span.TRAVEL)
    assert turnout is not None
    assert travel is not None
    bare = model.model_copy(update={"segments": (turnout,), "groups": ()})
    assert draw_times(bare, 1, "medical", "triage", work_otherwise=7).work == 7
    assert draw_times(bare, 1, "medical", "triage").travel == 0
    with pytest.raises(ValueError, match="has no turnout"):
        course_from(model.model_copy(update={"segments": (travel,), "groups": ()}), 1, "medical", "triage")


def test_courses_have_the_models_turnout_and_silence(many: Path) -> None:
    model = fitted(many)
    courses = [course_from(model, 1, "medical", f"t{n}") for n in range(4_000)]
    answers = sorted(each.answer_after for each in courses if not each.is_silent)
    assert 1 - len(answers) / len(courses) == pytest.approx(1 / 6, abs=0.02)
    turnout = model.segment(Span.TURNOUT)
    assert turnout is not None
    assert turnout.seconds is not None
    assert answers[len(answers) // 2] == pytest.approx(turnout.seconds[50], rel=0.05)
    times = draw_times(model, 1, "medical", "t1")
    assert times.travel is not None
    assert times.work is not None
    assert courses[1].work_for == times.travel + times.work


def test_a_course_is_drawn_from_the_group_of_the_departments_name_or_the_one_that_is_named(many: Path) -> None:
    model = fitted(many)
    assert course_from(model, 1, "M1", "x") == course_from(model, 1, "M1", "x", group="M1")
    assert course_from(model, 1, "M1", "x") != course_from(model, 1, "M1", "x", group="M0")
    with pytest.raises(ValueError, match=r'no group "m0"; did you mean "M0"\?'):
        course_from(model, 1, "M1", "x", group="m0")


# --- the document


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("format: 1", "format: 2", 'model.yaml:5: format: "2" is too large; write at most 1'),
        ("kind: empirical", "kind: emprical", 'did you mean "empirical"?'),
        ("segment: travel", "segment: turnout", 'segment: "turnout" is there twice; keep one of them'),
        ("never: 0.", "never: 1.", "never:"),
        ("kind: empirical", "kind: lognormal", "each segment of kind lognormal has `mu` and `sigma`, and only that"),
        ("censored: 10", "censored: 60", "60 of 60 leaves no time; fit it again"),
        ("seconds: [60, ", "seconds: [", "has 109 knots, not 110; fit it again"),
        ("seconds: [60, ", "seconds: [99999, ", "the knots do not rise; fit it again"),
        ("seconds: [60, ", "seconds: [.inf, ", "seconds[0]"),
        ("censoring: never", "censoring: never\nextra: 1", "extra"),
    ],
)
def test_a_models_file_is_read_strictly(many: Path, old: str, new: str, said: str) -> None:
    text = write_model(fit_model(read(many), "calls"))
    assert old in text
    with pytest.raises(PlaybookError) as raised:
        parse_model(text.replace(old, new, 1), "model.yaml")
    assert said in str(raised.value)


# --- the command line


ERRORS = {
    "missing": (None, (), 1, "FILE: can't be read (No such file or directory)"),
    "empty": (b"", (), 1, "FILE: the file is empty"),
    "header only": (b"CallTime,FirstDispatchTime\n", (), 1, "FILE: has a header and no rows"),
    "blank first line": (b"\nCallTime\n", (), 1, "FILE:1: the first line is empty; write the columns' names there"),
    "workbook": (b"PK\x03\x04aaaa", (), 1, "FILE: is not CSV: it is a workbook or an archive; export it as CSV"),
    "binary": (b"ab\0c,d\n", (), 1, "FILE: is not CSV: it is no text"),
    "prose": (b"hello\nworld\n", (), 1, "FILE:1: is not CSV: the first line has one column; write a header and commas"),
    "utf-16": ("a,b\n".encode("utf-16"), (), 1, "FILE: is UTF-16, not utf-8; add --encoding utf-16"),
    "latin": (
        b"CallTime,FirstDispatchTime,x\na,b,c\na,b,caf\xe9\n",
        (),
        1,
        "FILE:3: byte 0xe9 is not UTF-8; name the file's encoding, like --encoding cp1252",
    ),
    "open quote": (
        b'CallTime,FirstDispatchTime,x\na,b,c\na,b,"c\na,b,c\n',
        (),
        1,
        "FILE:3: odd quoting: a quote is not closed; double a quote inside quotes, and close what is open",
    ),
    "stray quote": (
        b'CallTime,FirstDispatchTime,x\na,b,"c"d\n',
        (),
        1,
        "FILE:2: odd quoting: ',' expected after '\"'; double a quote inside quotes, and close what is open",
    ),
    "long line": (b"a" * (1 << 20) + b",b\n", (), 1, "FILE:1: is not CSV: the line is longer than 1 MiB"),
    "unknown columns": (
        b"a,b\n1,2\n",
        (),
        1,
        (
            "FILE: fewer than two columns of times are known among a, b;"
            " name them, like --map dispatched=Column --map enroute=Column"
        ),
    ),
    "no segment": (
        b"CallTime,LastClear\n1,2\n",
        (),
        1,
        (
            "FILE: no segment begins and ends in the columns CallTime, LastClear;"
            " name more, like --map dispatched=Column --map enroute=Column"
        ),
    ),
    "all set aside": (
        b"CallTime,FirstDispatchTime\n1/2/2026 9:00,1/2/2026 9:01\n",
        (),
        1,
        (
            'FILE: all 1 rows were set aside (1 unreadable time); line 2 has "1/2/2026 9:00",'
            ' so add --time-format, like "%m/%d/%Y %H:%M:%S"'
        ),
    ),
    "mapped column": (
        b"CallTime,FirstDispatchTime\n1,2\n",
        ("--map", "dispatched=FirstDispatch"),
        2,
        'FILE: --map dispatched: "FirstDispatch" is no column of the file; did you mean "FirstDispatchTime"?',
    ),
    "column twice": (
        b"CallTime,a,a\n1,2,3\n",
        ("--map", "dispatched=a"),
        2,
        'FILE: --map dispatched: "a" is there twice; rename one of them',
    ),
    "map": (b"a,b\n", ("--map", "x"), 2, '--map: "x" is not role=Column; write it like enroute=FirstEnroute'),
    "role": (b"a,b\n", ("--map", "enrout=b"), 2, '--map: "enrout" is not a role; did you mean "enroute"?'),
    "role twice": (b"a,b\n", ("--map", "unit=a", "--map", "unit=b"), 2, "--map: unit is given twice; keep one of them"),
    "by": (b"a,b\n", ("--by", "units"), 2, '--by: "units" is no grouping; did you mean "unit"?'),
    "by unknown": (
        b"CallTime,FirstDispatchTime\n1,2\n",
        ("--by", "unit"),
        2,
        "--by unit: no column is known for it; name it, like --map unit=Column",
    ),
    "encoding": (b"a,b\n", ("--encoding", "x"), 2, '--encoding: "x" is unknown here; write one like utf-8 or cp1252'),
    "target": (b"a,b\n", ("--target", "turnot=8s"), 2, '--target: "turnot" is not a segment; did you mean "turnout"?'),
    "target time": (
        b"a,b\n",
        ("--target", "turnout=80"),
        2,
        (
            '--target turnout: "80" is not a time;'
            " write a duration as days, hours, minutes, seconds with their units, like 1h30m or 90s"
        ),
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, name: str) -> None:
    content, options, code, said = ERRORS[name]
    path = tmp_path / "calls.csv"
    if content is not None:
        path.write_bytes(content)
    result = muster("segments", path, *options)
    assert result.exit_code == code, result.output
    lines = [line for line in result.stderr.splitlines() if not line.startswith("Assumed from the header")]
    assert lines == [f"muster: {said.replace('FILE', str(path))}"]
    assert result.stdout == ""


def test_the_table_says_what_was_assumed_set_aside_and_took_no_time(tmp_path: Path) -> None:
    rows = [call(0, 1, 1 + n % 3, 5, 9) for n in range(30)] + [call(0, 3, 2, 5, 9), call(0, 1, None, None, 9)]
    result = muster("segments", write(tmp_path / "calls.csv", *rows), "--target", "turnout=60s", "--map", "cleared=")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == (
        "Assumed from the header: received=CallTime, dispatched=FirstDispatchTime, enroute=FirstEnroute,"
        " arrived=FirstArrive, unit=PrimaryUnit. Say otherwise with --map.\n"
    )
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "turnout 1:00 31 1:00 2:00 2:00 2:00 65 % 3 % 1" in lines
    assert "set aside turnout: 1 negative (it ends before it begins)" in lines
    assert "caution turnout: 10 of 30 took 0 s: recorded together, perhaps never measured" in lines
    assert not any(line.startswith("work") for line in lines)


def test_a_model_is_named_after_its_file_and_writes_over_models_only(many: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.yaml"
    assert muster("models", "fit", many, "--out", out).exit_code == 0
    again = muster("models", "fit", many, "--out", out, "--kind", "lognormal", "--name", "other", "--json")
    assert again.exit_code == 0, again.stderr
    assert json.loads(again.stdout)["model"]["id"] == "other"
    assert "Left out, for want of usable times: alarm_handling.\n" in again.stderr  # it always took one minute
    shown = muster("models", "show", out).stdout
    assert shown.startswith("other: lognormal, from 60 calls of calls 2026.csv")
    assert muster("models", "fit", many, "--out", many).stderr.endswith(
        f"muster: --out: {many} exists and is not a model; choose another name\n"
    )
    assert sorted(each.name for each in tmp_path.iterdir()) == ["calls 2026.csv", "model.yaml"]


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--out", "nowhere/x.yaml"), 2, "--out: there is no folder nowhere"),
        (("--name", "A b"), 2, '--name: "A b" is not a name; write lower-case words joined by hyphens'),
        (("--drop-zeros", "--censoring", "cleared"), 2, "--drop-zeros: goes with --censoring never only"),
        (("--map", "cleared=", "--censoring", "cleared"), 2, "--censoring cleared: no column has the clear times"),
    ],
)
def test_a_fit_that_makes_no_sense_is_refused(
    many: Path, tmp_path: Path, options: tuple[str, ...], code: int, said: str
) -> None:
    result = muster("models", "fit", many, "--out", tmp_path / "model.yaml", *options)
    assert (result.exit_code, said in result.stderr) == (code, True), result.stderr


def test_too_few_calls_or_times_all_the_same_give_no_model(tmp_path: Path) -> None:
    few = write(tmp_path / "few.csv", *[call(0, 1, 2, 3, 9)] * 19)
    same = write(tmp_path / "same.csv", *[call(0, 1, 2, 3, 9)] * 30)
    out = tmp_path / "model.yaml"
    for path, kind, said in (
        (few, "empirical", "a model needs 20 calls with a usable time in a segment; at most 19 have one"),
        (same, "lognormal", "a model needs 20 calls with a usable time, of two lengths or more, in a segment; "),
    ):
        refused = muster("models", "fit", path, "--out", out, "--kind", kind)
        assert (refused.exit_code, out.exists()) == (1, False)
        assert f"muster: {path}: {said}" in refused.stderr
    with pytest.raises(ValueError, match="two different times above zero"):
        fit_lognormal(Times(np.full(30, 60.0), np.empty(0)))
