"""The topology as an AsyncAPI 3.0 document: channels, who sends and who receives, headers, Kafka bindings.

Source: AsyncAPI 3.0.0; its Kafka bindings 0.5.0; CloudEvents 1.0.2, Kafka protocol binding, section 3.2.
"""

from typing import Any

from schemas.base import DEPARTMENT_PATTERN
from schemas.envelope import ADAPTERS, DEAD_LETTER, MAJOR
from schemas.topics import EPOCH, FOREVER, PREFIX, TOPICS, Topic
from schemas.vocabulary import Namespace, Status

BINDING = "0.5.0"
DIALECT = "application/schema+json;version=2020-12"
JSON = "application/json"
BYTES = "application/octet-stream"

NOT_JSON = {
    DEAD_LETTER: "The message that was set aside, byte for byte as it came.",
    EPOCH.type: "The 16 bytes of the UUIDv7 that names this broker's life.",
}
"""Topics whose value no model describes, and what their value is."""


def schema_file(kind: str) -> str:
    """Name the file of a message type's JSON Schema."""
    return f"{_short(kind)}.v{MAJOR}.json"


def asyncapi() -> dict[str, Any]:
    """Describe every topic of both namespaces, and every message."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Muster",
            "version": f"{MAJOR}.0.0",
            "description": "What the parts of Muster and the departments say to each other over Kafka. Delivery is at"
            " least once: a repeat has the same `ce_id`. Records are keyed by incident id, so order per incident is"
            " kept. A topic carries one namespace only.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": JSON,
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": {
            f"{who}-{verb}s-{topic.name}": _operation(topic, who, verb)
            for topic in TOPICS
            for verb, parties in (("send", topic.producers), ("receive", topic.consumers))
            for who in parties
        },
        "components": {
            "messages": {_short(topic.type): _message(topic) for topic in TOPICS},
            "schemas": {"headers": _headers()},
        },
    }


def _short(kind: str) -> str:
    return kind.removeprefix(f"{PREFIX}.")


def _address(topic: Topic) -> str:
    department = ".{department}" if topic.per_department else ""
    return f"{PREFIX}.{{namespace}}.{topic.name}{department}"


def _channel(topic: Topic) -> dict[str, Any]:
    milliseconds = -1 if topic.retention == FOREVER else int(topic.retention.total_seconds() * 1000)
    parameters: dict[str, Any] = {
        "namespace": {
            "enum": [namespace.value for namespace in Namespace],
            "description": "`actual` carries status Actual; `exercise` carries Exercise and Test.",
        }
    }
    if topic.per_department:
        parameters["department"] = {
            "description": f"The department's id in the directory, of the form {DEPARTMENT_PATTERN}.",
            "examples": ["fire-rescue"],
        }
    name = _short(topic.type)
    return {
        "address": _address(topic),
        "description": topic.purpose,
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        "parameters": parameters,
        "bindings": {
            "kafka": {
                "partitions": topic.partitions,
                "topicConfiguration": {"cleanup.policy": ["delete"], "retention.ms": milliseconds},
                "bindingVersion": BINDING,
            }
        },
    }


def _operation(topic: Topic, who: str, verb: str) -> dict[str, Any]:
    channel = f"#/channels/{topic.name}"
    return {
        "action": verb,
        "channel": {"$ref": channel},
        "summary": f"{who.capitalize()} {'writes to' if verb == 'send' else 'reads from'} {_address(topic)}.",
        "messages": [{"$ref": f"{channel}/messages/{_short(topic.type)}"}],
    }


def _message(topic: Topic) -> dict[str, Any]:
    key = {"type": "string", "format": "uuid", "description": "The incident's id, as text."}
    described: dict[str, Any] = {"title": _short(topic.type), "summary": topic.purpose}
    if topic.type in ADAPTERS:
        return described | {
            "name": f"{topic.type}.v{MAJOR}",
            "contentType": JSON,
            "headers": {"$ref": "#/components/schemas/headers"},
            "payload": {"schemaFormat": DIALECT, "schema": {"$ref": f"./{schema_file(topic.type)}"}},
            "bindings": {"kafka": {"key": key, "bindingVersion": BINDING}},
        }
    return described | {
        "name": topic.type,
        "contentType": BYTES,
        "payload": {"type": "string", "description": NOT_JSON[topic.type]},
    }


def _headers() -> dict[str, Any]:
    """Describe the headers that `schemas.envelope.Envelope.headers` writes and `read_headers` asks for."""
    text = {"type": "string"}
    return {
        "type": "object",
        "description": "CloudEvents 1.0 in Kafka's binary mode; every value is UTF-8 text.",
        "required": ["ce_id", "ce_type", "ce_source", "ce_time", "ce_status"],
        "properties": {
            "ce_specversion": {"const": "1.0"},
            "ce_id": {
                **text,
                "format": "uuid",
                "description": "UUIDv7 of the event: the key by which a repeat is known.",
            },
            "ce_type": {**text, "pattern": rf"^{PREFIX}\.[a-z-]+\.v{MAJOR}$", "description": "Type and major version."},
            "ce_source": {**text, "minLength": 1, "description": "Who says it, as in `muster/dispatch`."},
            "ce_subject": {**text, "description": "The incident's id."},
            "ce_time": {**text, "format": "date-time", "description": "When it was said, with its offset."},
            "ce_status": {
                "enum": [status.value for status in Status],
                "description": "CAP status; the same as in the value. Required: it has no default.",
            },
            "content-type": {"const": JSON},
            "traceparent": {**text, "description": "W3C trace context."},
        },
    }
