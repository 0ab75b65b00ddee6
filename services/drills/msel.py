"""The MSEL while a drill runs: which injects wait, which are due, and when each was played."""

from collections.abc import Mapping
from datetime import timedelta

from schemas.drill import InjectKind, InjectRule
from services.domain.plan import ConditionError
from services.playbooks.drill_conditions import DrillCondition, State


class Msel:
    """The list of injects. Times are counted from STARTEX."""

    def __init__(self, injects: tuple[InjectRule, ...], when: Mapping[str, DrillCondition]) -> None:
        self._injects = {inject.id: inject for inject in injects}
        self._when = when
        self.played: dict[str, timedelta] = {}

    @property
    def waiting(self) -> list[InjectRule]:
        """The injects that may still be played, by their planned time."""
        left = (inject for inject in self._injects.values() if inject.id not in self.played)
        return sorted(left, key=lambda inject: inject.at)

    def find(self, inject: str) -> InjectRule | None:
        """Look one up."""
        return self._injects.get(inject)

    def on_time(self, elapsed: timedelta) -> list[InjectRule]:
        """List what is due by the clock alone."""
        return [each for each in self.waiting if _is_timed(each) and each.at <= elapsed]

    def on_state(self, state: State, elapsed: timedelta) -> list[InjectRule]:
        """List what is due because its condition holds; a condition that can't be decided doesn't."""
        return [
            each
            for each in self.waiting
            if each.when is not None and each.at <= elapsed and self.is_open(each) and self._holds(each, state)
        ]

    def is_open(self, inject: InjectRule) -> bool:
        """Say whether the incident that an inject is about has been opened."""
        return inject.of is None or inject.of in self.played

    def next_at(self) -> timedelta | None:
        """Tell when the clock alone makes the next one due."""
        return next((each.at for each in self.waiting if _is_timed(each)), None)

    def note(self, inject: InjectRule, elapsed: timedelta) -> None:
        """Note that an inject was played."""
        self.played[inject.id] = elapsed

    def _holds(self, inject: InjectRule, state: State) -> bool:
        try:
            return self._when[inject.id].holds(state)
        except ConditionError:
            return False


def _is_timed(inject: InjectRule) -> bool:
    return not inject.manual and inject.when is None


def needs_decision(inject: InjectRule) -> bool:
    """Say whether a service has to decide an inject: it is a report or a command."""
    return inject.kind in {
        InjectKind.INCIDENT,
        InjectKind.UPDATE,
        InjectKind.MESSAGE,
        InjectKind.CONFIRM,
        InjectKind.LEVEL,
    }
