"""Inputs of a shape: trees of JSON that are nearly right, and the values that most often break something."""

import json
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

Tree = Any
Place = tuple[Any, Any]

NASTY: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 7, 2**31, 2**63, -(2**63) - 1, 10**400, 0.1, -0.0, 1e308, 1e-320, float("nan"),
    float("inf"), "", " ", "\0", "a\0b", "\ud800", "\udfff", "\U0010ffff", "\ufeff", "\u202eabc", "\u2028", "\r\n\t",
    "é", "洪水",
    "İ", "ß" * 60, "a" * 61, "x" * 501, "y" * 20_001, "9" * 5_000, "no", "12:30:00", "1e3", "null", "~", "NaN",
    "-Infinity",
    "../../etc/passwd", "{{7*7}}", "${x}", "%s%n", "'; DROP TABLE incidents;--", "<script>alert(1)</script>", "\\u0000",
    "\x1b[31m", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1900-01-01T00:00:00+23:59", "2026-06-01",
    "2026-06-01T08:00:00", "2026-06-01T08:00:00Z", "2026-02-30T00:00:00Z", "1h30m", "0s", "-1s", "99999999999999d",
    "P1D",
    "00000000-0000-7000-8000-000000000000", "ffffffff-ffff-4fff-bfff-ffffffffffff", "not-a-uuid", "police", "Actual",
    "Exercise",
    "System", "a.b", "a b", "A", "-", "*", [], {}, [[]], [None], {"": ""}, {"a": {"a": {"a": 1}}}, [1] * 300,
    ["x"] * 3_000,
)  # fmt: skip

DEEP = 200


def places(tree: Tree) -> Iterator[Place]:
    """Give every place in a tree that holds something, as its container and its key or position."""
    waiting = [tree]
    while waiting:
        inner = waiting.pop()
        pairs = inner.items() if isinstance(inner, dict) else enumerate(inner) if isinstance(inner, list) else ()
        for key, value in pairs:
            yield inner, key
            waiting.append(value)


def _replace(found: Place, value: Tree) -> None:
    found[0][found[1]] = value


def _delete(found: Place, _: Tree) -> None:
    del found[0][found[1]]


def _repeat(found: Place, _: Tree) -> None:
    inner, key = found
    inner[key] = [inner[key]] * 3 if isinstance(inner, dict) else inner[key]
    if isinstance(inner, list):
        inner += [inner[key]] * 2


def _rename(found: Place, value: Tree) -> None:
    inner, key = found
    if isinstance(inner, dict):
        inner[value if isinstance(value, str) else "x-unknown"] = inner.pop(key)


def _bury(found: Place, _: Tree) -> None:
    inner, key = found
    for _turn in range(DEEP):
        inner[key] = [inner[key]]


def _lengthen(found: Place, _: Tree) -> None:
    inner, key = found
    held = inner[key]
    inner[key] = held * 50 if isinstance(held, str | list) else held


_CHANGES: tuple[Callable[[Place, Tree], None], ...] = (
    _replace, _replace, _replace, _delete, _delete, _repeat, _rename, _lengthen, _bury,
)  # fmt: skip


@st.composite
def nearly(draw: st.DrawFn, trees: Sequence[Tree], extra: Sequence[Any] = ()) -> Tree:
    """Make a tree that is one of these but for up to three changes."""
    tree = deepcopy(draw(st.sampled_from(trees)))
    values = (*extra, *extra, *NASTY) if extra else NASTY
    for _ in range(draw(st.integers(0, 3))):
        found = list(places(tree))
        if not found:
            break
        place = found[draw(st.integers(0, len(found) - 1))]
        draw(st.sampled_from(_CHANGES))(place, deepcopy(draw(st.sampled_from(values))))
    return tree


def written(tree: Tree) -> bytes:
    """Write a tree as JSON as far as it can be: halves of surrogate pairs go out as the bytes they would be."""
    return json.dumps(tree, ensure_ascii=False).encode("utf-8", "surrogatepass")


def escaped(tree: Tree) -> bytes:
    """Write a tree as JSON in ASCII, everything else escaped."""
    return json.dumps(tree).encode()


@st.composite
def spoilt(draw: st.DrawFn, documents: Sequence[bytes], pieces: Sequence[bytes] = ()) -> bytes:
    """Make a document that is one of these but for up to four changes of its bytes."""
    data = bytearray(draw(st.sampled_from(documents)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        until = min(len(data), at + draw(st.sampled_from((0, 0, 1, 2, 8, 64))))
        data[at:until] = draw(st.sampled_from((*_BYTES, *pieces))) * draw(st.sampled_from((1, 1, 1, 2, 40)))
    return bytes(data)


_BYTES = (
    b"", b"\0", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc0\x80", b"\n", b"\r", b"\t", b" ", b"'",
    b'"', b"\\",
    b"{", b"}", b"[", b"]", b":", b",", b"-", b"&a ", b"*a", b"<", b">", b"]]>", b"<!--", b"%", b"0", b"1e999",
    "洪".encode(),
)  # fmt: skip
