"""The distributions of a study, for drawing: which time so many percent of the orders, or of the runs, kept to."""

from collections.abc import Iterable
from datetime import timedelta
from math import ceil

from services.drills.simulate_study import Study

PERCENT = range(1, 101)


def curves(study: Study) -> dict[str, list[float | None]]:
    """Give for 1, 2, ... 100 % the seconds within which so many ended, by nearest rank; None where these never did.

    ``mobilization`` is over the orders of all runs, ``first_orders`` and ``completion`` are one time a run.
    """
    outcomes = study.outcomes
    return {
        "mobilization": _curve(took for outcome in outcomes for _, took in outcome.mobilization),
        "first_orders": _curve(outcome.first_orders for outcome in outcomes),
        "completion": _curve(outcome.completion for outcome in outcomes),
    }


def _curve(times: Iterable[timedelta | None]) -> list[float | None]:
    known = list(times)
    ended = sorted(took.total_seconds() for took in known if took is not None)
    ranks = (ceil(len(known) * percent / 100) for percent in PERCENT)
    return [round(ended[rank - 1], 3) if 0 < rank <= len(ended) else None for rank in ranks]
