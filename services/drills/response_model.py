"""How fast departments respond, learnt from what a dispatch system recorded: the document, and drawing times from it.

Pure: the same document, seed, department and task give the same times, everywhere. Fitting is in
`services.drills.fitting`, so that a drill which draws needs no numerics library.
"""

import math
import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist
from typing import Annotated

import yaml
from pydantic import Field

from schemas.base import Document, Slug
from services.drills.behaviour import Behaviour, Course
from services.drills.dispatch_records import Span
from services.playbooks.problem import NodePath, PlaybookError, Problem, did_you_mean
from services.playbooks.validation import validate
from services.playbooks.yaml_source import MAX_BYTES, SourceMap, read_text, read_tree

FORMAT = 1
LEVELS = (*range(0, 1_000, 10), *range(991, 1_001))
"""Where the empirical knots lie, per mille of those who responded; closer at the end, where the slow ones are."""
WORK_OTHERWISE = Behaviour().work_median
"""Seconds of work where the records have none."""

_HEAD = f"""\
# How fast departments responded, fitted by `muster drill models fit`; read it with `muster drill models show`.
# never: the share that never responded. seconds: the times that 0, 1, ... 99 %, then 99.1 ... 99.9 and 100 % of the
# others lie at or below ({len(LEVELS)} knots). mu, sigma: mean and standard deviation of the logarithm of the others'
# seconds. ks: the greatest distance between the fitted and the recorded distribution (Kolmogorov-Smirnov).
"""
_NORMAL = NormalDist()
_BELOW_ONE = math.nextafter(1.0, 0.0)

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]


class Kind(StrEnum):
    """What a fitted segment is: quantiles as they were recorded, or a lognormal distribution."""

    EMPIRICAL = "empirical"
    LOGNORMAL = "lognormal"


class Censoring(StrEnum):
    """How long those who never responded are taken to have been watched: for ever, or until the call was cleared.

    ``never`` agrees with the percentile tables and assumes nothing. ``cleared`` asks less of a department whose call
    was cancelled, and assumes that clearing a call says nothing about the answer that was still to come.
    """

    NEVER = "never"
    CLEARED = "cleared"


