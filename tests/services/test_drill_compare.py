"""A slower drill is told from chance, silence never looks fast, and what can't be told isn't guessed."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import count
from math import inf

import numpy as np
import pytest
from scipy import stats

from schemas.drill import DrillDocument, Segment
from services.domain.segments import NEVER, Observations, Order, Orders, Spans
from services.drills.compare import Comparison, Outcome, Pair, Played, compare, decide, holm, overall, try_out
from services.drills.compare_json import comparison_json
from services.drills.record import DrillRow, Ending
from services.drills.survival import (
    LARGE,
    NO_CHANCE,
    Sample,
    interval_needs,
    log_rank,
    mantel,
    never_test,
    quantile_interval,
    rearrange,
    slower,
    slower_interval,
)
from services.drills.trend import sparkline, trend_of
from tests.domain.builders import START, make_id

SECOND = timedelta(seconds=1)
MICRO = timedelta(microseconds=1)
DEPARTMENTS = ("fire", "police", "traffic", "water", "health")
MERCAPTOPURINE = (6, 6, 6, 7, 10, 13, 16, 22, 23)
MERCAPTOPURINE_CENSORED = (6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35)
PLACEBO = (1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23)
"""Weeks in remission (Freireich et al. 1963; Gehan 1965; Cox 1972)."""

ids = count(1000)


def censored(sample: Sample) -> stats.CensoredData:
    never = np.isinf(sample.times)
    return stats.CensoredData.right_censored(np.where(never, 1e9, sample.times), never)


def times(rng: np.random.Generator, n: int, *, median: float = 40.0, never: float = 0.0) -> Sample:
    drawn = median * np.exp(rng.normal(0, 0.6, n))
    return Sample.of(np.where(rng.random(n) < never, inf, drawn).tolist())


def document_of(plan: str = "river-flood") -> DrillDocument:
    """The least that a drill's file has."""
    text = {"en": "Flood", "zh": "洪水"}
    criterion = {"segment": "turnout", "measure": "p90", "within": "2m"}
    return DrillDocument.model_validate(
        {
            "id": "flood-drill",
            "version": 1,
            "title": text,
            "purpose": text,
            "kind": {"content": "single-item", "form": "tabletop"},
            "announced": False,
            "plans": [plan],
            "speed": 60,
            "duration": "1h",
            "objectives": [{"id": "quick", "title": text, "criterion": criterion}],
            "participants": [{"department": "default"}],
            "injects": [{"id": "water-rises", "at": "0s", "kind": "message", "title": text, "expectation": text}],
        }
    )


def play(
    turnouts: dict[str, Sequence[float | None]], *, seed: int = 1, handling: float = 20.0, incidents: int = 1
) -> Played:
    """A drill in which every department's orders took so many seconds; None never answered."""
    id_, document = make_id(next(ids)), document_of()
    where = [make_id(next(ids)) for _ in range(incidents)]
    alarm = handling * SECOND // MICRO
    spans = {segment: Spans() for segment in Segment}
    spans[Segment.ALARM_HANDLING] = Spans([alarm for _ in where], list(range(incidents)))
    orders: list[Order] = []
    for department, took_each in turnouts.items():
        for place, seconds in enumerate(took_each):
            took = None if seconds is None else seconds * SECOND // MICRO
            for segment, span in (
                (Segment.TURNOUT, took),
                (Segment.MOBILIZATION, None if took is None else took + alarm),
            ):
                spans[segment].took.append(span)
                spans[segment].place.append(len(orders))
            incident = where[place % incidents]
            orders.append(Order(make_id(next(ids)), incident, department, "close-road", START, START, None))
    row = DrillRow(id_, document, seed, 60.0, START, START, START + timedelta(hours=1), Ending.FINISHED, tuple(where))
    return Played(row, Observations(where, Orders.of(orders), spans))


def drawn(seed: int, n: int = 25, **medians: float) -> Played:
    """A drill whose departments answer in about 40 seconds, or in the time given for them."""
    draw = random.Random(seed)
    return play(
        {name: [draw.lognormvariate(0, 0.5) * medians.get(name, 40.0) for _ in range(n)] for name in DEPARTMENTS},
        seed=seed,
    )


def verdicts(found: Comparison) -> dict[str, Outcome]:
    return {row.department or row.segment.value: row.finding.outcome for row in found.rows}


