"""What a planner writes to exercise plans: scenario, injects, participants, objectives, as one YAML document.

Words follow HSEEP (2020): objective, inject, MSEL (the list of injects), STARTEX, ENDEX. Kinds follow AQ/T 9007-2019:
by content comprehensive or single-item, by form live or tabletop.
"""

from datetime import time, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from schemas.base import Document, Duration, Slug, Text
from schemas.plan import Cel, LevelId
from schemas.vocabulary import Category, Certainty, Severity, Urgency

DEFAULT = "default"
"""The participant that stands for every department that has no entry of its own."""

MAX_SPEED = 1_000


class Segment(StrEnum):
    """The spans of a response that are timed, in the sense of NFPA 1225 (alarms) and NFPA 1710 (turnout, travel).

    ``alarm_handling`` is the sum of the three before it; ``mobilization`` is handling and turnout, the headline.
    """

    ALARM_TRANSFER = "alarm_transfer"
    ALARM_ANSWERING = "alarm_answering"
    ALARM_PROCESSING = "alarm_processing"
    ALARM_HANDLING = "alarm_handling"
    TURNOUT = "turnout"
    TRAVEL = "travel"
    MOBILIZATION = "mobilization"


class Measure(StrEnum):
    """What an objective compares: a percentile with a time, or the share within that time with a percentage."""

    P50 = "p50"
    P90 = "p90"
    P95 = "p95"
    SHARE = "share"


class Content(StrEnum):
    """What is exercised (AQ/T 9007-2019): the whole response, or one function of it."""

    COMPREHENSIVE = "comprehensive"
    SINGLE_ITEM = "single-item"


class Form(StrEnum):
    """How it is exercised (AQ/T 9007-2019): in the field, or at the table and the desks."""

    LIVE = "live"
    TABLETOP = "tabletop"


class InjectKind(StrEnum):
    """What an inject does.

    ``incident`` opens one, ``update`` brings its update, ``message`` adds what somebody says about it. Four change
    how a simulated department behaves: it falls silent, declines, meets an obstacle, or its consumer stops (orders
    then aren't even received). ``service_loss`` kills one of Muster's own services. ``confirm`` and ``level`` are
    the duty officer's decisions.
    """

    INCIDENT = "incident"
    UPDATE = "update"
    MESSAGE = "message"
    DEPARTMENT_SILENT = "department_silent"
    DEPARTMENT_DECLINES = "department_declines"
    OBSTACLE = "obstacle"
    CONSUMER_OUTAGE = "consumer_outage"
    SERVICE_LOSS = "service_loss"
    CONFIRM = "confirm"
    LEVEL = "level"


class ParticipantMode(StrEnum):
    """Who answers for a department: a simulation, its own people over their own consumer, or both by task."""

    SIMULATED = "simulated"
    REAL = "real"
    MIXED = "mixed"


class DutyOfficer(StrEnum):
    """Who decides what only a duty officer may: the controller, by injects, or a person."""

    SIMULATED = "simulated"
    REAL = "real"


class Service(StrEnum):
    """A service of Muster that a drill may kill."""

    DISPATCH = "dispatch"
    TRACKING = "tracking"
    ESCALATION = "escalation"


class DrillKind(Document):
    """The exercise's kind by content and by form."""

    content: Content
    form: Form


class Targets(Document):
    """The time each segment may take; a segment without one is measured and not judged."""

    alarm_transfer: Duration | None = None
    alarm_answering: Duration | None = None
    alarm_processing: Duration | None = None
    alarm_handling: Duration | None = None
    turnout: Duration | None = None
    travel: Duration | None = None
    mobilization: Duration | None = None


class Criterion(Document):
    """When an objective is met: the measure of the segment lies within the time.

    ``at_least`` (percent) belongs to `Measure.SHARE` and to nothing else. ``tasks`` narrows it to some tasks.
    """

    segment: Segment
    measure: Measure
    within: Duration
    at_least: Annotated[int, Field(ge=1, le=100)] | None = None
    tasks: tuple[Slug, ...] = ()


class ObjectiveRule(Document):
    """What the drill shall show, and the number that shows it."""

    id: Slug
    title: Text
    criterion: Criterion


class Pace(Document):
    """How long something takes: half of the times lie below ``median``, nine of ten below ``median + spread``."""

    median: Duration
    spread: Duration


