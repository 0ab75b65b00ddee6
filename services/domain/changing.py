"""Copies of frozen values with some fields changed: `dataclasses.replace`, typed as that and many times as fast.

A response is a long chain of small changes to values of thirty fields, and `dataclasses.replace` runs a constructor
in Python over all of them for each. The values must be dataclasses without slots and without ``__post_init__``.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

_Value = TypeVar("_Value")

if TYPE_CHECKING:
    from dataclasses import replace as replace

    def make(kind: type[_Value], values: Mapping[str, Any]) -> _Value:
        """Make a value of all its fields; the caller answers for their names and types."""
else:

    def replace(value, /, **changes):  # noqa: ANN001, ANN003, ANN201 - the checker reads the other branch
        """Copy a value with the given fields changed; the type checker, not this function, refuses unknown ones."""
        copy = object.__new__(type(value))
        copy.__dict__.update(value.__dict__, **changes)
        return copy

    def make(kind, values):  # noqa: ANN001, ANN201 - as above
        """Make a value of all its fields; the caller answers for their names and types."""
        made = object.__new__(kind)
        made.__dict__.update(values)
        return made
