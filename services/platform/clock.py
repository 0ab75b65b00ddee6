"""Where the time comes from: the wall, or for an exercise a clock that runs faster."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """A source of the time that deadlines, orders and the record go by."""

    def now(self) -> datetime:
        """Tell the time, in UTC."""

    def at(self, wall: datetime) -> datetime:
        """Translate an instant of the wall clock, as on a broker's timestamp, into this clock's."""

    def seconds_until(self, moment: datetime) -> float:
        """Say how many wall seconds are left until a moment of this clock; negative when it has passed."""


class SystemClock:
    """The wall clock."""

    def now(self) -> datetime:
        """Tell the time, in UTC."""
        return datetime.now(UTC)

    def at(self, wall: datetime) -> datetime:
        """Give the instant back as it is."""
        return wall

    def seconds_until(self, moment: datetime) -> float:
        """Say how many seconds are left until a moment."""
        return (moment - self.now()).total_seconds()


Pause = tuple[datetime, datetime | None]
"""From when to when (None: it lasts) an exercise's clock stood still, by the wall."""


class ScaledClock:
    """A clock that showed the same as the wall at ``start`` and has run ``speed`` times as fast since.

    Every process that is given the same two numbers and the same ``pauses`` tells the same time.
    """

    def __init__(self, start: datetime, speed: float, pauses: Iterable[Pause] = ()) -> None:
        if start.tzinfo is None:
            raise ValueError("start must carry its offset")
        self.start = start.astimezone(UTC)
        self.speed = speed
        self.pauses: tuple[Pause, ...] = tuple(pauses)

    @property
    def is_paused(self) -> bool:
        """Whether the clock stands still."""
        return bool(self.pauses) and self.pauses[-1][1] is None

    def pause(self, wall: datetime) -> None:
        """Stand still from an instant of the wall clock on; when it does already, nothing changes."""
        if not self.is_paused:
            self.pauses = (*self.pauses, (wall, None))

    def resume(self, wall: datetime) -> None:
        """Go on from an instant of the wall clock; when it runs already, nothing changes."""
        if self.is_paused:
            self.pauses = (*self.pauses[:-1], (self.pauses[-1][0], wall))

    def now(self) -> datetime:
        """Tell the exercise's time, in UTC."""
        return self.at(datetime.now(UTC))

    def at(self, wall: datetime) -> datetime:
        """Translate an instant of the wall clock into the exercise's; before ``start`` they are the same."""
        elapsed = max(wall - self.start, timedelta(0))
        for since, until in self.pauses:
            held = min(wall, until or wall) - max(since, self.start)
            elapsed -= max(held, timedelta(0))
        return min(wall.astimezone(UTC), self.start) + elapsed * self.speed

    def seconds_until(self, moment: datetime) -> float:
        """Say how many wall seconds are left until a moment of the exercise, unless it is paused before."""
        return (moment - self.now()).total_seconds() / self.speed
