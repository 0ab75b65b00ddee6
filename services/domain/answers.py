"""What a department's answer does to its assignment: the life cycle, guarded against repeats and late words."""

from datetime import datetime
from typing import Any

from schemas.acknowledgement import Acknowledgement
from schemas.timeline import Entry
from schemas.vocabulary import Answer, AssignmentState, Notice
from services.domain.changing import replace
from services.domain.deadlines import settle_ladder
from services.domain.decision import Outcome
from services.domain.draft import Draft
from services.domain.filling import issue
from services.domain.incident import Assignment, Obstacle
from services.domain.informing import tell_superior

_PROGRESS = (
    AssignmentState.ISSUED,
    AssignmentState.DELIVERED,
    AssignmentState.ACKNOWLEDGED,
    AssignmentState.COMMITTED,
    AssignmentState.STARTED,
    AssignmentState.COMPLETED,
)
"""The forward path; answers may skip steps on it and never go back."""

_STEP = {
    Answer.DELIVER: (AssignmentState.DELIVERED, Entry.DELIVERED, "delivered_at"),
    Answer.ACKNOWLEDGE: (AssignmentState.ACKNOWLEDGED, Entry.ACKNOWLEDGED, "acknowledged_at"),
    Answer.COMMIT: (AssignmentState.COMMITTED, Entry.COMMITTED, "committed_at"),
    Answer.START: (AssignmentState.STARTED, Entry.STARTED, "started_at"),
    Answer.COMPLETE: (AssignmentState.COMPLETED, Entry.COMPLETED, "completed_at"),
}
_ON_THE_WAY = frozenset({Answer.ACKNOWLEDGE, Answer.COMMIT, Answer.START, Answer.ARRIVE, Answer.PROGRESS})
_REFUSALS = {
    Answer.DECLINE: (AssignmentState.DECLINED, Entry.DECLINED, "declined_at"),
    Answer.FAIL: (AssignmentState.FAILED, Entry.FAILED, "failed_at"),
}
_SETTLED_BY = {**_STEP, **_REFUSALS}


def take_answer(draft: Draft, answer: Acknowledgement) -> tuple[Outcome, str]:
    """Apply one answer; refuse, with a reason that goes back to the department, what can't be applied."""
    assignment = draft.assignments.get(answer.assignment_id)
    if assignment is None:
        return _refuse(draft, answer, None, "there is no such assignment in this incident")
    if assignment.department != answer.department:
        return _refuse(draft, answer, None, f"the assignment is {assignment.department}'s, not {answer.department}'s")
    occurred_at = _occurred_at(draft, assignment, answer)
    if _said_before(draft, assignment, answer):
        return Outcome.REPEATED, "the same was said before"
    if answer.answer is Answer.DELIVER:
        # A receipt is a fact about the message; it is kept even when the assignment has moved on.
        return _take_receipt(draft, assignment, occurred_at)
    if not assignment.state.is_open and not _heard_late(assignment, answer):
        return _refuse(draft, answer, assignment, f"the assignment is {assignment.state.value} already")
    outcome, reason = _apply(draft, assignment, answer, occurred_at)
    if outcome is Outcome.APPLIED:
        who = f", by {answer.by}" if answer.by else ""
        tell_superior(draft, assignment, f"answered after all: {answer.answer.value}{who}")
    return outcome, reason


def _apply(draft: Draft, assignment: Assignment, answer: Acknowledgement, occurred_at: datetime) -> tuple[Outcome, str]:
    if answer.answer in _STEP:
        return _step(draft, assignment, answer, occurred_at)
    if answer.answer in _REFUSALS:
        return _say_no(draft, assignment, answer, occurred_at)
    if answer.answer is Answer.DELEGATE:
        return _delegate(draft, assignment, answer, occurred_at)
    if answer.answer is Answer.BLOCK:
        return _block(draft, assignment, answer, occurred_at)
    return _report_progress(draft, assignment, answer, occurred_at)


def _occurred_at(draft: Draft, assignment: Assignment, answer: Acknowledgement) -> datetime:
    """Say when it happened; a clock that is provably wrong must not make a department look quicker than it was."""
    for claimed in (answer.answered_at, draft.broker_at):
        if claimed is not None and assignment.issued_at <= claimed <= draft.now:
            return claimed
    return draft.now


def _said_before(draft: Draft, assignment: Assignment, said: Acknowledgement) -> bool:
    answer = said.answer
    if answer is Answer.ARRIVE:
        return assignment.arrived_at is not None
    if answer is Answer.DELEGATE:
        heirs = (a for a in draft.assignments.values() if a.parent_id == assignment.id)
        return any(heir.department == said.delegate_to for heir in heirs)
    known = _SETTLED_BY.get(answer)
    return known is not None and getattr(assignment, known[2]) is not None


def _heard_late(assignment: Assignment, said: Acknowledgement) -> bool:
    """Say whether an answer was given on the way to the completion that was heard first: a fact, like a receipt."""
    ended = assignment.completed_at if assignment.state is AssignmentState.COMPLETED else None
    return ended is not None and said.answer in _ON_THE_WAY and said.answered_at < ended


def _refuse(draft: Draft, answer: Acknowledgement, assignment: Assignment | None, reason: str) -> tuple[Outcome, str]:
    draft.note(
        Entry.ANSWER_REFUSED,
        assignment=assignment,
        by=answer.by,
        reason=reason,
        occurred_at=answer.answered_at,
        answer=answer.answer.value,
        from_department=answer.department,
        said=answer.reason or answer.note,
    )
    if assignment is not None:
        draft.send(assignment, Notice.REFUSED, reason=f"{answer.answer.value} refused: {reason}")
    return (Outcome.INVALID if assignment is None else Outcome.REFUSED), reason


