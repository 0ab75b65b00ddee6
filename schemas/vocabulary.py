"""The words of the field, as closed sets. CAP names are spelled as OASIS CAP 1.2, section 3.2, spells them."""

from enum import StrEnum


class Status(StrEnum):
    """Whether a message is about the real world (CAP 1.2, 3.2.1 ``status``). It never has a default."""

    ACTUAL = "Actual"
    EXERCISE = "Exercise"
    SYSTEM = "System"
    TEST = "Test"
    DRAFT = "Draft"


class Namespace(StrEnum):
    """The two worlds that never meet: topics, processes and credentials belong to exactly one."""

    ACTUAL = "actual"
    EXERCISE = "exercise"

    @classmethod
    def of(cls, status: Status) -> "Namespace | None":
        """Say which namespace carries a status; None for ``System`` and ``Draft``, which Muster never acts on."""
        return _NAMESPACE_OF.get(status)


_NAMESPACE_OF = {
    Status.ACTUAL: Namespace.ACTUAL,
    Status.EXERCISE: Namespace.EXERCISE,
    Status.TEST: Namespace.EXERCISE,
}


class MessageType(StrEnum):
    """The nature of an alert (CAP 1.2, 3.2.1 ``msgType``)."""

    ALERT = "Alert"
    UPDATE = "Update"
    CANCEL = "Cancel"
    ACK = "Ack"
    ERROR = "Error"


class Category(StrEnum):
    """The kind of event (CAP 1.2, 3.2.2 ``category``)."""

    GEO = "Geo"
    MET = "Met"
    SAFETY = "Safety"
    SECURITY = "Security"
    RESCUE = "Rescue"
    FIRE = "Fire"
    HEALTH = "Health"
    ENV = "Env"
    TRANSPORT = "Transport"
    INFRA = "Infra"
    CBRNE = "CBRNE"
    OTHER = "Other"


class Urgency(StrEnum):
    """How soon to act (CAP 1.2, 3.2.2 ``urgency``), most urgent first."""

    IMMEDIATE = "Immediate"
    EXPECTED = "Expected"
    FUTURE = "Future"
    PAST = "Past"
    UNKNOWN = "Unknown"


class Severity(StrEnum):
    """How bad it is (CAP 1.2, 3.2.2 ``severity``), worst first."""

    EXTREME = "Extreme"
    SEVERE = "Severe"
    MODERATE = "Moderate"
    MINOR = "Minor"
    UNKNOWN = "Unknown"


class Certainty(StrEnum):
    """How sure it is (CAP 1.2, 3.2.2 ``certainty``), surest first."""

    OBSERVED = "Observed"
    LIKELY = "Likely"
    POSSIBLE = "Possible"
    UNLIKELY = "Unlikely"
    UNKNOWN = "Unknown"


class PlanKind(StrEnum):
    """The three kinds of emergency plan of GB/T 29639-2020, clause 5."""

    COMPREHENSIVE = "comprehensive"
    SPECIAL = "special"
    SITE = "site"


class ActivationMode(StrEnum):
    """What a match leads to: orders at once, a duty officer's decision, or preparation only."""

    AUTOMATIC = "automatic"
    CONFIRM = "confirm"
    STANDBY = "standby"


class ActivationState(StrEnum):
    """Where an activation stands (GB/T 29639-2020 knows standby beside activation).

    ``monitoring``: matched, waits for a duty officer's confirmation. ``warning``: standby, prepare and track.
    """

    MONITORING = "monitoring"
    WARNING = "warning"
    ACTIVATED = "activated"
    STOOD_DOWN = "stood_down"


class AssignmentState(StrEnum):
    """The life of an assignment. ``overdue``, ``escalated`` and ``blocked`` are derived flags, not states."""

    ISSUED = "issued"
    DELIVERED = "delivered"
    ACKNOWLEDGED = "acknowledged"
    COMMITTED = "committed"
    STARTED = "started"
    DECLINED = "declined"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"

    @property
    def is_open(self) -> bool:
        """True while the department still has something to do or to answer."""
        return self in _OPEN

    @property
    def is_unanswered(self) -> bool:
        """True while nobody has taken the assignment on or turned it down."""
        return self in _UNANSWERED


_UNANSWERED = frozenset({AssignmentState.ISSUED, AssignmentState.DELIVERED, AssignmentState.ACKNOWLEDGED})
_OPEN = _UNANSWERED | {AssignmentState.COMMITTED, AssignmentState.STARTED}


class Answer(StrEnum):
    """What a department can say about an assignment.

    ``deliver`` is the consumer's automatic receipt (EDXL-RM "received"); ``acknowledge`` is a person's "seen";
    ``commit`` is agreement (EDXL-RM "commit"; a CAP ``Ack`` means both of them).
    """

    DELIVER = "deliver"
    ACKNOWLEDGE = "acknowledge"
    COMMIT = "commit"
    DECLINE = "decline"
    START = "start"
    ARRIVE = "arrive"
    PROGRESS = "progress"
    BLOCK = "block"
    COMPLETE = "complete"
    FAIL = "fail"
    DELEGATE = "delegate"


class Notice(StrEnum):
    """Why a department is sent an assignment's message.

    ``informed``: nothing is asked beyond the order itself; the reason says what is new.
    """

    ISSUED = "issued"
    REMINDED = "reminded"
    ESCALATED = "escalated"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    REFUSED = "refused"
    INFORMED = "informed"


class Role(StrEnum):
    """What a person or a program may do."""

    DUTY_OFFICER = "duty_officer"
    DEPARTMENT = "department"
    PLANNER = "planner"
    EVALUATOR = "evaluator"
    AUDITOR = "auditor"
    ADMINISTRATOR = "administrator"


class EscalationStep(StrEnum):
    """Whom silence is taken to next."""

    REMIND = "remind"
    DEPUTY = "deputy"
    SUPERIOR = "superior"
    DUTY_OFFICER = "duty_officer"


class Clock(StrEnum):
    """From when a deadline runs: the order itself, or the moment the incident was reported (statutory reports)."""

    ISSUED = "issued"
    REPORTED = "reported"