# The log-rank test


def test_the_log_rank_test_of_the_leukaemia_trial_is_that_of_the_textbooks() -> None:
    """Observed 9 and 21, expected 19.25 and 10.75, chi-square 16.79 (Kleinbaum and Klein, Survival Analysis, ch. 2)."""
    first = (*MERCAPTOPURINE, *MERCAPTOPURINE_CENSORED)
    weeks = np.array((*first, *PLACEBO), dtype=float)
    ended = np.array([True] * len(MERCAPTOPURINE) + [False] * len(MERCAPTOPURINE_CENSORED) + [True] * len(PLACEBO))
    placebo = np.arange(weeks.size) >= len(first)
    found = mantel(weeks, ended, placebo)
    assert (found.observed, round(found.expected, 2)) == (21, 10.75)
    assert (found.observed - found.expected) ** 2 / found.variance == pytest.approx(16.79, abs=0.005)
    other = mantel(weeks, ended, ~placebo)
    assert (other.observed, round(other.expected, 2)) == (9, 19.25)


def test_a_log_rank_test_by_hand() -> None:
    """Base 1, 3, never; candidate 2, 4. E = 2/5 + 2/4 + 1/3 + 1/2; V = 6/25 + 1/4 + 2/9 + 1/4."""
    found = log_rank(Sample.of([1, 3, inf]), Sample.of([2, 4]), seed=1)
    assert found.observed == 2
    assert found.expected == pytest.approx(2 / 5 + 2 / 4 + 1 / 3 + 1 / 2)
    assert found.z == pytest.approx((2 - 26 / 15) / (6 / 25 + 1 / 4 + 2 / 9 + 1 / 4) ** 0.5)


@pytest.mark.parametrize("seed", range(5))
def test_it_is_that_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    base, candidate = times(rng, 30, never=0.2), times(rng, 22, median=55, never=0.1)
    found = log_rank(base, candidate, seed=1)
    assert found.z == pytest.approx(stats.logrank(censored(candidate), censored(base)).statistic)
    normal = stats.logrank(censored(candidate), censored(base), alternative="less").pvalue
    assert abs(found.chance.worse - normal) < 0.03, "what permutation gives is near the normal value"


def test_its_chance_is_that_of_scipys_permutation_test() -> None:
    rng = np.random.default_rng(1)
    base, candidate = times(rng, 6, never=0.2), times(rng, 5, median=80)
    pooled = np.concatenate((base.times, candidate.times))
    scores = mantel(pooled, np.isfinite(pooled), np.arange(11) >= 6).scores
    for alternative in ("less", "greater"):
        theirs = stats.permutation_test(
            (scores[:6], scores[6:]), lambda _x, y, axis: y.sum(axis), vectorized=True, alternative=alternative
        )
        ours = log_rank(base, candidate, seed=1).chance
        assert getattr(ours, "worse" if alternative == "less" else "better") == pytest.approx(theirs.pvalue)


def test_large_samples_take_the_normal_value() -> None:
    rng = np.random.default_rng(2)
    base, candidate = times(rng, LARGE), times(rng, 2 * LARGE, median=44)
    expected = stats.logrank(censored(candidate), censored(base), alternative="less").pvalue
    assert log_rank(base, candidate, seed=1).chance.worse == pytest.approx(expected)


def test_three_beside_three_differ_as_much_as_one_in_twenty() -> None:
    chance = log_rank(Sample.of([1, 2, 3]), Sample.of([4, 5, 6]), seed=1).chance
    assert chance.worse == chance.least_worse == pytest.approx(1 / 20)
    assert chance.better == 1.0


def test_orders_of_one_incident_are_dealt_together() -> None:
    base = Sample.of([10, 11, 12, 13, 14, 15], ["a"] * 6)
    candidate = Sample.of([20, 21, 22, 23, 24, 25], ["b"] * 6)
    assert (base.dealt, candidate.dealt) == (1, 1)
    assert log_rank(base, candidate, seed=1).chance.worse == pytest.approx(0.5)


def test_random_rearrangements_count_the_one_that_was_found() -> None:
    base, candidate = np.zeros(30), -np.ones(30)
    chance = rearrange(base, candidate, seed=1, resamples=199)
    assert chance.worse == pytest.approx(1 / 200)


