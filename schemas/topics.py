"""The topology as data: every topic, its key, partitions, retention, who writes and who reads.

Topics are created from this table, AsyncAPI is generated from it, and so are Kafka's ACLs (`schemas.acls`).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from schemas.envelope import ACKNOWLEDGEMENT, ASSIGNMENT, COMMAND, DEAD_LETTER, INCIDENT, TIMELINE
from schemas.vocabulary import Namespace

PREFIX = "muster"
FOREVER = timedelta(0)
"""Retention that never deletes."""
SERVICES = ("intake", "dispatch", "tracking", "escalation", "outbound", "console")
"""Who works for Muster; a department and a feeder stand outside."""
DRILL_DEPARTMENTS = "drill-departments"
"""The group that listens for all departments that a drill simulates."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic, or one for each department when ``per_department``.

    ``partitions`` bounds how many copies of a consumer share the work. ``batch`` says whether consumers take
    many records at once. All topics are keyed by incident id, so that order per incident is kept. Consumers of one
    kind share the records as a group, unless ``shared`` is False: then every process reads all for itself.
    """

    name: str
    type: str
    purpose: str
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    partitions: int = 8
    retention: timedelta = timedelta(days=7)
    batch: bool = True
    per_department: bool = False
    shared: bool = True


INCIDENTS = Topic(
    "incidents",
    INCIDENT,
    "Reports of incidents, updates and cancellations.",
    ("intake", "console", "feeder"),
    ("dispatch",),
)
COMMANDS = Topic("commands", COMMAND, "What duty officers decide.", ("intake", "console"), ("dispatch",))
ASSIGNMENTS = Topic(
    "assignments",
    ASSIGNMENT,
    "Orders to one department, and every later word about them.",
    ("dispatch", "tracking", "escalation"),
    ("department",),
    partitions=2,
    batch=False,
    per_department=True,
)
ACKNOWLEDGEMENTS = Topic(
    "acknowledgements",
    ACKNOWLEDGEMENT,
    "One department's answers.",
    ("department", "console"),
    ("tracking",),
    partitions=2,
    per_department=True,
)
TIMELINES = Topic(
    "timeline",
    TIMELINE,
    "Everything that happened, for others to follow.",
    ("dispatch", "tracking", "escalation"),
    ("outbound",),
)
DEAD_LETTERS = Topic(
    "dead-letters",
    DEAD_LETTER,
    "Messages that could not be read or are invalid, with their origin and the reason.",
    ("dispatch", "tracking"),
    (),
    partitions=1,
    retention=timedelta(days=30),
)
EPOCH = Topic(
    "epoch",
    "muster.epoch",
    "One record that names this broker's life; its absence tells that the broker has lost its data.",
    SERVICES,
    SERVICES,
    partitions=1,
    retention=FOREVER,
    shared=False,
)

TOPICS = (INCIDENTS, COMMANDS, ASSIGNMENTS, ACKNOWLEDGEMENTS, TIMELINES, DEAD_LETTERS, EPOCH)


def topic_name(topic: Topic, namespace: Namespace, department: str | None = None) -> str:
    """Name a topic on the broker: ``muster.<namespace>.<name>`` and, where it is per department, its department."""
    if topic.per_department != (department is not None):
        raise ValueError(f"topic {topic.name}: a department is named exactly when the topic is per department")
    parts = (PREFIX, namespace.value, topic.name) + ((department,) if department is not None else ())
    return ".".join(parts)


def group_name(namespace: Namespace, who: str, department: str | None = None) -> str:
    """Name the group in which copies of a consumer share their records: ``muster.<namespace>.<who>[.<department>]``."""
    return ".".join((PREFIX, namespace.value, who) + ((department,) if department is not None else ()))


def written_by(service: str) -> frozenset[str]:
    """Give the types of messages that a service may publish."""
    return frozenset(topic.type for topic in TOPICS if service in topic.producers)


def department_pattern(topic: Topic, namespace: Namespace) -> str:
    """Write the regular expression that finds a per-department topic for every department."""
    return rf"^{PREFIX}\.{namespace.value}\.{topic.name}\.[a-z0-9-]+$"


def department_of(topic_on_broker: str) -> str:
    """Read the department from the name of a per-department topic."""
    match = re.fullmatch(rf"{PREFIX}\.[a-z]+\.[a-z-]+\.([a-z0-9-]+)", topic_on_broker)
    if match is None:
        raise ValueError(f"{topic_on_broker} is not the topic of a department")
    return match[1]


def all_topics(namespace: Namespace, departments: Iterable[str]) -> list[tuple[str, Topic]]:
    """List every topic of a namespace by its name on the broker."""
    departments = sorted(departments)
    named: list[tuple[str, Topic]] = []
    for topic in TOPICS:
        if topic.per_department:
            named += [(topic_name(topic, namespace, department), topic) for department in departments]
        else:
            named.append((topic_name(topic, namespace), topic))
    return named
