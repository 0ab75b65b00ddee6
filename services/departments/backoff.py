"""How long to wait before trying again: doubling, capped, and spread so that many don't come back at once."""

import random

FIRST = 0.1
LONGEST = 10.0
"""Seconds."""


def pause(failures: int) -> float:
    """Give the seconds to wait after so many failures in a row."""
    longest = min(LONGEST, FIRST * 2.0 ** min(failures, 16))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 (spreading, no secret)
