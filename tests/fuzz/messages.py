"""Fuzzes every topic's way in: the guarded reader, the service's admission, and the engine with the shipped plans.

An input is a record as bytes: its timestamp, its key, its headers as ``name=value`` (without ``=``: no value), an empty
line, the value (without the empty line: none). Oracles besides not crashing: what is refused is kept byte for byte,
and whatever the engine says can be read by whoever it is said to.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from uuid import UUID

from aiokafka import ConsumerRecord
from hypothesis import strategies as st
from pydantic import BaseModel

from schemas.envelope import (
    ACKNOWLEDGEMENT,
    ADAPTERS,
    ASSIGNMENT,
    COMMAND,
    INCIDENT,
    TIMELINE,
    read_message,
    write_value,
)
from schemas.incident import Area
from schemas.vocabulary import Namespace, Status
from services.departments.answering import Answering
from services.departments.order import Order
from services.dispatch.service import admit_command, admit_report
from services.domain.decision import Answered, Commanded, Outcome, Reported, TimePassed
from services.domain.engine import decide
from services.domain.incident import Incident
from services.domain.matching import PlanIndex
from services.domain.playbook import Playbook
from services.platform.dead_letters import announcement
from services.platform.kafka import Received, Unreadable, read_record
from services.platform.outbox import envelope_of
from services.platform.worker import letter_of
from services.playbooks.directory import load_directory
from services.playbooks.plans import load_plans
from services.tracking.service import admit as admit_answer
from tests.contract.golden import NAMES, golden
from tests.contract.strategies import instances
from tests.fuzz.harness import Entry, LostError, Target
from tests.fuzz.shapes import escaped, nearly, spoilt
from tests.services.support import PLAYBOOKS, report

NOW = datetime(2026, 6, 1, 8, tzinfo=UTC)
TOPICS = {
    INCIDENT: "muster.exercise.incidents",
    COMMAND: "muster.exercise.commands",
    ACKNOWLEDGEMENT: "muster.exercise.acknowledgements.police",
    ASSIGNMENT: "muster.exercise.assignments.police",
    TIMELINE: "muster.exercise.timeline",
}
EVENT = UUID("01900000-0000-7000-8000-000000000001")
INCIDENT_ID = UUID("01900000-0000-7000-8000-000000000002")
DEPARTMENT = "police"


@cache
def playbook() -> Playbook:
    """Compile what is shipped."""
    plans = load_plans(PLAYBOOKS / "plans")
    directory = load_directory(PLAYBOOKS / "departments.yaml")
    return Playbook(PlanIndex(plans), {plan.digest: plan for plan in plans}, directory)


@cache
def under_way() -> Incident:
    """Give an incident that plans answer and departments have orders in; the same in every process."""
    came = report(
        incident_id=INCIDENT_ID, status=Status.EXERCISE, areas=(Area(description="Riverside"),), reported_at=NOW
    )
    incident = decide(None, Reported(EVENT, came, NOW), NOW, playbook()).incident
    assert incident is not None
    assert incident.assignments
    return incident


def record_of(data: bytes, topic: str) -> "ConsumerRecord[bytes, bytes]":
    """Make the record that an input stands for, as the consumer hands it on."""
    head, parted, value = data.partition(b"\n\n")
    lines = head.split(b"\n")
    stamp, key, headers = lines[0], lines[1] if len(lines) > 1 else None, lines[2:]
    try:
        at = int(stamp[:20])
    except ValueError:
        at = 1_780_000_000_000
    at = max(-(2**63), min(at, 2**63 - 1))
    pairs = []
    for line in headers[:200]:
        name, told, said = line.partition(b"=")
        pairs.append((name.decode("utf-8", "surrogateescape"), said if told else None))
    body = value if parted else None
    return ConsumerRecord(topic, 0, 7, at, 0, key, body, None, 0, 0, tuple(pairs))


def input_of(headers: Sequence[tuple[str, bytes]], value: bytes, stamp: int = 1_780_000_000_000) -> bytes:
    """Write a record as an input."""
    head = b"\n".join([str(stamp).encode(), b"key", *(name.encode() + b"=" + said for name, said in headers)])
    return head + b"\n\n" + value


def _same_bytes(record: "ConsumerRecord[bytes, bytes]", found: Received | Unreadable, reason: str) -> str:
    """Say why a record is refused, having seen that its letter holds what came."""
    letter = letter_of(found, reason)
    told = announcement(letter, Namespace.EXERCISE)
    if (letter.key, letter.value) != (record.key, record.value):
        raise LostError(f"the letter holds other bytes: {reason}")
    if [(name, value) for name, value in letter.headers] != list(record.headers):
        raise LostError(f"the letter holds other headers: {reason}")
    if not told[2] == (record.value or b"")[: len(told[2])]:
        raise LostError("what is announced is not what came")
    return letter.reason


def _decide(incident: Incident | None, event: Reported | Commanded | Answered) -> str | None:
    decision = decide(incident, event, NOW + timedelta(minutes=1), playbook())
    states = [decision]
    if decision.incident is not None:
        later = NOW + timedelta(days=3)
        states.append(decide(decision.incident, TimePassed(UUID(int=EVENT.int + 9)), later, playbook()))
    for each in states:
        for order in each.orders:
            _readable(order.id, ASSIGNMENT, order.message)
        for entry in each.entries:
            _readable(entry.entry_id, TIMELINE, entry)
    return f"decision: {decision.reason}" if decision.outcome in {Outcome.INVALID, Outcome.REFUSED} else None


def _readable(id_: UUID, kind: str, message: object) -> None:
    envelope = envelope_of(id_, kind, "test", message.incident_id, NOW, message.status)  # type: ignore[attr-defined]
    read_message(envelope.headers(), write_value(message), kind)  # type: ignore[arg-type]


def _handled(kind: str, found: Received) -> str | None:
    """Do what the topic's reader does with a record that could be read."""
    if Namespace.of(found.envelope.status) is not Namespace.EXERCISE:
        return f"status: {found.envelope.status} does not belong in the exercise namespace"
    if kind == ASSIGNMENT:
        order = Order(found.message, Answering.__new__(Answering))  # type: ignore[arg-type]
        return None if order.id and order.title.en and order.deadlines else "order: says nothing"
    if kind == TIMELINE:
        return None if found.message.entry else "entry: says nothing"  # type: ignore[attr-defined]
    admits: dict[str, Callable[[Received], Reported | Commanded | Answered | str]] = {
        INCIDENT: admit_report,
        COMMAND: admit_command,
        ACKNOWLEDGEMENT: admit_answer,
    }
    event = admits[kind](found)
    if isinstance(event, str):
        return event
    known = found.message.incident_id == INCIDENT_ID  # type: ignore[attr-defined]
    return _decide(under_way() if known else None, event)


