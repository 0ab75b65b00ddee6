"""What a simulation assumes where nobody says otherwise, and how it owns up to it."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from schemas.base import format_duration
from schemas.incident import IncidentReport
from schemas.vocabulary import ActivationMode, Status
from services.domain.matching import Answers, judge
from services.domain.plan import Plan
from services.drills.behaviour import Behaviour, Course, draw_course
from services.drills.simulate import HORIZON, Draw

ASSUMED = Behaviour(
    answer_median=45,
    answer_sigma=0.6,
    start_median=120,
    start_sigma=0.6,
    work_median=1_200,
    work_sigma=0.6,
    decline=0.02,
    silent=0.02,
    block=0.05,
)
"""Every department without a drill to say otherwise. Assumed, not measured: fit your own, and say it in a drill."""
REPORTED_AT = datetime(2026, 1, 1, 10, 0, tzinfo=UTC)
"""When a report that does not say so was taken in; a fixed time, as conditions may ask for the hour."""


def draw_assumed() -> Draw:
    """Let every department behave as assumed."""
    return partial(_draw, ASSUMED)


def _draw(behaviour: Behaviour, seed: int, department: str, task: str) -> Course:
    return draw_course(behaviour, seed, department, task)


def as_exercise(report: IncidentReport) -> IncidentReport:
    """Make a report one that can be played: an exercise's, taken in when it was sent."""
    at = report.alert.sent if report.alert else report.reported_at
    return report.model_copy(update={"status": Status.EXERCISE, "reported_at": at})


def assumptions(
    plan: Plan, report: IncidentReport, confirm_after: timedelta, drill: str | None = None
) -> dict[str, Any]:
    """Say what the runs rest on; ``drill`` is the one whose participants take part, None where behaviour is assumed."""
    verdict = judge(plan, report)
    if verdict.answers is Answers.YES and plan.mode is ActivationMode.AUTOMATIC:
        activation = "it activates itself"
    else:
        why = f"its mode is {plan.mode}" if verdict.answers is Answers.YES else f"a match: {verdict.answers}"
        activation = f"activated by the duty officer after {format_duration(confirm_after)} ({why})"
    if drill is None:
        departments = "departments behave as assumed, which nobody measured (--drill gives them their own)"
    else:
        departments = f"departments behave as in drill {drill}"
    return {
        "plan": plan.id,
        "version": plan.version,
        "digest": plan.digest,
        "simulated": True,
        "activation": activation,
        "departments": departments,
        "horizon": HORIZON.total_seconds(),
    }
