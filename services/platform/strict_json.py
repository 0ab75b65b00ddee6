"""JSON without the loopholes of lenient readers."""

import codecs
import json
from typing import Any

from pydantic_core import from_json


class MalformedError(ValueError):
    """A body that isn't JSON as RFC 8259 and RFC 7493 (I-JSON) have it; the text says why, in one line."""


def read_object(body: bytes) -> dict[str, Any]:
    """Read a JSON object strictly: UTF-8, no NaN or infinity, no lone surrogate, bounded nesting, no name twice.

    Raises `MalformedError` in one line.
    """
    body = body.removeprefix(codecs.BOM_UTF8)
    try:
        body.decode()
        found = from_json(body, allow_inf_nan=False)
    except UnicodeDecodeError as error:
        raise MalformedError(f"body: is not UTF-8 at byte {error.start}; send JSON in UTF-8") from None
    except ValueError as error:
        raise MalformedError(f"body: is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise MalformedError("body: must be a JSON object, in braces")
    # from_json lets a repeated name's last value win; what an alert says must not hang on that.
    json.loads(body, object_pairs_hook=_once, parse_int=_nothing)
    return found


def _once(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise MalformedError(f"body: {twice!r} is given more than once; give it once")


def _nothing(_: str) -> None:
    return None
