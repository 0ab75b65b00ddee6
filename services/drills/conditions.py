"""The state of a drill so far, as its conditions read it, and whether what an inject expects has been seen."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from schemas.base import format_duration
from schemas.drill import InjectRule
from schemas.vocabulary import ActivationState, AssignmentState
from services.domain.plan import ConditionError
from services.drills.record import Rating
from services.playbooks.drill_conditions import DrillCondition, Known, State

Row = Any
_IN_FORCE = (ActivationState.ACTIVATED, ActivationState.WARNING)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of one inject's expectation, when (scenario time), and why."""

    inject: str
    rating: Rating
    at: datetime
    because: str


def state_of(
    known: Known,
    *,
    elapsed: timedelta,
    assignments: Sequence[Row],
    blocked: Collection[Any],
    plans: Sequence[Row],
    played: Mapping[str, timedelta],
) -> State:
    """Tell the state of a drill; see `services.playbooks.drill_conditions` for what the names mean.

    ``assignments`` and ``plans`` are rows of the record, ``blocked`` the ids of assignments with an open obstacle,
    ``played`` when each inject was played, from STARTEX.
    """
    state = known.blank()
    state["elapsed"] = int(elapsed.total_seconds())
    for row in assignments:
        counted = _counted(row, blocked)
        for counts in (state, state["departments"].get(row["department"]), state["tasks"].get(row["task"])):
            if counts is not None:
                for name in counted:
                    counts[name] += 1
    for row in plans:
        if row["plan"] in state["levels"]:
            state["levels"][row["plan"]] = row["level"] or ""
        if ActivationState(row["state"]) in _IN_FORCE:
            state["activated"].append(row["plan"])
    state["played"] = list(played)
    state["since"] |= {name: int((elapsed - at).total_seconds()) for name, at in played.items()}
    return state


def _counted(row: Row, blocked: Collection[Any]) -> list[str]:
    answered = any(row[name] is not None for name in ("committed_at", "started_at", "declined_at"))
    facts = {
        "orders": True,
        "unanswered": AssignmentState(row["state"]).is_open and not answered,
        "committed": row["committed_at"] is not None or row["started_at"] is not None,
        "declined": row["declined_at"] is not None,
        "started": row["started_at"] is not None,
        "completed": row["completed_at"] is not None,
        "failed": row["failed_at"] is not None,
        "overdue": bool(row["missed"]),
        "escalated": row["rung"] > 0,
        "blocked": row["id"] in blocked,
    }
    return [name for name, holds in facts.items() if holds]


class Expectations:
    """Watches what played injects expect; an expectation without a condition is left to an evaluator."""

    def __init__(self, conditions: Mapping[str, DrillCondition], started_at: datetime) -> None:
        self._conditions = conditions
        self._started_at = started_at
        self._open: dict[str, tuple[InjectRule, timedelta]] = {}

    @property
    def are_open(self) -> bool:
        """Whether there is something left to see."""
        return bool(self._open)

    def expect(self, inject: InjectRule, at: timedelta) -> None:
        """Begin to look for what an inject, played so long after STARTEX, expects."""
        if inject.id in self._conditions:
            self._open[inject.id] = (inject, at)

    def judge(self, state: State, elapsed: timedelta) -> list[Judgement]:
        """Say what has been decided at this look; each expectation is decided once."""
        found = []
        for inject, at in list(self._open.values()):
            try:
                is_met = self._conditions[inject.id].holds(state)
            except ConditionError as error:
                found.append(self._settle(inject, Rating.NOT_OBSERVED, elapsed, str(error)))
                continue
            took = f"{format_duration(elapsed - at)} after it was played"
            if is_met and (inject.within is None or elapsed <= at + inject.within):
                found.append(self._settle(inject, Rating.MET, elapsed, took))
            elif inject.within is not None and elapsed > at + inject.within:
                late = f"not seen within {format_duration(inject.within)}"
                found.append(self._settle(inject, Rating.NOT_MET, elapsed, late))
        return found

    def end(self, elapsed: timedelta, *, in_full: bool) -> list[Judgement]:
        """Decide the rest at ENDEX: not met when the drill was played ``in_full``, else nobody could see it."""
        found = []
        for inject, at in list(self._open.values()):
            had_its_time = in_full and (inject.within is None or elapsed >= at + inject.within)
            rating = Rating.NOT_MET if had_its_time else Rating.NOT_OBSERVED
            because = "not seen by ENDEX" if had_its_time else "the drill ended before its time was over"
            found.append(self._settle(inject, rating, elapsed, because))
        return found

    def _settle(self, inject: InjectRule, rating: Rating, elapsed: timedelta, because: str) -> Judgement:
        del self._open[inject.id]
        return Judgement(inject.id, rating, self._started_at + elapsed, because)
