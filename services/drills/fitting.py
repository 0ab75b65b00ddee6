"""Fit a response model to dispatch records: quantile knots, or a lognormal by maximum likelihood, with censoring.

Those who never responded are right-censored (Klein and Moeschberger, Survival Analysis, 3.5 and 4.2): watched for
ever, or until their call was cleared. Empirical knots are quantiles of the Kaplan-Meier estimate. The lognormal is a
mixture with those who would never respond (Boag 1949; Maller and Zhou, Survival Analysis with Long-Term Survivors):
without any of these it is the plain right-censored fit. Recorded times are rounded to a resolution, so that a zero
says no more than "below half of it".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_ndtr, ndtr
from scipy.stats import CensoredData, ecdf

from services.drills.dispatch_file import RecordsError
from services.drills.dispatch_records import Reason, Records, Span, Spans
from services.drills.response_model import (
    FORMAT,
    LEVELS,
    Censoring,
    GroupModel,
    Kind,
    ResponseModel,
    SegmentModel,
    Source,
)

LEAST = 20
"""Fewest responses that a segment is fitted to: p95 is told from no fewer either."""
MINUTE = 60.0
SMALLEST = 1e-12
"""What a probability may be off by and still count as reached; rounding stays far below it."""
DIGITS = 5
"""Decimals of fitted parameters: far finer than their sampling error, coarser than the optimizer's last digits."""
MOST_SILENT = 0.999999
"""The greatest share that never responds: somebody did."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Times:
    """One segment's data in seconds: what was observed, and how long each censored one was watched (may be inf)."""

    took: Floats
    watched: Floats

    @property
    def resolution(self) -> float:
        """What the times were rounded to: a minute if all are whole minutes, else a second."""
        return MINUTE if not np.any(self.took % MINUTE) else 1.0


@dataclass(frozen=True, slots=True)
class Curve:
    """A distribution function that ends at 1 - never: its value from each of ``at`` (seconds, rising) on."""

    at: Floats
    share: Floats


def fit_model(
    records: Records,
    name: str,
    kind: Kind = Kind.EMPIRICAL,
    censoring: Censoring = Censoring.NEVER,
    by: str | None = None,
    *,
    zeros_dropped: bool = False,
) -> ResponseModel:
    """Fit every segment of the whole, and of each group, that has at least `LEAST` responses.

    A lognormal also needs two different times above zero; a segment without is left out. Raises `RecordsError` when
    no segment of the whole is left.
    """
    segments = _segments(records.whole, kind, censoring)
    if not segments:
        most = max(len(spans.took) for spans in records.whole.values())
        spread = ", of two lengths or more," if kind is Kind.LOGNORMAL else ""
        raise RecordsError(
            f"{records.file}: a model needs {LEAST} calls with a usable time{spread} in a segment;"
            f" at most {most} have one"
        )
    fitted = {group: _segments(records.groups[group], kind, censoring) for group in sorted(records.groups)}
    return ResponseModel(
        format=FORMAT,
        id=name,
        kind=kind,
        censoring=censoring,
        source=Source(
            file=PurePath(records.file).name,
            sha256=records.sha256,
            rows=records.rows,
            columns={role.value: column for role, column in records.columns.names.items()},
            zeros_dropped=zeros_dropped,
        ),
        segments=segments,
        by=by,
        groups=tuple(GroupModel(group=group, segments=found) for group, found in fitted.items() if found),
        left_out={group: records.sizes[group] for group, found in fitted.items() if not found},
    )


def _segments(whole: dict[Span, Spans], kind: Kind, censoring: Censoring) -> tuple[SegmentModel, ...]:
    return tuple(
        fit_segment(span, spans, kind, censoring)
        for span, spans in whole.items()
        if len(spans.took) >= LEAST and (kind is Kind.EMPIRICAL or _has_spread(spans))
    )


def _has_spread(spans: Spans) -> bool:
    """Tell whether a curve can be fitted: times that are all the same, or all zero, have no width."""
    return len({each for each in spans.took if each > 0}) > 1


