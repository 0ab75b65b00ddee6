"""Where an order stands for the department that has it, and what one more message about it means: pure functions."""

from collections.abc import Iterable
from dataclasses import dataclass

from schemas.assignment import Assignment
from schemas.vocabulary import Answer, AssignmentState

_PATH = (
    AssignmentState.ISSUED,
    AssignmentState.DELIVERED,
    AssignmentState.ACKNOWLEDGED,
    AssignmentState.COMMITTED,
    AssignmentState.STARTED,
)

_LEADS_TO = {
    Answer.DELIVER: AssignmentState.DELIVERED,
    Answer.ACKNOWLEDGE: AssignmentState.ACKNOWLEDGED,
    Answer.COMMIT: AssignmentState.COMMITTED,
    Answer.START: AssignmentState.STARTED,
    Answer.COMPLETE: AssignmentState.COMPLETED,
    Answer.DECLINE: AssignmentState.DECLINED,
    Answer.FAIL: AssignmentState.FAILED,
    Answer.DELEGATE: AssignmentState.SUPERSEDED,
}


def standing(told: AssignmentState, said: Iterable[Answer]) -> AssignmentState:
    """Say where an order stands, from Muster's last word and the department's own answers that weren't refused.

    Muster's word that an order is over wins. Before that, the department knows its own answers sooner than Muster.
    """
    if not told.is_open:
        return told
    state = told
    for answer in said:
        reached = _LEADS_TO.get(answer, state)
        if not reached.is_open:
            return reached
        state = max(state, reached, key=_PATH.index)
    return state


@dataclass(frozen=True, slots=True)
class News:
    """What to do about a message: keep it, send a receipt, call the handler, tell of a change, answer again."""

    keep: bool = False
    receipt: bool = False
    call: bool = False
    tell: bool = False
    answer_again: bool = False


def weigh(known: Assignment | None, message: Assignment, department: str, *, handled: bool) -> News:
    """Say what a message means to ``department``, which last heard ``known`` about the same assignment.

    A message is news when it is the first or its revision is higher. Any word about an order that Muster holds open
    makes the department say its answers again: whoever sends it may have lost them. ``handled`` says whether the
    handler is done with it.
    """
    newer = known is None or message.revision > known.revision
    if message.department != department:
        return News(keep=newer, tell=newer)
    if known is None:
        return News(keep=True, receipt=True, call=message.state.is_open, tell=not message.state.is_open)
    told = message if newer else known
    return News(keep=newer, tell=newer, call=told.state.is_open and not handled, answer_again=told.state.is_open)


def refused_answer(message: Assignment) -> Answer | None:
    """Read which answer a refusal is about from its reason, ``<answer> refused: <why>``; None when it doesn't say."""
    word, separator, _ = (message.reason or "").partition(" refused: ")
    return Answer(word) if separator and word in set(Answer) else None
