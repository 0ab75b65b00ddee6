"""The chain of an incident's timeline: whoever holds the hash of one entry can tell whether anything before it changed.

An entry's hash is SHA-256 over three things: the hash of the entry before it (32 zero bytes before the first), the
digest of what it says of people (empty where it says nothing), and the rest of it. That digest is SHA-256 over the
entry's salt and those fields. Fields are written as JSON in UTF-8, keys sorted, no blanks, no nulls, whole numbers
without a fraction, times in UTC with six digits. Erasing personal data takes the fields and the salt, and leaves the
digest: the chain holds on, and nobody can find out from it what was there.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from secrets import token_bytes
from typing import Any
from uuid import UUID

from pydantic_core import from_json, to_json

from schemas.timeline import PERSONAL, PERSONAL_DETAIL, Entry, TimelineEntry
from schemas.vocabulary import Status

START = bytes(32)
"""What stands for the hash before the first entry."""
SALT_BYTES = 16
_OWN = frozenset({"number", "salt", "hash", "withheld", *PERSONAL, "detail"})


@dataclass(frozen=True, slots=True)
class Head:
    """The last entry of a chain: its number and hash."""

    number: int = 0
    hash: bytes = START


Salt = Callable[[UUID], bytes]
"""Gives the salt of an entry."""


def new_salt(_: UUID) -> bytes:
    """Draw a salt."""
    return token_bytes(SALT_BYTES)


def seal(entries: Sequence[TimelineEntry], heads: dict[UUID, Head], salt: Salt) -> list[TimelineEntry]:
    """Give entries their places in their chains, in this order; ``heads`` moves on with them."""
    sealed = []
    for entry in entries:
        before = heads.get(entry.incident_id, Head())
        personal = personal_of(entry)
        grain = salt(entry.entry_id) if personal else None
        digest = digest_of(personal, grain)
        head = Head(before.number + 1, link(before.hash, digest, entry, before.number + 1))
        heads[entry.incident_id] = head
        sealed.append(
            entry.with_checked(number=head.number, salt=grain and grain.hex(), hash=head.hash.hex(), withheld=None)
        )
    return sealed


def chain_columns(entry: TimelineEntry) -> dict[str, Any]:
    """Give a sealed entry's columns of the chain, bytes as PostgreSQL reads them from JSON."""
    return {
        "number": entry.number,
        "salt": None if entry.salt is None else rf"\x{entry.salt}",
        "hash": rf"\x{entry.hash}",
    }


def link(before: bytes, digest: bytes, entry: TimelineEntry, number: int) -> bytes:
    """Compute an entry's hash from the hash before it and the digest of what it says of people."""
    told = {name: value for name, value in zip(_LINKED, _linked(entry), strict=True) if value is not None}
    for name in _TIMES:
        if name in told:
            told[name] = _moment(told[name])
    told["number"] = number
    told["detail"] = {name: value for name, value in entry.detail.items() if name not in PERSONAL_DETAIL}
    return hashlib.sha256(before + digest + canonical(told)).digest()


_TIMES = ("occurred_at", "broker_at", "recorded_at")
_LINKED = tuple(name for name in TimelineEntry.model_fields if name not in _OWN)
_linked = attrgetter(*_LINKED)


@lru_cache(64)
def _moment(at: datetime) -> str:
    # What is decided at once carries the same moments.
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def personal_of(entry: TimelineEntry) -> dict[str, Any]:
    """Take out what an entry says of people."""
    found = {name: value for name in PERSONAL if (value := getattr(entry, name)) is not None}
    found |= {
        f"detail.{name}": value for name, value in entry.detail.items() if name in PERSONAL_DETAIL and value is not None
    }
    return found


def digest_of(personal: Mapping[str, Any], salt: bytes | None) -> bytes:
    """Digest what an entry says of people; empty where that is nothing."""
    return hashlib.sha256((salt or b"") + canonical(personal)).digest() if personal else b""


def canonical(fields: Mapping[str, Any]) -> bytes:
    """Write fields in their one form: what was read is as what is to be written, however JSON and a database have it.

    Nearly all are texts, ids and whole numbers, which pydantic's writer writes alike in a fraction of the time.
    """
    told = _in_order(fields)
    return to_json(told) if _is_quick(told) else _write(_plain(told)).encode()


def _in_order(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _in_order(value) if type(value) is dict else value
        for name in sorted(fields)
        if (value := fields[name]) is not None
    }


def _is_quick(value: Any) -> bool:
    return type(value) in _QUICK or (type(value) is dict and all(map(_is_quick, value.values())))


_QUICK = frozenset({str, int, bool, UUID, Status, Entry})
_write = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode


def _plain(value: Any) -> Any:
    """Make one form of what JSON and the database may write in several: what was read is as what is to be written."""
    if isinstance(value, (str, int)):
        return value
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items() if part is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        exact = Decimal(repr(value))
        return int(exact) if exact == exact.to_integral_value() else value
    return value if value is None else _plain(from_json(to_json(value)))
