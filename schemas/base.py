"""What every contract shares: frozen models, aware times, UUIDv7 ids, text in two languages, durations."""

import re
from datetime import datetime, timedelta
from functools import cache
from typing import Annotated, Any, Self

from pydantic import (
    UUID7,
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)


def _within_reason(value: datetime) -> datetime:
    if not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        raise ValueError(f"the year must lie between {_FIRST_YEAR} and {_LAST_YEAR}")
    return value


_FIRST_YEAR, _LAST_YEAR = 1900, 2200

Time = Annotated[AwareDatetime, AfterValidator(_within_reason)]
"""An instant with its offset. A naive time is refused: nobody can say when it was."""

Id = UUID7
"""A UUIDv7 (RFC 9562, 5.7): sorts by creation time."""

DEPARTMENT_PATTERN = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
Slug = Annotated[str, Field(pattern=DEPARTMENT_PATTERN, max_length=60)]
"""A name that is safe in a file, a topic and a URL: lower-case words joined by hyphens."""

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


def parse_duration(value: Any) -> Any:
    """Read ``1h30m``, ``90s`` or ``180d``; anything else is refused with the form that is meant."""
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value) if isinstance(value, str) and value else None
    if match is None:
        raise ValueError("write a duration as days, hours, minutes, seconds with their units, like 1h30m or 90s")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    try:
        return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError:
        raise ValueError("a duration of that length can't be reckoned with") from None


def format_duration(value: timedelta) -> str:
    """Write a duration the way plans do; the inverse of `parse_duration`, to the second."""
    seconds = round(value.total_seconds())
    days, seconds = divmod(seconds, 86_400)
    hours, seconds = divmod(seconds, 3_600)
    minutes, seconds = divmod(seconds, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s")]
    return "".join(f"{amount}{unit}" for amount, unit in parts if amount) or "0s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^(\d+d)?(\d+h)?(\d+m)?(\d+s)?$", "examples": ["1h30m", "90s"]}),
]
"""A span of time, written ``1h30m``; resolution one second."""


PERSONAL_KEYS = "x-personal"
PERSONAL_DATA = Field(json_schema_extra={PERSONAL_KEYS: True})
"""Marks a field that names a person or may hold what somebody said: what is exported and erased for them."""


def personal_fields(model: type[BaseModel]) -> tuple[str, ...]:
    """Name the fields of a model that are marked as personal throughout."""
    return tuple(
        name
        for name, field in model.model_fields.items()
        if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get(PERSONAL_KEYS) is True
    )


class Message(BaseModel):
    """A thing said on the wire: frozen; fields this version doesn't know are kept and passed on."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    @classmethod
    def of_checked(cls, **values: Any) -> Self:
        """Make a message of values that were checked before: `model_construct`, many times as fast.

        Fields with a default may be left out, unless a function makes it; nothing is an alias, nothing is private.
        """
        made = cls.__new__(cls)
        object.__setattr__(made, "__dict__", {**_defaults(cls), **values})
        object.__setattr__(made, "__pydantic_fields_set__", set(values))
        object.__setattr__(made, "__pydantic_extra__", {})
        object.__setattr__(made, "__pydantic_private__", None)
        return made

    def with_checked(self, **values: Any) -> Self:
        """Copy a message with some fields changed to values that were checked before: a faster `model_copy`."""
        made = type(self).__new__(type(self))
        object.__setattr__(made, "__dict__", {**self.__dict__, **values})
        object.__setattr__(made, "__pydantic_fields_set__", self.__pydantic_fields_set__ | values.keys())
        object.__setattr__(made, "__pydantic_extra__", self.__pydantic_extra__)
        object.__setattr__(made, "__pydantic_private__", None)
        return made


@cache
def _defaults(model: type[BaseModel]) -> dict[str, Any]:
    # All of them, in the order in which they are written.
    return {name: field.default for name, field in model.model_fields.items()}


class Document(BaseModel):
    """A thing written in a file by a person: frozen; a field nobody knows is a mistake and is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Text(Document):
    """What a person reads, in both languages of the product."""

    en: Annotated[str, Field(min_length=1)]
    zh: Annotated[str, Field(min_length=1)]
