"""Signed calls between programs: id, time and body under HMAC-SHA256, as Standard Webhooks 1.0.0 has it.

The same for what Muster sends (`services.platform.outbound`) and for what feeds send to it
(`services.platform.access.feeds`); whoever receives our calls checks them with `verify`.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from services.platform.errors import ConfigurationError, RefusedError

PREFIX = "whsec_"
TOLERANCE = timedelta(minutes=5)
"""How far a call's time may lie from ours, before or behind."""
SHORTEST, LONGEST = 24, 64
"""Bytes of a secret that is written with the prefix."""
_LONGEST_ID = 200
_VERSION = "v1"


class SignatureError(RefusedError):
    """A call that does not prove who sent it, or when; the text says what is wrong and nothing about the secret."""


def key_of(secret: str) -> bytes:
    """Read a secret: ``whsec_`` and its bytes in base64, or any other text as it is; raises `ConfigurationError`."""
    if not secret.startswith(PREFIX):
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ConfigurationError(f"webhook: the secret is not base64 behind {PREFIX}") from None
    if not SHORTEST <= len(key) <= LONGEST:
        raise ConfigurationError(f"webhook: the secret has {len(key)} bytes; take {SHORTEST} to {LONGEST}")
    return key


def sign(key: bytes, id_: str, at: datetime, body: bytes) -> dict[str, str]:
    """Give the headers that go with a body."""
    moment = str(int(at.timestamp()))
    return {
        "webhook-id": id_,
        "webhook-timestamp": moment,
        "webhook-signature": f"{_VERSION},{_signature(key, id_, moment, body)}",
    }


def check_time(headers: Mapping[str, str], now: datetime) -> None:
    """Refuse a call by its headers alone, before its body is read; raises `SignatureError`."""
    id_ = headers.get("webhook-id", "")
    if not 1 <= len(id_) <= _LONGEST_ID or not (id_.isascii() and id_.isprintable()):
        raise SignatureError(f"webhook-id: send 1 to {_LONGEST_ID} printable ASCII characters")
    moment = headers.get("webhook-timestamp", "")
    if not (moment.isascii() and moment.isdigit() and len(moment) <= 12):
        raise SignatureError("webhook-timestamp: send the seconds since 1970 as a whole number")
    if abs(int(moment) - now.timestamp()) > TOLERANCE.total_seconds():
        raise SignatureError(
            f"webhook-timestamp: is more than {TOLERANCE.total_seconds():.0f} s from now; sign the call when it is sent"
        )
    if "webhook-signature" not in headers:
        raise SignatureError(f"webhook-signature: is missing; send {_VERSION}, and the HMAC-SHA256 in base64")


def verify(keys: Sequence[bytes], headers: Mapping[str, str], body: bytes, now: datetime) -> str:
    """Check a call and give its id, which the same call keeps when it is made again; raises `SignatureError`.

    Several ``keys``, and several signatures with spaces between, are for the time in which a secret is changed.
    """
    check_time(headers, now)
    id_, moment = headers["webhook-id"], headers["webhook-timestamp"]
    given = [part.removeprefix(f"{_VERSION},").encode() for part in headers["webhook-signature"].split(" ")]
    expected = [_signature(key, id_, moment, body).encode() for key in keys]
    # Every pair is compared, so that the time taken tells nothing about which one came close.
    if not sum(hmac.compare_digest(one, other) for one in given for other in expected):
        raise SignatureError("webhook-signature: is not ours; check the secret, and that the body is sent as signed")
    return id_


def _signature(key: bytes, id_: str, moment: str, body: bytes) -> str:
    return base64.b64encode(hmac.digest(key, f"{id_}.{moment}.".encode() + body, hashlib.sha256)).decode()
