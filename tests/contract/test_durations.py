"""Durations are written the way planners write them, and nothing else is guessed at."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.base import Duration, format_duration, parse_duration

DURATION: TypeAdapter[timedelta] = TypeAdapter(Duration)
SECONDS = st.integers(min_value=0, max_value=400 * 86_400)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("15m", 900),
        ("1h30m", 5_400),
        ("180d", 15_552_000),
        ("1d2h3m4s", 93_784),
        ("0s", 0),
        ("90m", 5_400),
    ],
)
def test_a_duration_is_days_hours_minutes_and_seconds(text: str, seconds: int) -> None:
    assert DURATION.validate_python(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "15", "1m1h", "-5m", "1.5h", "5 m", "PT5M", "5M", "five minutes", "1h1h", 90, None]
)
def test_anything_else_is_refused_with_the_form_that_is_meant(text: object) -> None:
    with pytest.raises(ValidationError, match="like 1h30m or 90s"):
        DURATION.validate_python(text)


def test_a_duration_beyond_reckoning_is_refused() -> None:
    with pytest.raises(ValidationError, match="can't be reckoned with"):
        DURATION.validate_python("999999999999d")


@given(SECONDS)
def test_what_is_written_reads_as_the_same_span(seconds: int) -> None:
    span = timedelta(seconds=seconds)
    assert parse_duration(format_duration(span)) == span
    assert DURATION.validate_json(DURATION.dump_json(span)) == span


@given(SECONDS, st.integers(min_value=1, max_value=499_999))
def test_a_part_of_a_second_is_rounded(seconds: int, microseconds: int) -> None:
    assert format_duration(timedelta(seconds=seconds, microseconds=microseconds)) == format_duration(
        timedelta(seconds=seconds)
    )
