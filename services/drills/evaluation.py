"""The evaluation of a drill: what the record decides by itself, and what stays open for a person to judge.

Objectives and the measurable items of AQ/T 9009-2015 are filled in from the timeline. The exercise evaluation guide
follows HSEEP (2020): per objective its capability target, critical tasks and what was observed; rating, notes and
signature are the evaluator's, and only what one has put on record stands there.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from schemas.base import Text
from services.drills.evidence import Checks, Looks, Proofs, Teller, Trail
from services.drills.findings import Finding, Pointers, gaps, pointers, strengths
from services.drills.improvements import Proposal
from services.drills.measured import Item, look_at_items, measure
from services.drills.ratings import Rated
from services.drills.report import Moment, Numbers, ObjectiveRow

RATINGS: Mapping[str, Text] = {
    "P": Text(en="Performed without challenges", zh="顺利完成"),
    "S": Text(en="Performed with some challenges", zh="完成，存在一些困难"),
    "M": Text(en="Performed with major challenges", zh="完成，存在重大困难"),
    "U": Text(en="Unable to be performed", zh="未能完成"),
}
"""HSEEP's target ratings; an evaluator who saw nothing of it says so instead."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What only an evaluator may fill in: empty until one has put it on record, and nothing else fills it."""

    rating: str | None = None
    notes: str | None = None
    evaluator: str | None = None
    signed_on: date | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """One objective's page of the evaluation guide: its row, evidence, critical tasks, and the open judgement."""

    row: ObjectiveRow
    evidence: Checks
    tasks: tuple[Text, ...]
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All that is said about how well it went."""

    sheets: tuple[Sheet, ...]
    items: tuple[Item, ...]
    strengths: tuple[Finding, ...]
    gaps: tuple[Finding, ...]

    def moments(self) -> Iterator[Moment]:
        """Give every entry that is pointed to."""
        for checks in (*(sheet.evidence for sheet in self.sheets), *(item.checks for item in self.items)):
            yield from (check.moment for check in checks.shown)
        for finding in (*self.strengths, *self.gaps):
            yield from finding.evidence

    @property
    def proposals(self) -> tuple[Proposal, ...]:
        """The improvement items that the gaps call for."""
        return tuple(gap.proposal for gap in self.gaps if gap.proposal is not None)


class Evaluator:
    """Evaluates one drill: looks at everything once, says what entries show it, and tells how it went by those."""

    def __init__(
        self, numbers: Numbers, deciding: Iterable[Moment], ratings: Mapping[str, Rated], teller: Teller
    ) -> None:
        self._numbers = numbers
        self._teller = teller
        self._ratings = ratings
        self._trail = Trail(numbers, deciding)
        self._objectives = [Looks.of(self._trail.objective(row.rule.criterion)) for row in numbers.objectives]
        self._items = look_at_items(self._trail)
        self._pointers: Pointers = pointers(self._trail)

    def wanted(self) -> list[UUID]:
        """List the orders whose entries show what was found; the same drill gives the same evaluation."""
        proofs = Proofs(self._numbers.ledger.ids, self._teller)
        self._tell(proofs)
        return proofs.asked

    def evaluate(self, rows: Iterable[Mapping[str, Any]]) -> Evaluation:
        """Tell how it went, by the entries about what was `wanted`, in the order in which they were recorded."""
        return self._tell(Proofs(self._numbers.ledger.ids, self._teller, rows))

    def _tell(self, proofs: Proofs) -> Evaluation:
        trail = self._trail
        sheets = tuple(
            Sheet(
                row=row,
                evidence=looks.checks(proofs),
                tasks=tuple(self._numbers.titles.any_task(task) for task in row.rule.criterion.tasks),
                judgement=self._judgement(row.rule.id),
            )
            for row, looks in zip(self._numbers.objectives, self._objectives, strict=True)
        )
        items = measure(trail, self._items, proofs)
        evidence = {sheet.row.rule.id: sheet.evidence for sheet in sheets}
        return Evaluation(
            sheets=sheets,
            items=items,
            strengths=tuple(strengths(trail, items, evidence, self._pointers, proofs)),
            gaps=tuple(gaps(trail, items, evidence, self._pointers, proofs)),
        )

    def _judgement(self, objective: str) -> Judgement:
        said = self._ratings.get(objective)
        return Judgement() if said is None else Judgement(said.rating, said.notes, said.by, said.recorded_at.date())
