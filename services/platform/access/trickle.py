"""So many in so long, and the rest counted: keeps a flood from filling the record."""

from datetime import datetime, timedelta


class Trickle:
    """Lets ``at_most`` pass in each ``span``."""

    def __init__(self, at_most: int, span: timedelta) -> None:
        self._at_most = at_most
        self._span = span
        self._since: datetime | None = None
        self._passed = 0
        self._held = 0

    def take(self, now: datetime) -> int | None:
        """Ask to pass: None is no; else how many were held since the last that passed."""
        if self._since is None or now - self._since >= self._span:
            self._since, self._passed = now, 0
        if self._passed >= self._at_most:
            self._held += 1
            return None
        self._passed += 1
        held, self._held = self._held, 0
        return held
