"""Who may do what on Kafka, made from the topology: the access control list of one namespace.

A principal belongs to one namespace and reaches nothing of another. Reading and writing a topic let it be described
too, so that is not said again. Whoever is to apply these lists to the brokers is an administrator of the brokers, who
stands outside of them. Source: Apache Kafka 4.3, "Authorization and ACLs", operations and resources.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from schemas.topics import (
    ACKNOWLEDGEMENTS,
    ASSIGNMENTS,
    COMMANDS,
    DRILL_DEPARTMENTS,
    INCIDENTS,
    PREFIX,
    SERVICES,
    TOPICS,
    Topic,
    group_name,
    topic_name,
)
from schemas.vocabulary import Namespace

DEPARTMENT = "department"
FEEDER = "feeder"
"""Somebody outside who reports incidents on Kafka."""
ADMIN = "admin"
"""Who makes topics."""
DRILLS = "drills"
"""``muster drill run``: in the exercise it runs the services and plays the departments; nowhere else is there one."""
CANARY = "canary"
"""``muster drill canary``: plays in the exercise, and looks for traces of it on the real side."""

_PLAYED = tuple(service for service in SERVICES if service != "console")
_WATCHED = {"console": ("dispatch", "tracking")}
"""Who shows how far behind whose groups are."""


class Resource(StrEnum):
    """What access is given to, as ``kafka-acls`` calls it."""

    TOPIC = "topic"
    GROUP = "group"


class Operation(StrEnum):
    """What may be done with it, as ``kafka-acls`` calls it."""

    READ = "Read"
    WRITE = "Write"
    CREATE = "Create"
    DESCRIBE = "Describe"


@dataclass(frozen=True, slots=True, order=True)
class Acl:
    """One entry: a principal may do one thing with one resource, from any host.

    ``prefixed``: with every resource whose name begins so.
    """

    principal: str
    resource: Resource
    name: str
    prefixed: bool
    operation: Operation


def principal(who: str, namespace: Namespace, department: str | None = None) -> str:
    """Name a user: ``muster-<namespace>-<who>``, ``feeder-<namespace>``, ``department-<namespace>-<department>``."""
    if (who == DEPARTMENT) != (department is not None):
        raise ValueError(f"{who}: a department is named exactly when the principal is one")
    parts = (who, namespace.value, department) if department is not None else (who, namespace.value)
    return "-".join(parts if who in {DEPARTMENT, FEEDER} else (PREFIX, namespace.value, who))


def acls(namespace: Namespace, departments: Iterable[str]) -> list[Acl]:
    """List what every principal of a namespace may do, in one order; whatever is not listed is denied."""
    found: set[Acl] = set()
    for service in SERVICES:
        found |= set(_service(namespace, service, principal(service, namespace)))
    for department in departments:
        found |= set(_department(namespace, department))
    feeder, admin = principal(FEEDER, namespace), principal(ADMIN, namespace)
    found |= {_topic(feeder, namespace, topic, Operation.WRITE) for topic in TOPICS if FEEDER in topic.producers}
    everything = Acl(admin, Resource.TOPIC, f"{PREFIX}.{namespace}.", prefixed=True, operation=Operation.CREATE)
    found |= {everything, replace(everything, operation=Operation.DESCRIBE)}
    if namespace is Namespace.EXERCISE:
        found |= set(_drills(principal(DRILLS, namespace)))
        found |= set(_canary(principal(CANARY, namespace)))
    else:
        found.add(replace(everything, principal=principal(CANARY, namespace), operation=Operation.READ))
    return sorted(found)


def _service(namespace: Namespace, service: str, who: str) -> Iterator[Acl]:
    for topic in TOPICS:
        if service in topic.producers:
            yield _topic(who, namespace, topic, Operation.WRITE)
        if service in topic.consumers:
            yield _topic(who, namespace, topic, Operation.READ)
            if topic.shared:
                yield _group(who, group_name(namespace, service), Operation.READ)
    for watched in _WATCHED.get(service, ()):
        yield _group(who, group_name(namespace, watched), Operation.DESCRIBE)


def _department(namespace: Namespace, department: str) -> Iterator[Acl]:
    who = principal(DEPARTMENT, namespace, department)
    for topic in TOPICS:
        operations = {Operation.WRITE: topic.producers, Operation.READ: topic.consumers}
        for operation in (each for each, parties in operations.items() if DEPARTMENT in parties):
            name = topic_name(topic, namespace, department)
            yield Acl(who, Resource.TOPIC, name, prefixed=False, operation=operation)
    yield _group(who, group_name(namespace, DEPARTMENT, department), Operation.READ)


def _drills(who: str) -> Iterator[Acl]:
    namespace = Namespace.EXERCISE
    for service in _PLAYED:
        yield from _service(namespace, service, who)
    yield _topic(who, namespace, ASSIGNMENTS, Operation.READ)
    yield _topic(who, namespace, ACKNOWLEDGEMENTS, Operation.WRITE)
    yield _group(who, group_name(namespace, DRILL_DEPARTMENTS), Operation.READ)
    # The roll call looks into the groups of those who take part themselves.
    yield replace(_group(who, f"{group_name(namespace, DEPARTMENT)}.", Operation.DESCRIBE), prefixed=True)


def _canary(who: str) -> Iterator[Acl]:
    for topic in (INCIDENTS, COMMANDS, ACKNOWLEDGEMENTS):
        yield _topic(who, Namespace.EXERCISE, topic, Operation.WRITE)


def _topic(who: str, namespace: Namespace, topic: Topic, operation: Operation) -> Acl:
    """Give access to a topic, or to those of all departments, of which there may be more later."""
    name = f"{PREFIX}.{namespace}.{topic.name}." if topic.per_department else topic_name(topic, namespace)
    return Acl(who, Resource.TOPIC, name, prefixed=topic.per_department, operation=operation)


def _group(who: str, name: str, operation: Operation) -> Acl:
    return Acl(who, Resource.GROUP, name, prefixed=False, operation=operation)


def commands(entries: Iterable[Acl], bootstrap: str, config: str) -> list[str]:
    """Write entries as command lines of Apache Kafka's ``kafka-acls.sh``, one for each principal and resource.

    ``config`` is the properties file with the administrator's credentials.
    """
    grouped: dict[tuple[str, Resource, str, bool], list[Operation]] = {}
    for each in entries:
        grouped.setdefault((each.principal, each.resource, each.name, each.prefixed), []).append(each.operation)
    lines: list[str] = []
    for (who, resource, name, prefixed), operations in grouped.items():
        pattern = " --resource-pattern-type prefixed" if prefixed else ""
        said = " ".join(f"--operation {operation}" for operation in operations)
        lines.append(
            f"kafka-acls.sh --bootstrap-server {bootstrap} --command-config {config}"
            f" --add --allow-principal User:{who} {said} --{resource} {name}{pattern}"
        )
    return lines
