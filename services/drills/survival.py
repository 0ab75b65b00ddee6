"""How two samples of response times differ, those who never responded included: pure statistics, seeded.

Who never responds is not an ordinary censored observation. Censoring must say nothing about the time to come, and
never responding says everything: were it censored when its watch ended, a sample of which more never respond would
look faster. So it is censored later than every time that was seen, and stays at risk to the end. This is Gray's test
(1988) on the subdistribution hazard; the Kaplan-Meier estimate (1958) then is the plain share that has responded.

Sources: Mantel, Cancer Chemother. Rep. 50 (1966) 163; Peto and Peto, J. R. Stat. Soc. A 135 (1972) 185; Gray,
Ann. Stat. 16 (1988) 1141; Heimann and Neuhaus, Biometrics 54 (1998) 168, on permuting log-rank scores; Phipson and
Smyth, Stat. Appl. Genet. Mol. Biol. 9 (2010) 39; Efron and Tibshirani, An Introduction to the Bootstrap (1993).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import ceil, comb, exp, isnan, log, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Interval = tuple[float, float] | None
"""The ends of a confidence interval, or None where the data are too few for one."""

RESAMPLES = 9_999
"""Random rearrangements from which a test's p-value is counted where there are too many to go through all."""
EXACT = 10_000
"""Rearrangements up to which all of them are gone through."""
LARGE = 100
"""Units in both samples from which the log-rank statistic is taken for normal."""
LOPSIDED = 4
"""How many times larger one sample may be; log-rank scores are skew, and it shows where samples differ in size."""
LOPSIDED_LARGE = 1_000
"""Units in the smaller sample from which that no longer matters."""
REPLICATES = 1_999
"""Bootstrap samples behind an interval; Efron and Tibshirani (section 14.3) ask for 1,000 at least."""
_CELLS = 2_000_000
"""Numbers held at once while resampling."""
_BY_KEYS = 1_000
"""Pool size up to which sorting random keys draws subsets faster than one draw after another."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Times in seconds, ascending, infinite for who never responded, each with the number of its unit.

    A unit is what chance deals as one piece: the order itself, or the incident where its orders share a time.
    """

    times: Floats
    units: Ints

    @classmethod
    def of(cls, times: Sequence[float], units: Sequence[object] | None = None) -> "Sample":
        """Sort a sample; without ``units`` every time stands for itself."""
        values = np.asarray(times, dtype=np.float64)
        numbers: dict[object, int] = {}
        marks = range(len(values)) if units is None else (numbers.setdefault(unit, len(numbers)) for unit in units)
        order = np.argsort(values, kind="stable")
        return cls(values[order], np.fromiter(marks, dtype=np.int64, count=len(values))[order])

    @property
    def n(self) -> int:
        """How many times there are, those who never responded included."""
        return int(self.times.size)

    @property
    def never(self) -> int:
        """How many never responded."""
        return int(np.isinf(self.times).sum())

    @property
    def dealt(self) -> int:
        """How many units there are."""
        return int(self.units.max()) + 1 if self.n else 0


@dataclass(frozen=True, slots=True)
class Chance:
    """One-sided p-values of a test for each direction, and the least it could have given with these numbers.

    ``worse``: how often chance alone makes the candidate look as slow as it does, or slower; ``better`` the reverse.
    ``least_worse`` and ``least_better`` depend on the two samples taken together, not on which value is in which.
    """

    worse: float
    better: float
    least_worse: float
    least_better: float


NO_CHANCE = Chance(1.0, 1.0, 1.0, 1.0)
"""A test that has nothing to go by."""


@dataclass(frozen=True, slots=True)
class LogRank:
    """The log-rank test. ``observed`` and ``expected`` count the candidate's responses.

    ``z = (O - E) / sqrt(V)`` (Mantel 1966), below zero when the candidate is slower; ``rate_ratio = exp((O - E) / V)``
    is Peto's one-step hazard ratio, below one then. Both are None where nobody responded or everybody at once.
    """

    observed: int
    expected: float
    z: float | None
    rate_ratio: float | None
    chance: Chance


def log_rank(base: Sample, candidate: Sample, *, seed: int, resamples: int = RESAMPLES) -> LogRank:
    """Compare two samples by the log-rank test.

    With scores a = d - H(t), where d is 1 for a response and H the Nelson-Aalen hazard of both samples together, the
    candidate's scores add up to O - E (Peto and Peto 1972). Its p-value counts rearrangements of the units, all of
    them or ``resamples`` at random, which holds in samples of any size; from `LARGE` units in both on it is the
    normal one, unless one sample is `LOPSIDED` times the other or units are incidents.
    """
    pooled = np.concatenate((base.times, candidate.times))
    found = mantel(pooled, np.isfinite(pooled), np.arange(pooled.size) >= base.n)
    difference, variance = found.observed - found.expected, found.variance
    z = difference / sqrt(variance) if variance > 0 else None
    ratio = exp(difference / variance) if variance > 0 else None
    return LogRank(found.observed, found.expected, z, ratio, _chance(base, candidate, found.scores, z, seed, resamples))


