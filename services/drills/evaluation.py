"""The evaluation of a drill: what the record decides by itself, and what stays open for a person to judge.

Objectives and the measurable items of AQ/T 9009-2015 are filled in from the timeline. The exercise evaluation guide
follows HSEEP (2020): per objective its capability target, critical tasks and what was observed; rating, notes and
signature are the evaluator's, and only what one has put on record stands there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from schemas.base import Text
from services.drills.evidence import Check, Trail
from services.drills.findings import Finding, gaps, strengths
from services.drills.improvements import Proposal
from services.drills.measured import Item, measure
from services.drills.report import ObjectiveRow, Report

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
    evidence: tuple[Check, ...]
    tasks: tuple[Text, ...]
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All that is said about how well it went."""

    sheets: tuple[Sheet, ...]
    items: tuple[Item, ...]
    strengths: tuple[Finding, ...]
    gaps: tuple[Finding, ...]

    @property
    def proposals(self) -> tuple[Proposal, ...]:
        """The improvement items that the gaps call for."""
        return tuple(gap.proposal for gap in self.gaps if gap.proposal is not None)


def evaluate(report: Report) -> Evaluation:
    """Evaluate one drill; the same report gives the same evaluation."""
    trail = Trail(report)
    items = measure(report)
    return Evaluation(
        sheets=tuple(_sheet(row, report, trail) for row in report.objectives),
        items=items,
        strengths=strengths(report, items),
        gaps=gaps(report, items),
    )


def _sheet(row: ObjectiveRow, report: Report, trail: Trail) -> Sheet:
    criterion = row.rule.criterion
    tasks = tuple(report.titles.any_task(task) for task in criterion.tasks)
    return Sheet(row, trail.objective(criterion), tasks, _judgement(report, row.rule.id))


def _judgement(report: Report, objective: str) -> Judgement:
    said = report.ratings.get(objective)
    return Judgement() if said is None else Judgement(said.rating, said.notes, said.by, said.recorded_at.date())