def target(kind: str) -> Callable[[], AbstractContextManager[Target]]:
    """Make the target of one type of message."""

    @contextmanager
    def opened() -> Iterator[Target]:
        under_way()

        def take(data: bytes) -> str | None:
            record = record_of(data, TOPICS[kind])
            found = read_record(record, kind)
            if isinstance(found, Unreadable):
                return _same_bytes(record, found, found.reason)
            refused = _handled(kind, found)
            return None if refused is None else _same_bytes(record, found, refused)

        yield take

    return opened


@cache
def _valid(kind: str) -> tuple[tuple[list[tuple[str, bytes]], bytes], ...]:
    """Give valid messages of a type: the committed ones, and ones about the incident under way."""
    found = [golden(name) for name in NAMES]
    kept = [
        (_exercise(headers), value.replace(b'"Actual"', b'"Exercise"'))
        for headers, value, each in found
        if each == kind
    ]
    for headers, value in list(kept):
        tree = json.loads(value)
        kept.append((headers, escaped({**tree, **{name: said for name, said in _known(kind).items() if name in tree}})))
    return tuple(kept)


@cache
def _known(kind: str) -> dict[str, str]:
    """Give the fields that let a message be about the incident under way."""
    first = next(each for each in under_way().assignments.values() if each.department == DEPARTMENT)
    ids = {"incident_id": str(INCIDENT_ID), "assignment_id": str(first.id)}
    return ids if kind == COMMAND else {**ids, "department": DEPARTMENT}


def _exercise(headers: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    return [(name, b"Exercise" if name == "ce_status" else value) for name, value in headers]


def seeds(kind: str) -> list[bytes]:
    """Give valid records, and one of each kind of broken envelope."""
    headers, value = _valid(kind)[0]
    odd = [
        input_of([*headers, ("x", b"\xff\xfe")], value),
        input_of(headers, value, 2**62),
        input_of(headers, value).replace(b"ce_id=", b"ce_id\nwas="),
        input_of(headers, value).replace(b"ce_source", b"ce_sourc\xff"),
        input_of(headers, b"").removesuffix(b"\n\n"),
        input_of(headers, b"[" * 5_000),
        input_of(headers, b'{"incident_id":' * 500),
    ]
    return [input_of(*each) for each in _valid(kind)] + odd


@st.composite
def _nonsense(draw: st.DrawFn, kind: str) -> bytes:
    """Make a message that its schema takes, about anything; mostly of this world, half of it about what is known."""
    headers = _valid(kind)[0][0]
    models: list[type[BaseModel]] = [type(ADAPTERS[kind].validate_json(value)) for _, value in _valid(kind)]
    said = draw(st.one_of([instances(model) for model in models]))
    tree = json.loads(write_value(said))  # type: ignore[arg-type]
    if draw(st.integers(0, 7)):
        tree["status"] = Status.EXERCISE.value
    known = _known(kind)
    for name in sorted(known.keys() & tree.keys()):
        if draw(st.booleans()):
            tree[name] = known[name]
    return input_of([*headers[:-1], ("ce_status", str(tree["status"]).encode())], escaped(tree))


def shaped(kind: str) -> st.SearchStrategy[bytes]:
    """Make records: any valid message of the model, and ones that are nearly right."""
    valid = _valid(kind)
    trees = [json.loads(value) for _, value in valid]
    wrong = nearly(trees, tuple(_known(kind).values())).map(lambda tree: input_of(valid[0][0], escaped(tree)))
    return st.one_of(_nonsense(kind), wrong, wrong, spoilt(seeds(kind)))


def _words() -> tuple[str, ...]:
    schemas = " ".join(str(each.json_schema()) for each in ADAPTERS.values())
    words = set(re.findall(r"[A-Za-z_]{2,30}", schemas)) | {name for name, _ in golden(NAMES[0])[0]}
    return tuple(sorted(words))


def entries() -> list[Entry]:
    """Give one entry for each type of message."""
    shares = {INCIDENT: (190, 1), COMMAND: (120, 1), ACKNOWLEDGEMENT: (120, 1), ASSIGNMENT: (80, 1), TIMELINE: (80, 1)}
    return [
        Entry(
            name=f"topic-{kind.removeprefix('muster.')}",
            opened=target(kind),
            seeds=lambda kind=kind: seeds(kind),  # type: ignore[misc]
            shaped=lambda kind=kind: shaped(kind),  # type: ignore[misc]
            shares=(many * 1_000, few * 1_000),
            words=_words(),
        )
        for kind, (many, few) in shares.items()
    ]