@pytest.mark.parametrize(("base", "candidate"), [([], [1.0, 2.0]), ([inf] * 4, [inf] * 4), ([5.0] * 9, [5.0] * 9)])
def test_nothing_to_go_by_gives_no_verdict(base: list[float], candidate: list[float]) -> None:
    found = log_rank(Sample.of(base), Sample.of(candidate), seed=1)
    assert (found.z, found.rate_ratio, found.chance) == (None, None, NO_CHANCE)
    assert slower_interval(Sample.of(base), Sample.of(candidate), alpha=0.05, seed=1) is None


# Never answering


def test_never_is_censored_after_everything_as_kaplan_and_meier_would_have_it() -> None:
    sample = Sample.of([10.0, 20.0, 30.0, inf])
    estimate = stats.ecdf(censored(sample)).cdf
    assert [float(estimate.evaluate(t)) for t in (10, 20, 30, 1e6)] == [0.25, 0.5, 0.75, 0.75]


def test_silence_looks_slow_and_not_fast() -> None:
    """Censored when their watch ended, at 5 s, the silent would leave nobody but the quick, and look no slower."""
    base = Sample.of([*range(20, 40)])
    candidate = Sample.of([*range(20, 30), *[inf] * 10])
    assert log_rank(base, candidate, seed=1).chance.worse < 0.01
    seen = np.array([*range(20, 40), *range(20, 30), *[5] * 10], dtype=float)
    naive = mantel(seen, seen > 5, np.arange(40) >= 20)
    assert naive.observed - naive.expected > 0, "which is why it isn't done"


def test_the_share_never_answered_is_fishers_exact_test() -> None:
    base, candidate = Sample.of([1.0] * 9 + [inf]), Sample.of([1.0] * 5 + [inf] * 7)
    table = [[7, 5], [1, 9]]
    chance = never_test(base, candidate)
    assert chance.worse == pytest.approx(stats.fisher_exact(table, alternative="greater").pvalue)
    assert chance.better == pytest.approx(stats.fisher_exact(table, alternative="less").pvalue)
    assert chance.least_worse <= chance.worse


def test_more_silence_is_worse_by_itself_though_the_rest_are_as_quick() -> None:
    base = play({"police": [*range(20, 80)]})
    candidate = play({"police": [*range(5, 50), *[None] * 15]}, seed=2)
    found = compare([base], [candidate], segments=[Segment.TURNOUT])
    (row,) = found.rows
    assert row.slower is not None
    assert row.slower < 0.5, "three quarters of them are quicker than before"
    assert (found.outcome, row.finding.silence) == (Outcome.WORSE, True)


def test_a_candidate_with_more_silence_is_never_called_better() -> None:
    base = play({"police": [*range(60, 100)]})
    quick = play({"police": [*range(5, 45)]}, seed=2)
    quick_but_one = play({"police": [*range(5, 44), None]}, seed=2)
    assert compare([base], [quick], segments=[Segment.TURNOUT]).outcome is Outcome.BETTER
    assert compare([base], [quick_but_one], segments=[Segment.TURNOUT]).outcome is Outcome.CANT_TELL


# Intervals


def test_a_percentiles_interval_needs_more_the_farther_out_it_lies() -> None:
    assert [interval_needs(percent, 0.05) for percent in (50, 90)] == [6, 36]
    few = Sample.of([1.0] * 5)
    assert quantile_interval(few, few, 50, alpha=0.05, seed=1) is None


@pytest.mark.parametrize("percent", [50, 90])
def test_an_interval_holds_the_true_difference_about_as_often_as_it_says(percent: int) -> None:
    rng = np.random.default_rng(percent)
    truth = 20 * np.exp(0.6 * stats.norm.ppf(percent / 100))
    ends = [
        quantile_interval(times(rng, 60), times(rng, 60, median=60), percent, alpha=0.05, seed=number)
        for number in range(100)
    ]
    held = sum(each is not None and each[0] <= truth <= each[1] for each in ends)
    assert 88 <= held <= 100


def test_an_interval_may_end_with_never() -> None:
    base, candidate = Sample.of([*range(40)]), Sample.of([*range(36), *[inf] * 4])
    found = quantile_interval(base, candidate, 90, alpha=0.05, seed=1)
    assert found is not None
    assert found[1] == inf
    assert found[0] < inf


