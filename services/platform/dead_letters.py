"""Where a message goes that can't be read or is invalid: kept byte for byte until an operator decides."""

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
from faststream.kafka import KafkaBroker
from uuid_utils.compat import uuid7

from schemas.envelope import MAX_VALUE_BYTES
from schemas.topics import DEAD_LETTERS as DEAD_LETTERS_TOPIC
from schemas.topics import topic_name
from schemas.vocabulary import Namespace
from services.platform.clock import SystemClock
from services.platform.errors import RefusedError
from services.platform.kafka import Origin, RawHeaders
from services.platform.kafka_publishing import Outbound, publish_all
from services.platform.logs import get_logger
from services.platform.metrics import DEAD_LETTERS
from services.platform.one_line import one_line
from services.platform.postgres import Pool
from services.platform.queries import query
from services.platform.records import rows

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was set aside: its bytes, where it came from, and why."""

    origin: Origin
    reason: str
    key: bytes | None = None
    headers: RawHeaders = ()
    value: bytes | None = None


async def set_aside(pool: Pool, namespace: Namespace, letters: Sequence[DeadLetter]) -> list[UUID]:
    """Keep letters; one that is kept already is not kept twice. Returns the ids of those that are new."""
    now = SystemClock().now()
    kept: list[UUID] = []
    for letter in letters:
        id_ = await pool.fetchval(
            query("set_aside"),
            uuid7(),
            namespace.value,
            letter.origin.topic,
            letter.origin.partition,
            letter.origin.offset,
            letter.key,
            _headers(letter.headers),
            letter.value,
            letter.reason,
            letter.origin.broker_at,
            now,
        )
        if id_ is None:
            continue
        kept.append(id_)
        DEAD_LETTERS.labels(namespace.value, letter.origin.topic).inc()
        _log.warning("message set aside", dead_letter=str(id_), origin=letter.origin.topic, reason=letter.reason)
    return kept


def _headers(headers: RawHeaders) -> str:
    return rows([_named(name) | {"base64": None if value is None else _base64(value)} for name, value in headers])


def _named(name: str) -> dict[str, str]:
    # What Postgres can't keep as text is kept as bytes.
    plain = name.isprintable()
    return {"name": name} if plain else {"name_base64": _base64(name.encode("utf-8", "surrogateescape"))}


def _base64(data: bytes) -> str:
    return b64encode(data).decode()


def read_headers(stored: str) -> list[tuple[str, bytes | None]]:
    """Read a letter's headers back, byte for byte, as `services.platform.kafka.RawHeaders`."""
    return [
        (
            b64decode(header["name_base64"]).decode("utf-8", "surrogateescape")
            if "name_base64" in header
            else header["name"],
            None if header["base64"] is None else b64decode(header["base64"]),
        )
        for header in json.loads(stored)
    ]


def show_headers(stored: str) -> list[tuple[str, str]]:
    """Write a letter's headers for a person: what isn't text is escaped, and an absent value is a dash."""
    return [
        (
            one_line(name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")),
            "–" if value is None else value.decode("utf-8", "backslashreplace"),
        )
        for name, value in read_headers(stored)
    ]


def announcement(letter: DeadLetter, namespace: Namespace) -> Outbound:
    """Write a letter as a record for the ``dead-letters`` topic: its bytes as they were, cut at the largest value.

    The headers say where it came from and why; the record itself is in the table.
    """
    origin = letter.origin
    headers = {"origin": origin.topic, "partition": origin.partition, "offset": origin.offset, "reason": letter.reason}
    value = (letter.value or b"")[:MAX_VALUE_BYTES]
    return (
        topic_name(DEAD_LETTERS_TOPIC, namespace),
        letter.key or b"",
        value,
        [(f"muster_{name}", str(text).encode()) for name, text in headers.items()],
    )


async def list_letters(
    pool: Pool, namespace: Namespace, *, state: str = "open", at_most: int = 100, before: UUID | None = None
) -> list[asyncpg.Record]:
    """List letters, newest first; ``before`` goes on after the last one of the page before."""
    return await pool.fetch(
        "SELECT id, origin, partition, position, reason, received_at, state, length(value) AS bytes FROM dead_letters"
        " WHERE namespace = $1 AND state = $2 AND ($4::uuid IS NULL OR id < $4) ORDER BY id DESC LIMIT $3",
        namespace.value,
        state,
        at_most,
        before,
    )


async def show_letter(pool: Pool, id_: UUID) -> asyncpg.Record:
    """Read one letter whole; raises `RefusedError` when there is none."""
    row = await pool.fetchrow("SELECT * FROM dead_letters WHERE id = $1", id_)
    if row is None:
        raise RefusedError(f"dead letter {id_}: there is none with this id; see `muster dead-letters list`")
    return row


async def replay_letter(pool: Pool, broker: KafkaBroker, id_: UUID, *, by: str) -> None:
    """Publish a letter again, as it was but for a fresh event id, on the topic it came from.

    Raises `RefusedError` when it was resolved before, came in over HTTP, or the broker doesn't take it.
    """
    row = await show_letter(pool, id_)
    if row["state"] != "open":
        raise RefusedError(f"dead letter {id_}: it is {row['state']} already")
    if row["origin"].startswith("http:"):
        raise RefusedError(f"dead letter {id_}: it came in over HTTP; mend it and send it again, then discard this one")
    # Its own id may have been decided as invalid; what is replayed is to be decided anew.
    headers = [("ce_id", str(uuid7()).encode())]
    for name, value in read_headers(row["headers"]):
        if value is None or not (_is_utf8(name.encode("utf-8", "surrogateescape")) and _is_utf8(value)):
            raise RefusedError(
                f"dead letter {id_}: its header {one_line(ascii(name))} is not text, so it would be set aside again;"
                " have its sender mend it, then discard this one"
            )
        if name != "ce_id":
            headers.append((name, value))
    if all(name != "ce_type" for name, _ in headers):
        raise RefusedError(
            f"dead letter {id_}: it has no header ce_type, so it would be set aside again;"
            " have its sender send it as a message, then discard this one"
        )
    (error,) = await publish_all(
        broker, [(row["origin"], bytes(row["key"] or b""), bytes(row["value"] or b""), headers)]
    )
    if error is not None:
        raise RefusedError(f"dead letter {id_}: the broker did not take it: {error!r}")
    await resolve_letter(pool, id_, "replayed", f"replayed by {by}", now=SystemClock().now())


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


async def resolve_letter(pool: Pool, id_: UUID, state: str, reason: str, *, now: datetime) -> bool:
    """Mark an open letter as replayed or discarded; False when it was resolved before."""
    changed: Any = await pool.fetchval(
        "UPDATE dead_letters SET state = $2, resolved_at = $3, resolved_reason = $4"
        " WHERE id = $1 AND state = 'open' RETURNING id",
        id_,
        state,
        now,
        reason,
    )
    return changed is not None
