"""So many in a second from each: keeps one caller that asks too fast from taking the time of all others."""

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address
from time import monotonic

KEYS = 10_000
"""Callers remembered by one limit; the one that was quiet longest is forgotten first, and begins anew."""
BURST = 10.0
"""Seconds' worth that may come at once after a quiet time."""
_NETWORK = 64
"""Bits of an IPv6 address that name a network: one site has all the addresses below them (RFC 6177)."""


class Rate:
    """Lets ``per_second`` requests of each caller pass, counted as they come (the leaky bucket of ITU-T I.371)."""

    def __init__(self, per_second: float, keys: int = KEYS) -> None:
        self._each = 1 / per_second
        self._burst = max(BURST, self._each)
        self._keys = keys
        self._until: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._until)

    def take(self, key: str, now: float | None = None) -> float:
        """Ask to pass: 0.0 is yes, else how many seconds to wait; a refusal counts nothing."""
        now = monotonic() if now is None else now
        until = max(self._until.get(key, now), now) + self._each
        wait = until - now - self._burst
        if wait <= 0:
            self._until[key] = until
            self._until.move_to_end(key)
            if len(self._until) > self._keys:
                self._until.popitem(last=False)
        return max(wait, 0.0)


def network_of(address: str) -> str:
    """Name who stands behind an address: itself, or for IPv6 the network that one site has for itself."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return address
    return str(found.ipv4_mapped or IPv6Address(int(found) >> (128 - _NETWORK) << (128 - _NETWORK)))
