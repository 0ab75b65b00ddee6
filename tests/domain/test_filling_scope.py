"""Looking only at the tasks that an event touched leaves nothing undone that looking at all of them would do."""

from uuid import UUID

from hypothesis import settings
from hypothesis.stateful import invariant

from services.domain.decision import Outcome
from services.domain.draft import Draft
from services.domain.filling import fill
from tests.domain.test_life_cycle import LifeCycle


class Everything(Draft):
    """Takes every task for touched."""

    def touched(self, activation_id: UUID) -> None:
        del activation_id


class Scope(LifeCycle):
    @invariant()
    def nothing_is_left_to_fill(self) -> None:
        known = self.desk.known
        if known is None:
            return
        draft = Everything(known, event_id=UUID(int=1), now=self.desk.now, broker_at=None, playbook=self.desk.playbook)
        fill(draft)
        decision = draft.decide(Outcome.APPLIED, "everything was looked at")
        assert (decision.entries, decision.orders, decision.incident) == ((), (), known)


TestScope = Scope.TestCase
TestScope.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