class BlockRule(Document):
    """An obstacle that a department meets in one task, and how long it takes to remove."""

    task: Slug
    obstacle: Text
    resolved_after: Duration


class ParticipantRule(Document):
    """Who answers for a department, and how a simulated one behaves. An absent pace is the default participant's.

    ``answer``: from receipt to the yes or no. ``start``: from there to the start. ``work``: from there to the end.
    ``model`` names a fitted response model under ``playbooks/models``, which then gives all three. ``simulates`` are
    the tasks of a mixed department that are simulated. ``stand_in``: when nobody listens at STARTEX, a simulation
    stands in, and the drill says so; without it the drill does not start.
    """

    department: Slug
    mode: ParticipantMode = ParticipantMode.SIMULATED
    simulates: tuple[Slug, ...] = ()
    stand_in: bool = False
    model: Slug | None = None
    answer: Pace | None = None
    start: Pace | None = None
    work: Pace | None = None
    declines: tuple[Slug, ...] = ()
    declines_because: Text | None = None
    silent: bool = False
    silent_on: tuple[Slug, ...] = ()
    blocked: BlockRule | None = None


class ReportFields(Document):
    """What an inject reports, in CAP's words; an update gives what has changed and leaves out the rest."""

    categories: tuple[Category, ...] = ()
    event: Text | None = None
    headline: Text | None = None
    description: Text | None = None
    severity: Severity | None = None
    urgency: Urgency | None = None
    certainty: Certainty | None = None
    areas: tuple[Text, ...] = ()
    parameters: dict[str, str] = Field(default_factory=dict)


class InjectRule(Document):
    """One row of the MSEL. ``expectation`` is what the players should do.

    Played at ``at`` after STARTEX; or with ``when`` at the first moment from ``at`` on at which that condition over
    the drill so far holds; or, ``manual``, when a controller releases it (``at`` is then the planned time). ``within``
    is how long the players have for it, and ``met_when`` a condition over the drill so far that shows they did it
    (``services.playbooks.drill_conditions`` has the variables). Which other parts belong to which kind:

    ==================== ================================= ======================
    kind                 needs                             may have
    ==================== ================================= ======================
    incident             report
    update               of, report
    message              of, says
    department_silent    department                        tasks, lasts
    department_declines  department, because               tasks, lasts
    obstacle             department, task, says, lasts
    consumer_outage      department, lasts
    service_loss         service, lasts
    confirm              of, plan, because                 level
    level                of, level, because                plan
    ==================== ================================= ======================

    ``of`` is the incident's inject. Without ``lasts`` a department stays so to ENDEX; without ``tasks`` in all of its
    tasks. ``lasts`` of an obstacle is how long it takes to remove.
    """

    id: Slug
    kind: InjectKind
    title: Text
    expectation: Text
    at: Duration = timedelta(0)
    manual: bool = False
    when: Cel | None = None
    within: Duration | None = None
    met_when: Cel | None = None
    of: Slug | None = None
    report: ReportFields | None = None
    says: Text | None = None
    department: Slug | None = None
    task: Slug | None = None
    tasks: tuple[Slug, ...] = ()
    because: Text | None = None
    lasts: Duration | None = None
    service: Service | None = None
    plan: Slug | None = None
    level: LevelId | None = None


class DrillDocument(Document):
    """One file under ``playbooks/drills``. ``duration`` runs from STARTEX to ENDEX, in the scenario's time.

    ``speed`` is how many seconds of the scenario pass in one of the wall clock, unless the run says otherwise.
    ``local_time`` is what the clocks show at STARTEX where the incident is (``02:10``): reports are told in it, so
    that a plan's conditions on the hour hold as they would then; without it they are told in UTC.
    """

    id: Slug
    version: Annotated[int, Field(ge=1)]
    title: Text
    purpose: Text
    kind: DrillKind
    announced: bool
    plans: Annotated[tuple[Slug, ...], Field(min_length=1)]
    speed: Annotated[int, Field(ge=1, le=MAX_SPEED)]
    duration: Duration
    objectives: Annotated[tuple[ObjectiveRule, ...], Field(min_length=1)]
    participants: Annotated[tuple[ParticipantRule, ...], Field(min_length=1)]
    injects: Annotated[tuple[InjectRule, ...], Field(min_length=1)]
    targets: Targets = Targets()
    local_time: time | None = None
    duty_officer: DutyOfficer = DutyOfficer.SIMULATED
