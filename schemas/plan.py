"""What a planner writes: an emergency plan and the department directory, as YAML documents."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Document, Duration, Slug, Text
from schemas.vocabulary import (
    ActivationMode,
    Category,
    Certainty,
    Clock,
    EscalationStep,
    PlanKind,
    Severity,
    Urgency,
)

Cel = Annotated[str, Field(min_length=1, max_length=1_000)]
"""A condition in the Common Expression Language over the variables of ``services.playbooks.conditions``."""

LevelId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,20}$")]
STANDBY = "standby"
"""The word that stands for the standby state among a task's levels."""


class Minimum(Document):
    """The least an incident must be. ``Unknown`` is never below a minimum: what isn't known isn't ruled out."""

    severity: Severity | None = None
    urgency: Urgency | None = None
    certainty: Certainty | None = None


class OnceWithin(Document):
    """Reports that agree in ``by`` within ``window`` of the first open one response, not one each."""

    window: Duration
    by: Annotated[tuple[Literal["event", "category", "area", "geocode"], ...], Field(min_length=1)]


class MatchRule(Document):
    """Which incidents a plan answers.

    ``categories`` is required (an index stands on it). ``events`` are words or phrases, any of which must begin
    a word of the event or headline (of three letters or fewer: be the whole word) or be one of the event codes,
    letter case aside. ``areas`` are geocode prefixes or parts of an
    area's description. ``when`` is a guard evaluated last. Higher ``priority`` is served first.
    """

    categories: Annotated[tuple[Category, ...], Field(min_length=1)]
    events: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    minimum: Minimum = Minimum()
    areas: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    when: Cel | None = None
    priority: Annotated[int, Field(ge=0, le=100)] = 50
    once_within: OnceWithin | None = None


class ActivationRule(Document):
    """What a match leads to. ``confirm_within``: after so long without a decision the duty officer is alarmed.

    ``on_cancel``: whether the sender's cancellation stands an activated plan down or asks the duty officer.
    """

    mode: ActivationMode
    confirm_within: Duration | None = None
    on_cancel: Literal["ask", "stand_down"] = "ask"


class LevelRule(Document):
    """A response level, highest first in the plan. The first whose ``when`` holds is chosen; the last needs none."""

    id: LevelId
    title: Text
    when: Cel | None = None


class Quota(Document):
    """*needed* of *any_of*: a yes lowers the need, a no calls the next at once, silence after *wait*."""

    needed: Annotated[int, Field(ge=1)]
    any_of: Annotated[tuple[Slug, ...], Field(min_length=1)]
    wait: Duration


class RoleRule(Document):
    """A function in the plan: one department with its deputies in order, or a quota of departments."""

    id: Slug
    title: Text
    department: Slug | None = None
    deputies: tuple[Slug, ...] = ()
    quota: Quota | None = None


class DeadlineRule(Document):
    """How long after the order a department may take to answer, to start, and to be done."""

    acknowledge: Duration
    start: Duration | None = None
    complete: Duration | None = None


class EscalationRule(Document):
    """One rung of the ladder: ``wait`` after the missed deadline, or after the rung before, do ``step``."""

    step: EscalationStep
    wait: Duration


class TaskRule(Document):
    """A piece of work, owned by a role.

    ``levels``: at which the task is issued (``standby`` for the standby state); absent means every level.
    ``after``: tasks that must be complete first. ``read_back``: a commitment must repeat the order.
    """

    id: Slug
    role: Slug
    title: Text
    done_when: Text
    instructions: Text | None = None
    levels: tuple[LevelId, ...] | None = None
    deadlines: DeadlineRule
    after: tuple[Slug, ...] = ()
    when: Cel | None = None
    read_back: bool = False
    escalation: tuple[EscalationRule, ...] | None = None


class ReportRule(Document):
    """A report the law asks for, with its clock and its citation (as in "within 1 h to the county")."""

    id: Slug
    role: Slug
    title: Text
    to: Text
    within: Duration
    clock: Clock = Clock.REPORTED
    citation: Text
    levels: tuple[LevelId, ...] | None = None


class CallRule(Document):
    """Another plan that this one puts into force beside itself."""

    plan: Slug
    when: Cel | None = None


class PlanDocument(Document):
    """One file under ``playbooks/plans``. ``escalation`` is the ladder of every task that has none of its own."""

    id: Slug
    version: Annotated[int, Field(ge=1)]
    title: Text
    summary: Text
    kind: PlanKind
    owner: Slug
    review_by: date
    exercise_every: Duration
    match: MatchRule
    activation: ActivationRule
    levels: Annotated[tuple[LevelRule, ...], Field(min_length=1)]
    roles: Annotated[tuple[RoleRule, ...], Field(min_length=1)]
    escalation: Annotated[tuple[EscalationRule, ...], Field(min_length=1)]
    tasks: Annotated[tuple[TaskRule, ...], Field(min_length=1)]
    reports: tuple[ReportRule, ...] = ()
    stand_down: tuple[TaskRule, ...] = ()
    calls: tuple[CallRule, ...] = ()


class Contact(Document):
    """A post and its phone; ``department`` when the post belongs to another department of the directory."""

    name: Text
    phone: Annotated[str, Field(min_length=3, max_length=30)]
    department: Slug | None = None


class DepartmentRule(Document):
    """A department: whom to reach, in which order, and the phone that is answered day and night."""

    id: Slug
    title: Text
    liaison: Contact
    deputy: Contact
    superior: Contact
    duty_phone: Annotated[str, Field(min_length=3, max_length=30)]


class DirectoryDocument(Document):
    """``playbooks/departments.yaml``. ``duty_officer`` is the department whose officer decides."""

    duty_officer: Slug
    departments: Annotated[tuple[DepartmentRule, ...], Field(min_length=1)]
