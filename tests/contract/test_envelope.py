"""What the envelope refuses, each in one sentence that names the part and what was expected."""

import json

import pytest

from schemas.envelope import MAX_VALUE_BYTES, ContractError, read_message
from tests.contract.golden import Headers, golden, golden_parts

HEADERS, VALUE, KIND = golden("incident")


def changed(name: str, said: bytes) -> Headers:
    return [(key, said if key == name else known) for key, known in HEADERS]


def without(name: str) -> Headers:
    return [(key, known) for key, known in HEADERS if key != name]


@pytest.mark.parametrize("name", ["ce_id", "ce_type", "ce_source", "ce_status"])
@pytest.mark.parametrize("make", [without, lambda name: changed(name, b"")], ids=["missing", "empty"])
def test_a_needed_header_must_be_there(name: str, make: object) -> None:
    assert callable(make)
    with pytest.raises(ContractError, match=f"^header {name}: is missing$"):
        read_message(make(name), VALUE, KIND)


@pytest.mark.parametrize("name", ["ce_id", "ce_source", "content-type", "somebody-elses"])
def test_a_header_that_is_not_utf8_is_named(name: str) -> None:
    headers = [*without(name), (name, b"\xff\xfe")]
    with pytest.raises(ContractError, match=f"^header {name}: is not UTF-8$"):
        read_message(headers, VALUE, KIND)


@pytest.mark.parametrize(
    ("name", "said", "complaint"),
    [
        (
            "ce_type",
            b"muster.timeline.v1",
            "'muster.timeline.v1' does not belong on this topic, muster.incident.v1 does",
        ),
        ("ce_type", b"muster.incident", "does not belong on this topic"),
        ("ce_type", b"muster.incident.v", "version  is not the version 1"),
        ("ce_type", b"muster.incident.v10", "version 10 is not the version 1"),
        ("ce_type", b"muster.incident.v2.v1", "does not belong on this topic"),
        ("ce_id", b"17", "'17' is not a UUID"),
        ("ce_id", b"3d813cbb-47fb-42ba-91df-831e1593ac29", "3d813cbb-47fb-42ba-91df-831e1593ac29 is not a UUIDv7"),
        ("ce_status", b"actual", "'actual' is not a CAP status"),
        ("ce_time", b"2026-03-14T00:30:01", "must be a time with its offset"),
        ("ce_time", b"yesterday", "'yesterday' is not a time"),
    ],
)
def test_a_header_that_says_something_else_is_refused(name: str, said: bytes, complaint: str) -> None:
    with pytest.raises(ContractError, match=f"^header {name}: .*{complaint}"):
        read_message(changed(name, said), VALUE, KIND)


def test_a_message_without_a_time_is_refused() -> None:
    with pytest.raises(ContractError, match=r"^header ce_time: must be a time with its offset$"):
        read_message(without("ce_time"), VALUE, KIND)


def test_header_and_value_must_agree_on_the_status() -> None:
    """An exercise can't be dressed as real: neither by its header nor by its value."""
    with pytest.raises(ContractError, match=r"^status: the header says Exercise, the value says Actual$"):
        read_message(changed("ce_status", b"Exercise"), VALUE, KIND)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (None, "value: is missing"),
        (b"", "value: Invalid JSON"),
        (b"[]", "value: Input should be an object"),
        (b"x" * (MAX_VALUE_BYTES + 1), f"value: has {MAX_VALUE_BYTES + 1} bytes, at most {MAX_VALUE_BYTES} are read"),
        (VALUE.replace(b"Riverside", rb"River\u0000side"), "value: holds a NUL character"),
        (b'"\xff"', "value: Invalid JSON"),
    ],
    ids=["none", "empty", "a list", "too long", "NUL", "not UTF-8"],
)
def test_a_value_that_can_not_be_taken_is_refused(value: bytes | None, complaint: str) -> None:
    with pytest.raises(ContractError, match=f"^{complaint}"):
        read_message(HEADERS, value, KIND)


def test_a_refusal_names_the_field_and_counts_the_others() -> None:
    _, value = golden_parts("incident")
    del value["reported_by"]
    value["severity"] = "Terrible"
    with pytest.raises(ContractError, match=r"^severity: Input should be 'Extreme'.* \(and 1 more\)$"):
        read_message(HEADERS, json.dumps(value).encode(), KIND)