def test_never_less_never_is_no_difference() -> None:
    silent = Sample.of([1.0] * 10 + [inf] * 40)
    assert quantile_interval(silent, silent, 90, alpha=0.05, seed=1) == (0.0, 0.0)
    found = compare([play({"fire": [None] * 40})], [play({"fire": [5.0] * 40}, seed=2)], segments=[Segment.TURNOUT])
    assert (found.rows[0].base.p50, found.rows[0].p50.value) == (NEVER, -inf)
    assert comparison_json(found)["rows"][0]["difference"]["p50"]["value"] == "-never"


def test_the_chance_of_being_slower_is_mann_and_whitneys() -> None:
    assert slower(Sample.of([1, 2, inf]), Sample.of([2, 3, inf])) == pytest.approx((1 + 0.5 + 1 + 1 + 1 + 1 + 0.5) / 9)
    rng = np.random.default_rng(3)
    base, candidate = times(rng, 40), times(rng, 40, median=60)
    found, value = slower_interval(base, candidate, alpha=0.05, seed=1), slower(base, candidate)
    assert found is not None
    assert value is not None
    assert 0 < found[0] < value < found[1] < 1


# Many comparisons at once


def test_holms_procedure_as_published() -> None:
    """0.01, 0.04, 0.03, 0.005 become 0.03, 0.06, 0.06, 0.02 (the example of R's p.adjust and of statsmodels)."""
    adjusted, divisor = holm([0.01, 0.04, 0.03, 0.005], [0.0] * 4, 0.05)
    assert adjusted == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert divisor == 4


def test_a_test_that_cannot_speak_takes_nothing_from_the_others() -> None:
    adjusted, divisor = holm([0.04, 1.0, 0.5], [0.001, 1.0, 0.2], 0.05)
    assert (adjusted, divisor) == ([0.04, None, None], 1)
    assert holm([], [], 0.05) == ([], 1)


def test_one_worse_row_makes_the_whole_worse() -> None:
    assert overall([Outcome.BETTER, Outcome.WORSE]) is Outcome.WORSE
    assert overall([Outcome.INSUFFICIENT, Outcome.CANT_TELL]) is Outcome.CANT_TELL
    assert overall([]) is Outcome.INSUFFICIENT


def test_a_slower_police_is_found_and_nobody_else_is_blamed() -> None:
    found = compare([drawn(1)], [drawn(2, police=90.0)], segments=[Segment.TURNOUT], by_department=True)
    said = verdicts(found)
    assert found.outcome is said["police"] is Outcome.WORSE
    assert {said[name] for name in DEPARTMENTS if name != "police"} == {Outcome.CANT_TELL}
    row = next(row for row in found.rows if row.department == "police")
    assert row.finding.p_worse is not None
    assert row.finding.p_worse < found.alpha
    assert row.log_rank.rate_ratio is not None
    assert row.log_rank.rate_ratio < 1
    assert row.p50.interval is not None
    assert row.p50.interval[0] > 0
    back = compare([drawn(2, police=90.0)], [drawn(1)], segments=[Segment.TURNOUT], by_department=True)
    assert back.outcome is verdicts(back)["police"] is Outcome.BETTER


def test_the_same_drill_twice_shows_no_difference() -> None:
    one = drawn(1)
    found = compare([one], [one], by_department=True)
    assert set(verdicts(found).values()) == {Outcome.CANT_TELL, Outcome.INSUFFICIENT}
    assert {row.p50.value for row in found.rows} == {0.0}
    assert all(row.slower == 0.5 for row in found.rows)
    assert "stands on both sides" in found.notes[0].en


def test_too_few_are_told_so_with_the_number_that_would_do() -> None:
    found = compare([play({"police": [10, 11]})], [play({"police": [500, 600]}, seed=2)])
    assert set(verdicts(found).values()) == {Outcome.INSUFFICIENT}
    assert found.outcome is Outcome.INSUFFICIENT
    assert {row.finding.needs for row in found.rows} == {3}
    assert all(row.finding.p_worse is None for row in found.rows)


