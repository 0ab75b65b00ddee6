"""The AsyncAPI document holds to the specification's shape, and says what the topology and the envelope say."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator

from schemas.envelope import ADAPTERS, ASSIGNMENT, INCIDENT, ContractError, Envelope, read_headers
from schemas.generate import FOLDER
from schemas.topics import TOPICS, all_topics, department_pattern, topic_name
from schemas.vocabulary import Namespace, Status
from tests.contract.golden import NAMES, golden_parts

DOCUMENT: dict[str, Any] = json.loads((FOLDER / "asyncapi.json").read_text(encoding="utf-8"))
CHANNELS: dict[str, Any] = DOCUMENT["channels"]
MESSAGES: dict[str, Any] = DOCUMENT["components"]["messages"]
HEADERS = Draft202012Validator(DOCUMENT["components"]["schemas"]["headers"])

# Field names of AsyncAPI 3.0.0 and its Kafka bindings 0.5.0, for every object the document uses; required ones first.
ROOT = ({"asyncapi", "info"}, {"id", "servers", "defaultContentType", "channels", "operations", "components"})
INFO = ({"title", "version"}, {"description", "termsOfService", "contact", "license", "tags", "externalDocs"})
CHANNEL = (
    {"address", "messages"},
    {"title", "summary", "description", "servers", "parameters", "tags", "externalDocs", "bindings"},
)
PARAMETER = (set[str](), {"enum", "default", "description", "examples", "location"})
OPERATION = (
    {"action", "channel"},
    {"title", "summary", "description", "security", "tags", "externalDocs", "bindings", "traits", "messages", "reply"},
)
MESSAGE = (
    {"payload"},
    {"headers", "correlationId", "contentType", "name", "title", "summary", "description", "tags", "externalDocs"}
    | {"bindings", "examples", "traits"},
)
KAFKA_CHANNEL = ({"bindingVersion"}, {"topic", "partitions", "replicas", "topicConfiguration"})
KAFKA_MESSAGE = ({"bindingVersion"}, {"key", "schemaIdLocation", "schemaIdPayloadEncoding", "schemaLookupStrategy"})
KAFKA_TOPIC = (
    set[str](),
    {"cleanup.policy", "retention.ms", "retention.bytes", "delete.retention.ms", "max.message.bytes"},
)


def objects() -> Iterator[tuple[str, Any, tuple[set[str], set[str]]]]:
    yield "document", DOCUMENT, ROOT
    yield "info", DOCUMENT["info"], INFO
    yield "license", DOCUMENT["info"]["license"], ({"name"}, {"url"})
    for name, channel in CHANNELS.items():
        yield name, channel, CHANNEL
        for parameter, described in channel["parameters"].items():
            yield f"{name}.{parameter}", described, PARAMETER
        yield f"{name} on Kafka", channel["bindings"]["kafka"], KAFKA_CHANNEL
        yield f"{name}'s topic", channel["bindings"]["kafka"]["topicConfiguration"], KAFKA_TOPIC
    for name, operation in DOCUMENT["operations"].items():
        yield name, operation, OPERATION
    for name, message in MESSAGES.items():
        yield name, message, MESSAGE
        if "bindings" in message:
            yield f"{name} on Kafka", message["bindings"]["kafka"], KAFKA_MESSAGE


OBJECTS = list(objects())


@pytest.mark.parametrize(("found", "fields"), [each[1:] for each in OBJECTS], ids=[each[0] for each in OBJECTS])
def test_every_object_has_the_fields_of_the_specification(found: Any, fields: tuple[set[str], set[str]]) -> None:
    required, optional = fields
    assert required <= found.keys() <= required | optional


def test_it_names_the_version_of_the_specification() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in (*CHANNELS, *DOCUMENT["operations"], *MESSAGES))


def references(found: Any) -> Iterator[str]:
    if isinstance(found, dict):
        if isinstance(found.get("$ref"), str):
            yield found["$ref"]
        for inner in found.values():
            yield from references(inner)
    elif isinstance(found, list):
        for inner in found:
            yield from references(inner)


def resolve(reference: str) -> Any:
    file, _, pointer = reference.partition("#")
    found: Any = json.loads((FOLDER / file).read_text(encoding="utf-8")) if file else DOCUMENT
    for part in pointer.split("/")[1:]:
        found = found[part]
        if isinstance(found, dict) and "$ref" in found:
            found = resolve(found["$ref"])
    return found


def test_every_reference_leads_somewhere() -> None:
    found = set(references(DOCUMENT))
    assert len(found) > len(TOPICS)
    assert all(resolve(reference) for reference in found)


def test_an_operation_uses_a_message_of_its_channel() -> None:
    for operation in DOCUMENT["operations"].values():
        assert operation["action"] in {"send", "receive"}
        for message in operation["messages"]:
            assert message["$ref"].startswith(f"{operation['channel']['$ref']}/messages/")


def test_every_producer_sends_and_every_consumer_receives() -> None:
    expected = {
        (who, verb, topic.name)
        for topic in TOPICS
        for verb, parties in (("send", topic.producers), ("receive", topic.consumers))
        for who in parties
    }
    found = {
        (name.partition("-")[0], operation["action"], operation["channel"]["$ref"].rpartition("/")[2])
        for name, operation in DOCUMENT["operations"].items()
    }
    assert found == expected


def test_addresses_give_the_names_of_all_topics_on_the_broker() -> None:
    departments = ["fire-rescue", "police"]
    for namespace in Namespace:
        filled = {
            channel["address"].format(namespace=namespace.value, department=department)
            for channel in CHANNELS.values()
            for department in departments
        }
        assert filled == {name for name, _ in all_topics(namespace, departments)}


def test_a_parameter_is_described_exactly_when_the_address_has_it() -> None:
    for channel in CHANNELS.values():
        assert re.findall(r"\{(\w+)\}", channel["address"]) == list(channel["parameters"])
        assert channel["parameters"]["namespace"]["enum"] == [namespace.value for namespace in Namespace]


def test_partitions_and_retention_are_those_of_the_topology() -> None:
    for topic in TOPICS:
        kafka = CHANNELS[topic.name]["bindings"]["kafka"]
        kept = int(topic.retention.total_seconds() * 1000) or -1
        assert (kafka["partitions"], kafka["topicConfiguration"]["retention.ms"]) == (topic.partitions, kept)


def test_every_contract_has_its_schema_its_headers_and_its_key() -> None:
    for kind in ADAPTERS:
        message = MESSAGES[kind.removeprefix("muster.")]
        assert message["name"] == f"{kind}.v1"
        assert message["headers"] == {"$ref": "#/components/schemas/headers"}
        assert message["bindings"]["kafka"]["key"]["format"] == "uuid"


@pytest.mark.parametrize("name", NAMES)
def test_committed_headers_are_valid_by_the_document(name: str) -> None:
    assert HEADERS.is_valid(golden_parts(name)[0])


def test_the_document_asks_for_the_headers_that_are_written_and_that_readers_ask_for() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    identity = UUID("0192a3b4-c5d6-7e8f-9012-3456789abcde")
    envelope = Envelope(identity, INCIDENT, "muster/test", "", datetime.now(UTC), Status.TEST, trace)
    written = envelope.headers()
    assert {name for name, _ in written} == HEADERS.schema["properties"].keys()  # type: ignore[index]
    for name, _ in written:
        rest = [pair for pair in written if pair[0] != name]
        valid = HEADERS.is_valid({key: said.decode() for key, said in rest})
        try:
            read_headers(rest, INCIDENT)
        except ContractError:
            assert not valid
        else:
            assert valid


def test_the_pattern_of_a_departments_topics_finds_them_and_no_others() -> None:
    topic = next(topic for topic in TOPICS if topic.type == ASSIGNMENT)
    pattern = department_pattern(topic, Namespace.ACTUAL)
    assert re.match(pattern, topic_name(topic, Namespace.ACTUAL, "fire-rescue"))
    assert not re.match(pattern, topic_name(topic, Namespace.EXERCISE, "fire-rescue"))
