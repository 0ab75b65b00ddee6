"""Passwords: argon2id, away from the event loop, and the same work for a login that nobody has."""

import asyncio
import secrets
import unicodedata
from functools import partial

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from services.platform.access.errors import invalid

SHORTEST = 12
LONGEST = 256
"""Characters of a password (NIST SP 800-63B-4, 3.1.1.2, asks for no more than a length)."""
AT_ONCE = 2
"""Hashes computed at the same time; each takes 64 MiB and some processors."""
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _OF = 4, 5


def one_time_password() -> str:
    """Make a password that can be read out and typed, with 98 bits of chance."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_OF)) for _ in range(_GROUPS))


def check_password(password: str, login: str) -> None:
    """Refuse a password that is too short, too long, or the login itself; raises `AccessError`."""
    if len(password) < SHORTEST:
        raise invalid(f"password: has {len(password)} characters; take at least {SHORTEST}")
    if len(password) > LONGEST:
        raise invalid(f"password: has more than {LONGEST} characters")
    if password != password.strip():
        raise invalid("password: begins or ends with a space, which forms leave out; take another")
    if _prepared(password).decode().casefold() == _prepared(login).decode().casefold():
        raise invalid("password: is the login; take another")


def _prepared(password: str) -> bytes:
    """Make one of several ways to type the same characters (NIST SP 800-63B-4, 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


class Passwords:
    """Hashes and verifies."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._nobodys: str | None = None

    async def hash(self, password: str) -> str:
        """Hash a password with a salt of its own."""
        async with self._turn:
            return await asyncio.to_thread(self._hasher.hash, _prepared(password))

    async def verify(self, hashed: str | None, password: str) -> bool:
        """Say whether it is the password. With no hash it never is, and it takes as long to say so."""
        if self._nobodys is None:
            self._nobodys = await self.hash(secrets.token_hex())
        async with self._turn:
            same = await asyncio.to_thread(partial(self._same, hashed or self._nobodys, password))
        return same and hashed is not None

    def is_dated(self, hashed: str) -> bool:
        """Say whether a hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(hashed)

    def _same(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, _prepared(password))
        except (VerificationError, InvalidHashError):
            return False