def test_one_incident_beside_one_says_nothing_about_mobilization() -> None:
    found = compare([play({"police": [*range(40)]})], [play({"police": [*range(40)]}, seed=2, handling=500.0)])
    assert verdicts(found)["mobilization"] is Outcome.INSUFFICIENT
    several = [
        [play({"police": [*range(40)]}, seed=seed, handling=base + seed, incidents=4) for seed in range(2)]
        for base in (20.0, 500.0)
    ]
    assert verdicts(compare(*several))["mobilization"] is Outcome.WORSE


def test_false_alarms_over_departments_and_segments_stay_at_five_percent() -> None:
    """30 seeds of 200 pairs of drills without any difference; the bound is four standard deviations away."""
    runs, pairs, alarms, praises = 30, 200, 0, 0
    for seed in range(runs):
        rng = np.random.default_rng((seed, 5))
        for _ in range(pairs):
            drills = [[times(rng, 9, never=0.15) for _ in DEPARTMENTS] for _ in range(2)]
            whole = [Sample.of(np.concatenate([each.times for each in drill]).tolist()) for drill in drills]
            rows = [Pair(Segment.TURNOUT, None, *whole)]
            rows += [
                Pair(Segment.TURNOUT, name, base, candidate)
                for name, base, candidate in zip(DEPARTMENTS, *drills, strict=True)
            ]
            findings = decide(rows, [try_out(row, seed=seed, resamples=499) for row in rows], 0.05)
            said = overall([finding.outcome for finding in findings])
            alarms += said is Outcome.WORSE
            praises += any(finding.outcome is Outcome.BETTER for finding in findings)
    tried = runs * pairs
    bound = 0.05 * tried + 4 * (0.05 * 0.95 * tried) ** 0.5
    assert 0.02 * tried < alarms < bound
    assert praises < bound


def test_false_alarms_of_one_comparison_are_five_in_a_hundred() -> None:
    alarms, tried = 0, 0
    for seed in range(30):
        rng = np.random.default_rng((seed, 6))
        for _ in range(150):
            row = Pair(Segment.TRAVEL, None, times(rng, 30), times(rng, 25))
            (finding,) = decide([row], [try_out(row, seed=seed, resamples=999)], 0.05)
            alarms += finding.outcome is Outcome.WORSE
            tried += 1
    assert abs(alarms - 0.05 * tried) < 4 * (0.05 * 0.95 * tried) ** 0.5


# What it is told with


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    base, candidate = drawn(1), drawn(2)

    def document(seed: int) -> str:
        return repr(comparison_json(compare([base], [candidate], by_department=True, seed=seed)))

    assert document(7) == document(7)
    assert document(7) != document(8)


def test_a_row_does_not_depend_on_the_rows_beside_it() -> None:
    base, candidate = drawn(1), drawn(2)
    alone = compare([base], [candidate], segments=[Segment.TURNOUT]).rows[0]
    among = next(row for row in compare([base], [candidate], by_department=True).rows if row.segment == "turnout")
    assert (alone.p50, alone.p90, alone.slower_interval) == (among.p50, among.p90, among.slower_interval)


def test_what_a_reader_must_know_is_said() -> None:
    twice = [drawn(3), drawn(3)]
    other = drawn(4)
    cut = Played(other.drill, replace(other.observed, impossible={Segment.TRAVEL: 2}, cut_short=5))
    notes = " | ".join(note.en for note in compare(twice, [cut]).notes)
    assert "base: drills of one scenario share a seed" in notes
    assert "candidate: 5 orders were taken back" in notes
    assert "candidate: 2 spans ended before they began" in notes


def test_a_trend_has_every_drill_and_judges_the_last_by_those_before() -> None:
    history = [drawn(seed) for seed in range(4)] + [drawn(9, fire=200.0, police=200.0, water=200.0)]
    found = trend_of("river-flood", history, segments=[Segment.TURNOUT])
    assert [summary.n for summary in found.lines[0].summaries] == [125] * 5
    assert found.lines[0].sparklines[0].endswith("█")
    assert found.last is not None
    assert (len(found.last.base), found.last.outcome) == (4, Outcome.WORSE)
    assert trend_of("river-flood", history[:1]).last is None


def test_a_sparkline_tells_never_from_not_told() -> None:
    assert sparkline([SECOND, 8 * SECOND, NEVER, None, 4 * SECOND]) == "▁█×·▄"
    assert sparkline([SECOND, SECOND]) == "▁▁"
    assert sparkline([None]) == "·"