def fit_segment(span: Span, spans: Spans, kind: Kind, censoring: Censoring) -> SegmentModel:
    """Fit one segment; raises ValueError for a lognormal without two different times above zero."""
    times = Times(np.sort(np.array(spans.took)), np.sort(np.array(spans.watched)))
    if censoring is Censoring.NEVER:
        # Watched for ever, the share that never responds is what was seen, and the others' times don't depend on it.
        # A zero that was dropped is a call that was answered; without it silence would look more common than it is.
        fixed = times.watched.size / (spans.n + spans.set_aside[Reason.ZERO])
        times = Times(times.took, np.empty(0))
    else:
        fixed = 0.0
    curve = kaplan_meier(times)
    if kind is Kind.EMPIRICAL:
        never = max(0.0, 1.0 - float(curve.share[-1]))
        knots = quantile_knots(curve)
        shape: dict[str, Any] = {"seconds": tuple(round(each, 3) for each in knots)}
        modelled = _empirical_shares(np.array(knots), curve.at) * (1 - never)
    else:
        mu, sigma, never = fit_lognormal(times)
        shape = {"mu": round(mu, DIGITS), "sigma": round(sigma, DIGITS)}
        modelled = (1 - never) * ndtr((np.log(curve.at + times.resolution / 2) - mu) / sigma)
    return SegmentModel(
        segment=span,
        n=spans.n,
        censored=len(spans.watched),
        zeros=spans.zeros,
        set_aside={reason.value: count for reason, count in sorted(spans.set_aside.items())},
        ks=round(float(np.max(np.abs(modelled - curve.share))) * (1 - fixed), 4),
        never=min(round(fixed or never, DIGITS + 1), MOST_SILENT),
        **shape,
    )


def kaplan_meier(times: Times) -> Curve:
    """Estimate the distribution of the times; what it lacks of 1 at its end is the share that never responded."""
    ends = np.concatenate([times.took, times.watched])
    watched = np.minimum(times.watched, np.max(ends[np.isfinite(ends)]) + 1)
    data = np.concatenate([times.took, watched])
    is_censored = np.concatenate([np.zeros(times.took.size, bool), np.ones(watched.size, bool)])
    found = ecdf(CensoredData.right_censored(data, is_censored)).cdf
    at, share = np.asarray(found.quantiles, float), np.asarray(found.probabilities, float)
    is_step = np.isin(at, times.took)
    return Curve(at[is_step], share[is_step])


def quantile_knots(curve: Curve) -> list[float]:
    """Give the nearest-rank quantile at each of `LEVELS`, among those who respond (seconds)."""
    wanted = np.array(LEVELS) / LEVELS[-1] * curve.share[-1]
    places = np.searchsorted(curve.share, wanted - SMALLEST)
    return [float(each) for each in curve.at[places]]


def fit_lognormal(times: Times) -> tuple[float, float, float]:
    """Give mu, sigma and the share that never responds, of greatest likelihood.

    Raises ValueError when fewer than two different times above zero leave nothing to fit.
    """
    logs, counts = np.unique(np.log(times.took[times.took > 0]), return_counts=True)
    if logs.size < 2:
        raise ValueError("a lognormal needs two different times above zero")
    zeros = times.took.size - int(counts.sum())
    watched = times.watched[times.watched > 0]
    ends, weights = np.unique(watched, return_counts=True)
    log_ends = np.log(ends)
    below = log(times.resolution / 2)
    n = times.took.size + watched.size

    def cost(parameters: Floats) -> float:
        mu, sigma, never = float(parameters[0]), float(np.exp(parameters[1])), float(parameters[2])
        z = (logs - mu) / sigma
        likelihood = float(np.sum(counts * (-log(sigma) - z * z / 2)))
        likelihood += zeros * float(log_ndtr((below - mu) / sigma))
        survived = never + (1 - never) * ndtr((mu - log_ends) / sigma)
        likelihood += times.took.size * float(np.log1p(-never))
        likelihood += float(np.sum(weights * np.log(np.maximum(survived, np.finfo(float).tiny))))
        return -likelihood / n

    share = times.watched.size / (times.took.size + times.watched.size)
    mean = float(np.average(logs, weights=counts))
    spread = float(np.sqrt(np.average((logs - mean) ** 2, weights=counts)))
    bounds = [(-50.0, 50.0), (log(1e-6), log(20.0)), (0.0, 1 - 1e-9)]
    start = [mean, log(spread), share / 2]
    found = minimize(cost, start, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-14, "gtol": 1e-9})
    mu, log_sigma, never = (float(each) for each in found.x)
    return mu, float(np.exp(log_sigma)), never


def _empirical_shares(knots: Floats, at: Sequence[float] | Floats) -> Floats:
    """Give the distribution function of interpolated knots, which steps where knots are equal."""
    levels = np.array(LEVELS) / LEVELS[-1]
    right = np.searchsorted(knots, at, side="right")
    left = np.clip(right - 1, 0, knots.size - 1)
    following = np.clip(right, 0, knots.size - 1)
    width = knots[following] - knots[left]
    part = np.divide(np.asarray(at) - knots[left], width, out=np.zeros_like(width), where=width > 0)
    shares: Floats = levels[left] + part * (levels[following] - levels[left])
    return shares