def _take_receipt(draft: Draft, assignment: Assignment, occurred_at: datetime) -> tuple[Outcome, str]:
    state = AssignmentState.DELIVERED if assignment.state is AssignmentState.ISSUED else assignment.state
    received = draft.put(replace(assignment, state=state, delivered_at=occurred_at))
    draft.note(Entry.DELIVERED, assignment=received, occurred_at=occurred_at)
    return Outcome.APPLIED, "received"


def _step(draft: Draft, assignment: Assignment, answer: Acknowledgement, occurred_at: datetime) -> tuple[Outcome, str]:
    state, entry, field = _STEP[answer.answer]
    read_back = (answer.read_back or "").strip() or assignment.read_back
    takes_on = answer.answer is not Answer.ACKNOWLEDGE
    if draft.task(assignment).read_back and takes_on and read_back is None:
        return _refuse(draft, answer, assignment, "the order asks for a read-back; repeat it in your own words")
    at: dict[str, Any] = {field: occurred_at}
    ahead = _PROGRESS.index(state) > _PROGRESS.index(assignment.state)
    moved = replace(
        assignment,
        **at,
        state=state if ahead else assignment.state,
        read_back=read_back,
        answered_by=answer.by or assignment.answered_by,
        silent=assignment.silent and not takes_on,
    )
    ends = ahead and moved.state is AssignmentState.COMPLETED
    if ends:
        moved = replace(moved, ended_at=draft.now)
    moved = draft.put(settle_ladder(moved, draft.now))
    draft.note(
        entry, assignment=moved, by=answer.by, occurred_at=occurred_at, note=answer.note, read_back=answer.read_back
    )
    if ends:
        draft.close_obstacles(moved, "the assignment was completed")
    return Outcome.APPLIED, f"the assignment is {moved.state.value}"


def _say_no(
    draft: Draft, assignment: Assignment, answer: Acknowledgement, occurred_at: datetime
) -> tuple[Outcome, str]:
    state, entry, field = _REFUSALS[answer.answer]
    at: dict[str, Any] = {field: occurred_at}
    ended = replace(
        assignment,
        **at,
        state=state,
        ended_at=draft.now,
        ladder=None,
        reason=answer.reason,
        answered_by=answer.by,
    )
    ended = draft.put(ended)
    draft.note(
        entry,
        assignment=ended,
        by=answer.by,
        reason=answer.reason,
        occurred_at=occurred_at,
        attention=answer.answer is Answer.FAIL,
    )
    draft.close_obstacles(ended, f"the assignment was {state.value}")
    return Outcome.APPLIED, f"the assignment is {state.value}; the next is called"


def _delegate(
    draft: Draft, assignment: Assignment, answer: Acknowledgement, occurred_at: datetime
) -> tuple[Outcome, str]:
    to = answer.delegate_to or ""
    refusal = why_not_hand_over(draft, assignment, to)
    if refusal is not None:
        return _refuse(draft, answer, assignment, refusal)
    hand_over(draft, assignment, to, by=answer.by, reason=answer.reason or "", occurred_at=occurred_at)
    return Outcome.APPLIED, f"delegated to {to}"


def why_not_hand_over(draft: Draft, assignment: Assignment, to: str) -> str | None:
    """Say why an assignment can't go to a department; None when it can."""
    if to not in draft.playbook.directory.departments:
        return f"there is no department {to!r} in the directory"
    if any(
        other.department == to and (other.state.is_open or other.state is AssignmentState.COMPLETED)
        for other in draft.of_task(assignment.activation_id, assignment.task)
    ):
        return f"{to} has this task already"
    return None


def hand_over(
    draft: Draft, assignment: Assignment, to: str, *, by: str | None, reason: str, occurred_at: datetime
) -> None:
    """Make a child assignment for another department; the parent, where it is still open, is superseded by it."""
    draft.note(Entry.DELEGATED, assignment=assignment, by=by, reason=reason, occurred_at=occurred_at, to=to)
    if assignment.state.is_open:
        why = f"handed over to {to}: {reason}"
        draft.end(assignment, AssignmentState.SUPERSEDED, Entry.SUPERSEDED, Notice.SUPERSEDED, why)
    activation = draft.activations[assignment.activation_id]
    issue(draft, activation, draft.task(assignment), to, parent=assignment)


def _block(draft: Draft, assignment: Assignment, answer: Acknowledgement, occurred_at: datetime) -> tuple[Outcome, str]:
    obstacle = Obstacle(
        id=draft.new_id(),
        assignment_id=assignment.id,
        department=assignment.department,
        description=answer.reason or "",
        owner=draft.playbook.directory.duty_officer,
        reported_at=occurred_at,
    )
    draft.obstacles[obstacle.id] = obstacle
    draft.note(
        Entry.BLOCKED,
        assignment=assignment,
        by=answer.by,
        reason=answer.reason,
        occurred_at=occurred_at,
        attention=True,
        obstacle_id=str(obstacle.id),
        owner=obstacle.owner,
    )
    return Outcome.APPLIED, f"the obstacle is with {obstacle.owner}"


def _report_progress(
    draft: Draft, assignment: Assignment, answer: Acknowledgement, occurred_at: datetime
) -> tuple[Outcome, str]:
    arrived = answer.answer is Answer.ARRIVE
    if arrived:
        assignment = draft.put(replace(assignment, arrived_at=occurred_at))
    entry = Entry.ARRIVED if arrived else Entry.PROGRESSED
    draft.note(entry, assignment=assignment, by=answer.by, occurred_at=occurred_at, note=answer.note)
    return Outcome.APPLIED, "noted"