class Source(Document):
    """Where the times come from. ``columns`` maps roles to the file's columns.

    ``zeros_dropped``: calls that took no time count as answered, and say nothing about how fast.
    """

    file: Annotated[str, Field(min_length=1)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    rows: Count
    columns: dict[str, str]
    zeros_dropped: bool = False


class SegmentModel(Document):
    """One segment's fitted distribution. ``n`` counts the ``censored`` too; ``zeros`` took no time at all.

    Has ``seconds`` (empirical), or ``mu`` and ``sigma`` (lognormal). ``set_aside`` counts rows by reason.
    """

    segment: Span
    n: Annotated[int, Field(ge=1)]
    censored: Count
    zeros: Count
    set_aside: dict[str, Count]
    ks: Share
    never: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
    mu: Annotated[float, Field(ge=-50, le=50, allow_inf_nan=False)] | None = None
    sigma: Annotated[float, Field(ge=0, le=20, allow_inf_nan=False)] | None = None
    seconds: tuple[Seconds, ...] | None = None


class GroupModel(Document):
    """The rows of one agency, unit or nature. A segment with too few of them is absent: the whole's is used."""

    group: Annotated[str, Field(min_length=1)]
    segments: Annotated[tuple[SegmentModel, ...], Field(min_length=1)]


class ResponseModel(Document):
    """One file under ``playbooks/models``. ``left_out``: groups with too few rows for any segment, and their rows."""

    format: Annotated[int, Field(ge=FORMAT, le=FORMAT)]
    id: Slug
    kind: Kind
    censoring: Censoring
    source: Source
    segments: Annotated[tuple[SegmentModel, ...], Field(min_length=1)]
    by: str | None = None
    groups: tuple[GroupModel, ...] = ()
    left_out: dict[str, Count] = Field(default_factory=dict)

    def segment(self, span: Span, group: str | None = None) -> SegmentModel | None:
        """Give a segment of a group, or else of the whole; None when neither has it."""
        own = next((each.segments for each in self.groups if each.group == group), ())
        return next((each for each in (*own, *self.segments) if each.segment is span), None)


@dataclass(frozen=True, slots=True)
class DrawnTimes:
    """How long one department takes over one order, in seconds from step to step; None: it never gets there.

    ``turnout``: order to en route. ``travel``: en route to on scene. ``work``: on scene to the end.
    """

    turnout: float | None
    travel: float | None
    work: float | None


def load_model(path: Path) -> ResponseModel:
    """Read a model's file; PlaybookError with every problem of it."""
    return parse_model(read_text(path), str(path))


def parse_model(text: str, file: str) -> ResponseModel:
    """Read a model's YAML text; ``file`` is the name that problems carry."""
    tree, source = read_tree(text, file)
    document = validate(ResponseModel, tree, source)
    problems = [
        *_check_segments(document, document.segments, ("segments",), source),
        *_check_groups(document, source),
    ]
    if problems:
        raise PlaybookError(problems)
    return document


def write_model(model: ResponseModel) -> str:
    """Write a model as YAML; the same model gives the same bytes, and `parse_model` gives it back.

    Raises ValueError when the text would be larger than a playbook may be, as with very many groups.
    """
    plain = model.model_dump(mode="json", exclude_none=True)
    text = _HEAD + yaml.safe_dump(
        _short(plain), sort_keys=False, allow_unicode=True, width=120, default_flow_style=None
    )
    if len(text.encode()) > MAX_BYTES:
        raise ValueError(f"a model of {len(model.groups)} groups is larger than {MAX_BYTES // 1024} KiB")
    return text


def sample(model: SegmentModel, uniform: float) -> float | None:
    """Give the time (seconds) at a chance from 0 to below 1: longer for a greater one, None for who never responds.

    Between the knots of an empirical model times are interpolated. Raises ValueError for a chance out of range.
    """
    if not 0 <= uniform < 1:
        raise ValueError("uniform: must lie from 0 to below 1")
    if uniform >= 1 - model.never:
        return None
    share = min(uniform / (1 - model.never), _BELOW_ONE)
    if model.seconds is not None:
        return _interpolate(model.seconds, share * LEVELS[-1])
    if model.mu is None or model.sigma is None:
        raise ValueError(f"{model.segment}: has neither knots nor mu and sigma")
    return math.exp(model.mu + model.sigma * _NORMAL.inv_cdf(share)) if share > 0 else 0.0


def draw_times(
    model: ResponseModel,
    seed: int,
    department: str,
    task: str,
    *,
    group: str | None = None,
    work_otherwise: float = WORK_OTHERWISE,
) -> DrawnTimes:
    """Draw how long a department takes over an order; a pure function of its arguments, on every machine.

    ``group`` is one of the model's (by default the department's own name, if it is one). The three are drawn
    independently; where the model has no travel it takes no time, and where it has no work ``work_otherwise``
    seconds. Raises ValueError for a group that isn't there, and for a model without turnout.
    """
    if group is not None and group not in (names := [each.group for each in model.groups]):
        raise ValueError(f'model {model.id}: no group "{group}"; {did_you_mean(group, names)}'.rstrip("; "))
    chosen = group or department
    turnout = model.segment(Span.TURNOUT, chosen)
    if turnout is None:
        raise ValueError(f"model {model.id}: has no turnout, so nobody's answer can be drawn from it")
    chance = random.Random(f"{seed}:{department}:{task}:model")  # noqa: S311 (a simulation, no secret)
    # Every number is drawn whether it is needed or not, so that one segment changes nothing in another.
    answer_at, travel_at, work_at = (chance.random() for _ in range(3))
    return DrawnTimes(
        turnout=sample(turnout, answer_at),
        travel=_drawn(model.segment(Span.TRAVEL, chosen), travel_at, 0.0),
        work=_drawn(model.segment(Span.WORK, chosen), work_at, work_otherwise),
    )


def course_from(
    model: ResponseModel,
    seed: int,
    department: str,
    task: str,
    *,
    group: str | None = None,
    work_otherwise: float = WORK_OTHERWISE,
) -> Course:
    """Draw what a simulated department will do about an order; arguments and errors are those of `draw_times`.

    Going en route is the first answer that dispatch records show, so it is answer and start in one, and the work
    lasts from there over the way to the end: for ever (infinity) for one who never gets there. Records know no
    refusals and no obstacles, so none are drawn.
    """
    times = draw_times(model, seed, department, task, group=group, work_otherwise=work_otherwise)
    return Course(
        is_silent=times.turnout is None,
        declines=False,
        answer_after=times.turnout or 0.0,
        start_after=0.0,
        work_for=math.inf if times.travel is None or times.work is None else times.travel + times.work,
        blocked_after=None,
        resolve_after=0.0,
    )


def _drawn(model: SegmentModel | None, uniform: float, otherwise: float) -> float | None:
    return otherwise if model is None else sample(model, uniform)


def _interpolate(seconds: Sequence[float], level: float) -> float:
    left = min(bisect_right(LEVELS, level), len(LEVELS) - 1) - 1
    part = (level - LEVELS[left]) / (LEVELS[left + 1] - LEVELS[left])
    return float(seconds[left] + part * (seconds[left + 1] - seconds[left]))


def _short(value: object) -> object:
    """Write whole numbers without their fraction."""
    if isinstance(value, dict):
        return {key: _short(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_short(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _check_groups(document: ResponseModel, source: SourceMap) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, group in enumerate(document.groups):
        if group.group in seen:
            yield source.problem(("groups", index, "group"), f'"{group.group}" is there twice', "keep one of them")
        seen.add(group.group)
        yield from _check_segments(document, group.segments, ("groups", index, "segments"), source)


def _check_segments(
    document: ResponseModel, segments: Sequence[SegmentModel], path: NodePath, source: SourceMap
) -> Iterator[Problem]:
    seen: set[Span] = set()
    for index, each in enumerate(segments):
        here = (*path, index)
        if each.segment in seen:
            yield source.problem((*here, "segment"), f'"{each.segment}" is there twice', "keep one of them")
        seen.add(each.segment)
        if each.censored >= each.n:
            yield source.problem((*here, "censored"), f"{each.censored} of {each.n} leaves no time", "fit it again")
        knots = each.seconds
        has_curve = each.mu is not None and each.sigma is not None
        if (knots is not None, has_curve) != (document.kind is Kind.EMPIRICAL, document.kind is Kind.LOGNORMAL):
            wanted = "`seconds`" if document.kind is Kind.EMPIRICAL else "`mu` and `sigma`"
            yield source.problem(
                here, f"each segment of kind {document.kind} has {wanted}, and only that", "fit it again"
            )
        elif knots is not None and len(knots) != len(LEVELS):
            yield source.problem((*here, "seconds"), f"has {len(knots)} knots, not {len(LEVELS)}", "fit it again")
        elif knots is not None and any(a > b for a, b in pairwise(knots)):
            yield source.problem((*here, "seconds"), "the knots do not rise", "fit it again")
