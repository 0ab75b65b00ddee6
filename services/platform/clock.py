"""Where the time comes from: the wall, or for an exercise a clock that runs faster."""

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


class ScaledClock:
    """A clock that showed the same as the wall at ``start`` and has run ``speed`` times as fast since.

    Every process that is given the same two numbers tells the same time.
    """

    def __init__(self, start: datetime, speed: float) -> None:
        if start.tzinfo is None:
            raise ValueError("start must carry its offset")
        self.start = start.astimezone(UTC)
        self.speed = speed

    def now(self) -> datetime:
        """Tell the exercise's time, in UTC."""
        return self.at(datetime.now(UTC))

    def at(self, wall: datetime) -> datetime:
        """Translate an instant of the wall clock into the exercise's; before ``start`` they are the same."""
        elapsed = max(wall - self.start, timedelta(0))
        return min(wall.astimezone(UTC), self.start) + elapsed * self.speed

    def seconds_until(self, moment: datetime) -> float:
        """Say how many wall seconds are left until a moment of the exercise."""
        return (moment - self.now()).total_seconds() / self.speed