@dataclass(frozen=True, slots=True)
class Mantel:
    """The second sample's observed and expected responses, the variance of their difference, and all scores."""

    scores: Floats
    observed: int
    expected: float
    variance: float


def mantel(times: Floats, ended: NDArray[np.bool_], second: NDArray[np.bool_]) -> Mantel:
    """Reckon the log-rank test's parts from times that ended or were censored, of which some are the second sample's.

    At each time t with d responses among n at risk, of whom m are of the second sample: E = d m / n and
    V = d (m / n) (1 - m / n) (n - d) / (n - 1), added up (Mantel 1966).
    """
    at, responses = np.unique(times[ended], return_counts=True)
    at_risk = times.size - np.searchsorted(np.sort(times), at, side="left")
    hazard = np.concatenate(([0.0], np.cumsum(responses / at_risk)))
    scores: Floats = ended - hazard[np.searchsorted(at, times, side="right")]
    share = (second.sum() - np.searchsorted(np.sort(times[second]), at, side="left")) / at_risk
    variance = responses * share * (1 - share) * (at_risk - responses) / np.maximum(at_risk - 1, 1)
    observed = int(ended[second].sum())
    return Mantel(scores, observed, observed - float(scores[second].sum()), float(variance.sum()))


def _chance(base: Sample, candidate: Sample, scores: Floats, z: float | None, seed: int, resamples: int) -> Chance:
    if z is None:
        return NO_CHANCE
    few, many = sorted((base.n, candidate.n))
    even = many <= LOPSIDED * few or few >= LOPSIDED_LARGE
    if few >= LARGE and even and _single(base, candidate):
        return Chance(float(stats.norm.cdf(z)), float(stats.norm.sf(z)), 0.0, 0.0)
    sums = (_by_unit(base, scores[: base.n]), _by_unit(candidate, scores[base.n :]))
    return rearrange(*sums, seed=seed, resamples=resamples)


def _single(base: Sample, candidate: Sample) -> bool:
    return base.dealt == base.n and candidate.dealt == candidate.n


def _by_unit(sample: Sample, scores: Floats) -> Floats:
    return np.bincount(sample.units, weights=scores, minlength=sample.dealt).astype(np.float64)


def rearrange(base: Floats, candidate: Floats, *, seed: int, resamples: int = RESAMPLES) -> Chance:
    """Count how rarely chance deals the candidate so low, or so high, a sum of scores.

    At random, the arrangement that was found counts as one of them, so that no p-value is too small (Phipson and
    Smyth 2010).
    """
    pooled = np.concatenate((base, candidate))
    smaller, sign, offset = (
        (candidate.size, 1.0, 0.0) if candidate.size <= base.size else (base.size, -1.0, float(pooled.sum()))
    )
    if smaller == 0:
        return NO_CHANCE
    found = float(candidate.sum())
    exact = comb(pooled.size, smaller) <= EXACT
    chosen = _all_subsets(pooled.size, smaller) if exact else _subsets(pooled.size, smaller, resamples, seed)
    sums = offset + sign * pooled[chosen].sum(axis=1)
    if not exact:
        sums = np.append(sums, found)
    blur = 1e-9 * max(1.0, float(np.abs(sums).max()))  # sums of the same scores in another order differ by rounding
    return Chance(
        worse=float(np.mean(sums <= found + blur)),
        better=float(np.mean(sums >= found - blur)),
        least_worse=float(np.mean(sums <= sums.min() + blur)),
        least_better=float(np.mean(sums >= sums.max() - blur)),
    )


@lru_cache(maxsize=64)
def _all_subsets(n: int, size: int) -> Ints:
    return np.array(list(combinations(range(n), size)), dtype=np.int64)


@lru_cache(maxsize=16)
def _subsets(n: int, size: int, count: int, seed: int) -> Ints:
    draw = np.random.default_rng((seed, n, size))
    if n > _BY_KEYS:
        return np.array([draw.choice(n, size, replace=False, shuffle=False) for _ in range(count)])
    return np.concatenate(
        [np.argpartition(draw.random((rows, n)), size - 1, axis=1)[:, :size] for rows in _portions(count, n)]
    )


def never_test(base: Sample, candidate: Sample) -> Chance:
    """Compare the shares that never responded by Fisher's exact test: the hypergeometric tails of the candidate's."""
    never, total = base.never + candidate.never, base.n + candidate.n
    if never in {0, total} or 0 in {base.n, candidate.n}:
        return NO_CHANCE
    fewest, most = max(0, never - base.n), min(never, candidate.n)
    dealt = stats.hypergeom.pmf(np.arange(fewest, most + 1), total, never, candidate.n)
    place = candidate.never - fewest
    return Chance(
        worse=min(1.0, float(dealt[place:].sum())),
        better=min(1.0, float(dealt[: place + 1].sum())),
        least_worse=float(dealt[-1]),
        least_better=float(dealt[0]),
    )


