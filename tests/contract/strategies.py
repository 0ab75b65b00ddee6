"""Any value of any contract, made from the model itself, so that a new field is covered the day it is added."""

import types
from datetime import date, datetime, time, timedelta, timezone
from enum import Enum
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel
from pydantic.fields import FieldInfo
from pydantic.types import UuidVersion

from schemas.acknowledgement import NEEDS_REASON, Acknowledgement
from schemas.vocabulary import Answer

TEXT = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.datetimes(datetime(1901, 1, 1), datetime(2199, 12, 31), timezones=OFFSETS)  # noqa: DTZ001 - given a zone
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(TEXT, max_size=8),
    lambda deeper: st.lists(deeper, max_size=2) | st.dictionaries(st.text(TEXT, max_size=4), deeper, max_size=2),
    max_leaves=4,
)
LONGEST_SPAN = timedelta(days=400)


def uuid7s() -> st.SearchStrategy[UUID]:
    def versioned(number: int) -> UUID:
        return UUID(int=number & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62)

    return st.integers(0, 2**128 - 1).map(versioned)


@cache
def instances(model: type[BaseModel]) -> st.SearchStrategy[BaseModel]:
    """Any valid instance of a model."""
    fields = {name: _field(field) for name, field in model.model_fields.items()}
    values = st.fixed_dictionaries(
        {name: strategy for name, strategy in fields.items() if model.model_fields[name].is_required()},
        optional={name: strategy for name, strategy in fields.items() if not model.model_fields[name].is_required()},
    )
    if model is Acknowledgement:
        values = values.map(_says_why)
    return values.map(model.model_validate)


def _says_why(values: dict[str, Any]) -> dict[str, Any]:
    answer = values["answer"]
    reason = {"reason": f"because {values.get('reason')}"[:4_000]} if answer in NEEDS_REASON else {}
    other = {"delegate_to": "police" if answer is Answer.DELEGATE else None}
    return values | reason | other


def _field(field: FieldInfo) -> st.SearchStrategy[Any]:
    assert field.annotation is not None
    return _of(field.annotation, tuple(field.metadata))


def _of(kind: Any, said: tuple[Any, ...] = ()) -> st.SearchStrategy[Any]:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        more = tuple(
            mark for given in inner[1:] for mark in (given.metadata if isinstance(given, FieldInfo) else [given])
        )
        return _of(inner[0], (*more, *said))
    if origin in {Union, types.UnionType}:
        return st.one_of([_of(each) for each in inner])
    if origin is Literal:
        return st.sampled_from(inner)
    if origin is tuple:
        return st.lists(_of(inner[0]), min_size=_least(said), max_size=_least(said) + 2).map(tuple)
    if origin is dict:
        return st.dictionaries(_of(inner[0]), _of(inner[1]), max_size=2)
    return _plain(kind, said)


def _plain(kind: Any, said: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    if kind is str:
        return _text(said)
    if kind is int:
        return st.integers(_bound(said, "ge", -(10**6)), _bound(said, "le", 10**6))
    if kind is timedelta:
        least, most = _spans(said)
        return st.integers(least, most).map(lambda seconds: timedelta(seconds=seconds))
    if kind is UUID:
        assert UuidVersion(7) in said
        return uuid7s()
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return instances(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    return {
        AwareDatetime: TIMES,
        Any: JSON,
        bool: st.booleans(),
        date: st.dates(),
        float: st.floats(allow_nan=False, allow_infinity=False),
        time: st.times(),
        type(None): st.none(),
    }[kind]


def _bound(said: tuple[Any, ...], name: str, otherwise: int) -> int:
    return next((int(getattr(mark, name)) for mark in said if hasattr(mark, name)), otherwise)


def _spans(said: tuple[Any, ...]) -> tuple[int, int]:
    least = next((mark.ge for mark in said if hasattr(mark, "ge")), timedelta())
    most = next((mark.le for mark in said if hasattr(mark, "le")), LONGEST_SPAN)
    return round(least.total_seconds()), round(most.total_seconds())


def _least(said: tuple[Any, ...]) -> int:
    return _bound(said, "min_length", 0)


def _text(said: tuple[Any, ...]) -> st.SearchStrategy[str]:
    longest = _bound(said, "max_length", 30)
    pattern = next((found for mark in said if (found := getattr(mark, "pattern", None))), None)
    if pattern is not None:
        return st.from_regex(pattern, fullmatch=True).filter(lambda text: _least(said) <= len(text) <= longest)
    return st.text(TEXT, min_size=_least(said), max_size=max(_least(said), min(longest, 30)))
