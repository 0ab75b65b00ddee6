"""Copies of frozen values with some fields changed: `dataclasses.replace`, typed as that and many times as fast.

A response is a long chain of small changes to values of thirty fields, and `dataclasses.replace` runs a constructor
in Python over all of them for each. The values must be dataclasses without slots and without ``__post_init__``.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import replace as replace
else:

    def replace(value, /, **changes):  # noqa: ANN001, ANN003, ANN201 - the checker reads the other branch
        """Copy a value with the given fields changed; the type checker, not this function, refuses unknown ones."""
        copy = object.__new__(type(value))
        copy.__dict__.update(value.__dict__, **changes)
        return copy
