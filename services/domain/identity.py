"""Ids the engine gives: UUIDv7 made from the moment and the event, so that one event always gives the same ids."""

import hashlib
from datetime import datetime
from uuid import UUID

_VERSION_7 = 0x7000
_VARIANT_RFC = 0x8000_0000_0000_0000


def derive_id(now: datetime, event_id: UUID, number: int) -> UUID:
    """Make the ``number``-th id that the handling of one event at ``now`` needs.

    Layout of RFC 9562, sections 5.7 and 6.2 (method 1): 48 bits of Unix milliseconds, version, variant; of the 74
    bits left, the first 20 are the number, so that the ids of one event sort in the order they were given, and 54
    are taken from SHA-256 over the event's id and the number in place of randomness, so that the engine stays pure.
    """
    digest = hashlib.sha256(event_id.bytes + number.to_bytes(4, "big")).digest()
    milliseconds = int(now.timestamp() * 1000) & 0xFFFF_FFFF_FFFF
    high = milliseconds << 16 | _VERSION_7 | number >> 8 & 0x0FFF
    low = _VARIANT_RFC | (number & 0xFF) << 54 | int.from_bytes(digest[:8], "big") >> 10
    return UUID(int=high << 64 | low)
