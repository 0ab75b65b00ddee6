"""The access control lists are made from the topology: each world for itself, each department for itself."""

from collections.abc import Iterator

import pytest

from schemas.acls import ADMIN, CANARY, DEPARTMENT, DRILLS, FEEDER, Acl, Operation, Resource, acls, commands, principal
from schemas.topics import ACKNOWLEDGEMENTS, ASSIGNMENTS, SERVICES, TOPICS, all_topics, group_name, topic_name
from schemas.topics import written_by as types_of
from schemas.vocabulary import Namespace

DEPARTMENTS = ("fire", "fire-rescue", "police")


def entries(namespace: Namespace) -> Iterator[Acl]:
    yield from acls(namespace, DEPARTMENTS)


def reached(entry: Acl, name: str) -> bool:
    return name.startswith(entry.name) if entry.prefixed else name == entry.name


@pytest.mark.parametrize("namespace", Namespace)
def test_nothing_is_given_in_another_world(namespace: Namespace) -> None:
    for entry in entries(namespace):
        assert entry.name.startswith(f"muster.{namespace}.")
        assert namespace.value in entry.principal.split("-")


@pytest.mark.parametrize("namespace", Namespace)
def test_a_department_reads_its_orders_and_writes_its_answers_and_joins_its_group(namespace: Namespace) -> None:
    """Also when another department's name begins with its own."""
    for department in DEPARTMENTS:
        who = principal(DEPARTMENT, namespace, department)
        given = {(e.resource, e.operation, e.name, e.prefixed) for e in entries(namespace) if e.principal == who}
        assert given == {
            (Resource.TOPIC, Operation.READ, topic_name(ASSIGNMENTS, namespace, department), False),
            (Resource.TOPIC, Operation.WRITE, topic_name(ACKNOWLEDGEMENTS, namespace, department), False),
            (Resource.GROUP, Operation.READ, group_name(namespace, DEPARTMENT, department), False),
        }


@pytest.mark.parametrize("namespace", Namespace)
def test_a_service_gets_just_the_topics_that_the_topology_names_it_for(namespace: Namespace) -> None:
    for service in SERVICES:
        own = [e for e in entries(namespace) if e.principal == principal(service, namespace)]
        for name, topic in all_topics(namespace, DEPARTMENTS):
            may = {e.operation for e in own if e.resource is Resource.TOPIC and reached(e, name)}
            named = {Operation.WRITE: topic.producers, Operation.READ: topic.consumers}
            assert may == {operation for operation, parties in named.items() if service in parties}, (service, name)


def test_every_party_of_the_topology_has_a_principal() -> None:
    parties = {party for topic in TOPICS for party in (*topic.producers, *topic.consumers)}
    assert parties == {*SERVICES, DEPARTMENT, FEEDER}


def test_only_the_exercise_is_played_and_only_the_real_world_is_watched() -> None:
    played = {e.principal for e in entries(Namespace.EXERCISE)}
    real = list(entries(Namespace.ACTUAL))
    assert principal(DRILLS, Namespace.EXERCISE) in played
    assert not [e for e in real if e.principal == principal(DRILLS, Namespace.ACTUAL)]
    [watching] = [e for e in real if e.principal == principal(CANARY, Namespace.ACTUAL)]
    assert watching.operation is Operation.READ
    assert watching.resource is Resource.TOPIC


@pytest.mark.parametrize("namespace", Namespace)
def test_nobody_may_change_or_delete_and_only_the_administrator_creates(namespace: Namespace) -> None:
    assert set(Operation) == {"Read", "Write", "Create", "Describe"}
    creating = {e.principal for e in entries(namespace) if e.operation is Operation.CREATE}
    assert creating == {principal(ADMIN, namespace)}


def test_the_list_is_the_same_in_whatever_order_departments_come() -> None:
    assert acls(Namespace.ACTUAL, DEPARTMENTS) == acls(Namespace.ACTUAL, DEPARTMENTS[::-1])
    assert len(set(entries(Namespace.ACTUAL))) == len(acls(Namespace.ACTUAL, DEPARTMENTS))


def test_a_department_is_named_exactly_where_there_is_one() -> None:
    with pytest.raises(ValueError, match="a department is named exactly when"):
        principal(DEPARTMENT, Namespace.ACTUAL)
    with pytest.raises(ValueError, match="a department is named exactly when"):
        principal(FEEDER, Namespace.ACTUAL, "police")


def test_commands_of_kafka_acls_say_the_same() -> None:
    lines = commands(acls(Namespace.ACTUAL, ["police"]), "kafka:9093", "admin.properties")
    start = (
        "kafka-acls.sh --bootstrap-server kafka:9093 --command-config admin.properties --add --allow-principal User:"
    )
    assert all(line.startswith(start) for line in lines)
    said = [line.removeprefix(start) for line in lines]
    assert "department-actual-police --operation Read --topic muster.actual.assignments.police" in said
    assert (
        "muster-actual-dispatch --operation Write --topic muster.actual.assignments. --resource-pattern-type prefixed"
        in said
    )
    assert "muster-actual-tracking --operation Read --group muster.actual.tracking" in said
    both = "muster-actual-admin --operation Create --operation Describe --topic muster.actual."
    assert f"{both} --resource-pattern-type prefixed" in said


def test_what_a_service_sends_is_what_it_may_write() -> None:
    assert types_of("intake") == {"muster.incident", "muster.command", "muster.epoch"}
    assert types_of("console") == types_of("intake") | {"muster.acknowledgement"}
    assert {"muster.assignment", "muster.timeline"} <= types_of("dispatch") & types_of("tracking")
    assert not types_of("dispatch") & {"muster.incident", "muster.command", "muster.acknowledgement"}
