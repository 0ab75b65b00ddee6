"""How simulated people behave: values, and draws that depend on nothing but seed, department and task.

A simulated department behaves the same for the same seed, department and task, whenever and in whatever order its
orders arrive, on the wire or on a virtual clock: all it will do is drawn beforehand, as a `Course`. Each incident of a
drill is a scene with a seed of its own: eight answers that chance was asked for once would pass for eight observations.
"""

import math
import random
from dataclasses import dataclass
from typing import cast

from schemas.drill import Pace, ParticipantRule

Z_90 = 1.2815515655446004
"""The standard normal distribution's ninth decile."""
SEED_BITS = 48


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a department answers. Times are seconds; chances lie between 0 and 1.

    A delay is lognormal: half of them are shorter than the median, and ``sigma`` is the standard deviation of its
    logarithm (0: always the median). ``resolve`` is the median of how long an obstacle lasts. Raises ValueError for
    a time that is negative or not finite, and for a chance outside its bounds.
    """

    answer_median: float = 60.0
    answer_sigma: float = 0.5
    start_median: float = 300.0
    start_sigma: float = 0.5
    work_median: float = 1_800.0
    work_sigma: float = 0.5
    resolve_median: float = 600.0
    resolve_sigma: float = 0.5
    decline: float = 0.0
    silent: float = 0.0
    block: float = 0.0

    def __post_init__(self) -> None:
        for name in ("decline", "silent", "block"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: must lie between 0 and 1")
        for name in ("answer", "start", "work", "resolve"):
            for part in ("median", "sigma"):
                value = getattr(self, f"{name}_{part}")
                if not (math.isfinite(value) and value >= 0):
                    raise ValueError(f"{name}_{part}: must be a finite number, 0 or more")


@dataclass(frozen=True, slots=True)
class Course:
    """What a simulated department will do about one order. Seconds from step to step: order, answer, start, done.

    ``blocked_after`` lies within the work and is None without an obstacle.
    """

    is_silent: bool
    declines: bool
    answer_after: float
    start_after: float
    work_for: float
    blocked_after: float | None
    resolve_after: float


def draw_course(behaviour: Behaviour, seed: int, department: str, task: str) -> Course:
    """Draw what happens; a pure function of its arguments, on every machine."""
    chance = random.Random(f"{seed}:{department}:{task}")  # noqa: S311 (a simulation, no secret)
    # Every number is drawn whether it is needed or not, so that changing one chance changes nothing else.
    is_silent, declines, blocks, blocked_at = (chance.random() for _ in range(4))
    answer_after, start_after, work_for, resolve_after = (
        median * math.exp(sigma * chance.gauss(0.0, 1.0))
        for median, sigma in (
            (behaviour.answer_median, behaviour.answer_sigma),
            (behaviour.start_median, behaviour.start_sigma),
            (behaviour.work_median, behaviour.work_sigma),
            (behaviour.resolve_median, behaviour.resolve_sigma),
        )
    )
    return Course(
        is_silent=is_silent < behaviour.silent,
        declines=declines < behaviour.decline,
        answer_after=answer_after,
        start_after=start_after,
        work_for=work_for,
        blocked_after=blocked_at * work_for if blocks < behaviour.block else None,
        resolve_after=resolve_after,
    )


def seed_in(seed: int, scene: str) -> int:
    """Give the seed of a scene, named by the inject that opened it; the first one's, ``""``, is the drill's own."""
    return random.Random(f"{seed}:{scene}").getrandbits(SEED_BITS) if scene else seed  # noqa: S311 (no secret)


def behaviour_of(rule: ParticipantRule, task: str) -> Behaviour:
    """Say how a participant treats one task: what the scenario scripts is certain, the rest is drawn.

    ``rule`` is one of `services.drills.scenario.Scenario.participants`, whose paces are all there.
    """
    answer, start, work = (cast("Pace", pace) for pace in (rule.answer, rule.start, rule.work))
    blocked = rule.blocked if rule.blocked is not None and rule.blocked.task == task else None
    return Behaviour(
        answer_median=answer.median.total_seconds(),
        answer_sigma=_sigma(answer),
        start_median=start.median.total_seconds(),
        start_sigma=_sigma(start),
        work_median=work.median.total_seconds(),
        work_sigma=_sigma(work),
        resolve_median=blocked.resolved_after.total_seconds() if blocked else 0.0,
        resolve_sigma=0.0,
        decline=float(task in rule.declines),
        silent=float(rule.silent or task in rule.silent_on),
        block=float(blocked is not None),
    )


def _sigma(pace: Pace) -> float:
    median = pace.median.total_seconds()
    return math.log((median + pace.spread.total_seconds()) / median) / Z_90 if median else 0.0
