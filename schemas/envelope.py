"""The envelope of every message: CloudEvents 1.0 in Kafka's binary mode, with the CAP status as an extension.

Source: CloudEvents 1.0.2, section 3.1 (attributes) and its Kafka protocol binding, section 3.2 (binary mode:
``ce_`` headers, the data in the value). Trace context is W3C ``traceparent``.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from schemas.acknowledgement import Acknowledgement
from schemas.assignment import Assignment
from schemas.base import Message
from schemas.command import CommandAdapter, CommandBase
from schemas.incident import IncidentReport
from schemas.timeline import TimelineEntry
from schemas.vocabulary import Status

MAJOR = 1
"""Major version of every contract; it is the last part of an event's type."""

MAX_VALUE_BYTES = 1_000_000
"""Largest value read or written, in bytes; a little under Kafka's own default of 1 MiB for a whole batch."""

_NUL = rb"\u0000"
_WRITTEN_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""A NUL as JSON writes it; behind an odd backslash more it is six characters of text."""

INCIDENT = "muster.incident"
COMMAND = "muster.command"
ASSIGNMENT = "muster.assignment"
ACKNOWLEDGEMENT = "muster.acknowledgement"
TIMELINE = "muster.timeline"
DEAD_LETTER = "muster.dead-letter"

ADAPTERS: Mapping[str, TypeAdapter[Any]] = {
    INCIDENT: TypeAdapter(IncidentReport),
    COMMAND: CommandAdapter,
    ASSIGNMENT: TypeAdapter(Assignment),
    ACKNOWLEDGEMENT: TypeAdapter(Acknowledgement),
    TIMELINE: TypeAdapter(TimelineEntry),
}

Headers = Iterable[tuple[str, bytes | None]]


class ContractError(ValueError):
    """A message that can't be read as what it says it is; the text says which part and what was expected."""


class Envelope(NamedTuple):
    """Who says what kind of thing, about which incident, when, and in which world.

    ``id`` is the event's UUIDv7: the one key by which a repeat is known. ``subject`` is the incident's id.
    """

    id: UUID
    type: str
    source: str
    subject: str
    time: datetime
    status: Status
    traceparent: str | None = None

    def headers(self) -> list[tuple[str, bytes]]:
        """Write the envelope as Kafka headers."""
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", str(self.id).encode()),
            *_said_alike(self.type, self.source, self.status),
            ("ce_subject", self.subject.encode()),
            ("ce_time", _write_time(self.time)),
            ("content-type", b"application/json"),
        ]
        if self.traceparent is not None:
            headers.append(("traceparent", self.traceparent.encode()))
        return headers


@lru_cache(256)
def _said_alike(kind: str, source: str, status: Status) -> tuple[tuple[str, bytes], ...]:
    # A process says few different ones of these, and says them with every message.
    said = {"ce_type": f"{kind}.v{MAJOR}", "ce_source": source, "ce_status": status.value}
    return tuple((name, value.encode()) for name, value in said.items())


@lru_cache(64)
def _write_time(time: datetime) -> bytes:
    # What is decided at once carries one moment.
    return time.astimezone(UTC).isoformat().encode()


def read_headers(headers: Headers, expected: str) -> Envelope:
    """Read the envelope of a message that should be of type ``expected``; raise `ContractError` with the reason."""
    pairs: dict[str, str] = {}
    for name, value in headers:
        shown = name if name.isascii() and name.isprintable() else ascii(name)
        if not name.isprintable():
            raise ContractError(f"header {shown[:100]}: its name is not printable text in UTF-8")
        if value is None:
            raise ContractError(f"header {shown[:100]}: has no value")
        try:
            pairs[name] = value.decode()
        except UnicodeDecodeError:
            raise ContractError(f"header {shown[:100]}: is not UTF-8") from None
    missing = [name for name in ("ce_id", "ce_type", "ce_source", "ce_status") if not pairs.get(name)]
    if missing:
        raise ContractError(f"header {missing[0]}: is missing")
    kind, _, major = pairs["ce_type"].rpartition(".v")
    if kind != expected:
        raise ContractError(
            f"header ce_type: {pairs['ce_type']!r} does not belong on this topic, {expected}.v{MAJOR} does"
        )
    if major != str(MAJOR):
        raise ContractError(f"header ce_type: version {major} is not the version {MAJOR} that is read here")
    try:
        identity = UUID(pairs["ce_id"])
    except ValueError:
        raise ContractError(f"header ce_id: {pairs['ce_id']!r} is not a UUID") from None
    if identity.version != 7:
        raise ContractError(f"header ce_id: {pairs['ce_id']} is not a UUIDv7")
    try:
        status = Status(pairs["ce_status"])
    except ValueError:
        raise ContractError(f"header ce_status: {pairs['ce_status']!r} is not a CAP status") from None
    return Envelope(
        id=identity,
        type=kind,
        source=pairs["ce_source"],
        subject=pairs.get("ce_subject", ""),
        time=_read_time(pairs.get("ce_time")),
        status=status,
        traceparent=pairs.get("traceparent"),
    )


def _read_time(text: str | None) -> datetime:
    try:
        time = datetime.fromisoformat(text) if text else None
    except ValueError:
        raise ContractError(f"header ce_time: {text!r} is not a time") from None
    if time is None or time.tzinfo is None:
        raise ContractError("header ce_time: must be a time with its offset")
    return time


def read_message(headers: Headers, value: bytes | None, expected: str) -> tuple[Envelope, Any]:
    """Read one message of type ``expected`` from its headers and bytes.

    Returns the envelope and the model. Raises `ContractError` in one sentence: which part, what is wrong.
    """
    envelope = read_headers(headers, expected)
    if value is None:
        raise ContractError("value: is missing")
    if len(value) > MAX_VALUE_BYTES:
        raise ContractError(f"value: has {len(value)} bytes, at most {MAX_VALUE_BYTES} are read")
    if _NUL in value and _WRITTEN_NUL.search(value):
        raise ContractError("value: holds a NUL character, which no text has")
    try:
        message = ADAPTERS[expected].validate_json(value)
    except ValidationError as error:
        raise ContractError(explain(error)) from None
    if message.status is not envelope.status:
        raise ContractError(f"status: the header says {envelope.status}, the value says {message.status}")
    return envelope, message


def explain(error: ValidationError) -> str:
    """Say the first thing that is wrong in one line: where, what, and how many more there are."""
    first, *others = error.errors(include_url=False, include_context=False, include_input=False)
    where = ".".join(str(part) for part in first["loc"]) or "value"
    more = f" (and {len(others)} more)" if others else ""
    return f"{_plain(where, 200)}: {_plain(first['msg'], 500)}{more}"


def _plain(text: str, longest: int) -> str:
    """Keep a sender's own words on one line of bounded length."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[:longest])


def write_value(message: Message | CommandBase) -> bytes:
    """Write a message's value as JSON, without the fields that say nothing."""
    return message.model_dump_json(exclude_none=True).encode()
