"""What a finding rests on: entries of the timeline, each of which speaks for it or against it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from schemas.base import Text
from schemas.drill import Criterion, Segment
from schemas.timeline import Entry
from services.domain.incident import Deadline
from services.domain.segments import Observation
from services.drills.report import Bar, Moment, Report, Verdict

Wanted = Iterable[Entry]
_TURNED_OUT = (Entry.COMMITTED, Entry.STARTED)
_ANSWERED = (*_TURNED_OUT, Entry.DECLINED, Entry.COMPLETED, Entry.FAILED)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: whether it was as it should be, and the entry that shows it."""

    moment: Moment
    ok: bool
    note: Text | None = None


def verdict_of(checks: Sequence[Check]) -> Verdict:
    """Sum up checks: met when all hold, not met when none does, partly met between, not observed without any."""
    if not checks:
        return Verdict.NOT_OBSERVED
    held = sum(check.ok for check in checks)
    if held == len(checks):
        return Verdict.MET
    return Verdict.PARTLY_MET if held else Verdict.NOT_MET


class Trail:
    """A report's timeline, to be asked for single entries."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self._of_assignment: dict[UUID, list[Moment]] = {}
        self._of_incident: dict[UUID, list[Moment]] = {}
        for moment in report.timeline:
            self._of_incident.setdefault(moment.incident_id, []).append(moment)
            if moment.assignment_id is not None:
                self._of_assignment.setdefault(moment.assignment_id, []).append(moment)

    def first(self, incident_id: UUID, *entries: Entry) -> Moment | None:
        """Find the first entry of these kinds about an incident."""
        return next((each for each in self._of_incident.get(incident_id, ()) if each.entry in entries), None)

    def all(self, *entries: Entry) -> list[Moment]:
        """List all entries of these kinds, in order."""
        return [moment for moment in self.report.timeline if moment.entry in entries]

    def of(self, assignment_id: UUID | None, *entries: Entry) -> Moment | None:
        """Find the first entry of these kinds about an assignment, the earliest by when it happened."""
        if assignment_id is None:
            return None
        found = [each for each in self._of_assignment.get(assignment_id, ()) if each.entry in entries]
        return min(found, key=lambda moment: moment.at, default=None)

    def answer(self, bar: Bar) -> Moment | None:
        """Find a department's first yes or no to an order."""
        return self.of(bar.id, *_ANSWERED)

    def missed(self, bar: Bar, deadline: Deadline) -> Moment | None:
        """Find the entry that tells of a missed deadline."""
        for moment in self._of_assignment.get(bar.id, ()):
            if moment.entry is Entry.OVERDUE and moment.detail.get("deadline") == deadline.value:
                return moment
        return None

    def silence(self, assignment_id: UUID | None) -> Moment | None:
        """Find what shows that an order was not answered: its missed deadline, else the order itself."""
        return self.of(assignment_id, Entry.OVERDUE) or self.of(assignment_id, Entry.ISSUED)

    def objective(self, criterion: Criterion) -> tuple[Check, ...]:
        """Give the entry behind every observation that an objective was judged by, what speaks against it first."""
        checks = []
        for each in self.report.observed.found:
            if each.segment is not criterion.segment or (criterion.tasks and each.task not in criterion.tasks):
                continue
            moment = self._decides(each)
            if moment is not None:
                checks.append(Check(moment, each.took is not None and each.took <= criterion.within))
        return tuple(sorted(checks, key=lambda check: (check.ok, check.moment.at, check.moment.id)))

    def _decides(self, each: Observation) -> Moment | None:
        if each.segment in {Segment.ALARM_TRANSFER, Segment.ALARM_ANSWERING}:
            return self.first(each.incident_id, Entry.REPORTED)
        if each.segment in {Segment.ALARM_PROCESSING, Segment.ALARM_HANDLING}:
            return self.first(each.incident_id, Entry.ISSUED) or self.first(each.incident_id, Entry.REPORTED)
        if each.segment is Segment.TRAVEL:
            return self.of(each.assignment_id, Entry.ARRIVED)
        if each.took is None:
            return self.silence(each.assignment_id)
        return self.of(each.assignment_id, *_TURNED_OUT)


def received_at(bar: Bar) -> datetime | None:
    """Say when an order had reached its department, by a receipt or by anything it said."""
    times = (
        bar.delivered_at,
        bar.acknowledged_at,
        bar.committed_at,
        bar.declined_at,
        bar.started_at,
        bar.completed_at,
        bar.failed_at,
    )
    return min((at for at in times if at is not None), default=None)