def slower(base: Sample, candidate: Sample) -> float | None:
    """Give the probability that the candidate is slower: P(C > B) + P(C = B) / 2; two who never respond are equal.

    Vargha and Delaney's A, J. Educ. Behav. Stat. 25 (2000) 101; 0.5 where there is no difference.
    """
    if 0 in {base.n, candidate.n}:
        return None
    return float(_slower(base.times, candidate.times))


def _slower(base: Floats, candidate: Floats, axis: int = -1) -> Floats:
    """Reckon A from the candidate's ranks among both, as Mann and Whitney do."""
    n, m = base.shape[axis], candidate.shape[axis]
    ranks = np.asarray(stats.rankdata(np.concatenate((base, candidate), axis=axis), axis=axis))
    of_candidate: Floats = ranks.take(range(n, n + m), axis=axis).sum(axis=axis)
    won: Floats = (of_candidate - m * (m + 1) / 2) / (n * m)
    return won


def slower_interval(base: Sample, candidate: Sample, *, alpha: float, seed: int) -> Interval:
    """Give A's bootstrap interval, bias-corrected and accelerated (Efron and Tibshirani, section 14.3).

    A is smooth in the data, so that the jackknife behind BCa is valid. None where units are incidents, where there
    are fewer than `interval_needs` for a median, and where one sample lies wholly above the other.
    """
    value = slower(base, candidate)
    few = min(base.n, candidate.n) < interval_needs(50, alpha)
    if (
        value is None
        or few
        or not _single(base, candidate)
        or value in {0.0, 1.0}
        or np.ptp(_finite(base, candidate)) == 0
    ):
        return None
    result = stats.bootstrap(
        (base.times, candidate.times),
        _slower,
        vectorized=True,
        n_resamples=REPLICATES,
        batch=max(1, _CELLS // (base.n + candidate.n)),
        confidence_level=1 - alpha,
        method="BCa",
        rng=np.random.default_rng(seed),
    )
    low, high = (float(end) for end in result.confidence_interval)
    return None if isnan(low) or isnan(high) else (low, high)


def _finite(base: Sample, candidate: Sample) -> Floats:
    """Write never as a number beyond all others, so that spread can be reckoned."""
    both = np.concatenate((base.times, candidate.times))
    ended = both[np.isfinite(both)]
    return np.where(np.isfinite(both), both, (ended.max() if ended.size else 0.0) + 1.0)


def interval_needs(percent: int, alpha: float) -> int:
    """Say from how many on a percentile has an interval: q ** n <= alpha / 2, with q the share on its longer side.

    Below that even the extremes of the sample leave more than alpha / 2 on one side of them (David and Nagaraja,
    Order Statistics, section 7.1): 6 for p50 and 36 for p90 at 5 %.
    """
    share = max(percent, 100 - percent) / 100
    return ceil(log(alpha / 2) / log(share) - 1e-9)


def quantile_interval(base: Sample, candidate: Sample, percent: int, *, alpha: float, seed: int) -> Interval:
    """Give the bootstrap interval of the candidate's percentile less the base's, in seconds; ends may be infinite.

    Units are resampled, each sample for itself, never-responders included. The ends are percentiles of the
    differences: BCa is not valid here, because the jackknife of a percentile does not converge (Efron and Tibshirani,
    section 11.6). Never less never counts as no difference. None below `interval_needs`.
    """
    if min(base.dealt, candidate.dealt) < interval_needs(percent, alpha):
        return None
    draw = np.random.default_rng((seed, percent))
    before, after = (_resampled(sample, percent, draw) for sample in (base, candidate))
    both_never = np.isinf(before) & np.isinf(after)
    differences = np.sort(np.where(both_never, 0.0, after) - np.where(both_never, 0.0, before))
    low, high = (ceil(differences.size * part) - 1 for part in (alpha / 2, 1 - alpha / 2))
    return float(differences[low]), float(differences[high])


def _resampled(sample: Sample, percent: int, draw: np.random.Generator) -> Floats:
    """Draw units with replacement and give the nearest-rank percentile of each replicate."""
    found = []
    for rows in _portions(REPLICATES, max(sample.n, sample.dealt)):
        counts = draw.multinomial(sample.dealt, np.full(sample.dealt, 1 / sample.dealt), size=rows)
        reached = counts[:, sample.units].cumsum(axis=1)
        wanted = (reached[:, -1:] * percent + 99) // 100
        found.append(sample.times[(reached < wanted).sum(axis=1)])
    return np.concatenate(found)


def _portions(count: int, width: int) -> Iterator[int]:
    """Cut ``count`` rows into portions that fit into memory."""
    step = max(1, _CELLS // max(1, width))
    for begin in range(0, count, step):
        yield min(step, count - begin)
