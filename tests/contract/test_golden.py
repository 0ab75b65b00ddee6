"""Messages of version 1 are read for as long as version 1 is; what they don't know to say is kept."""

import json
from typing import get_args

import pytest

from schemas.command import Command
from schemas.envelope import ADAPTERS, ContractError, Envelope, read_message, write_value
from schemas.vocabulary import Status
from tests.contract.golden import NAMES, golden, golden_parts


def test_every_type_and_every_command_has_a_committed_message() -> None:
    kinds = {golden(name)[2] for name in NAMES}
    assert kinds == set(ADAPTERS)
    members = get_args(get_args(Command)[0])
    actions = {golden_parts(name)[1].get("action") for name in NAMES} - {None}
    assert actions == {member.model_fields["action"].default for member in members}


@pytest.mark.parametrize("name", NAMES)
def test_an_old_message_is_read_and_nothing_it_says_is_lost(name: str) -> None:
    headers, value, kind = golden(name)
    envelope, message = read_message(headers, value, kind)
    assert envelope.type == kind
    assert message.status is envelope.status
    again = type(message).model_validate_json(write_value(message))
    assert again == message
    said = {field: said for field, said in json.loads(value).items() if said is not None}
    assert said.keys() <= json.loads(write_value(message)).keys()


@pytest.mark.parametrize("name", NAMES)
def test_an_envelope_is_written_as_it_was_read(name: str) -> None:
    headers, value, kind = golden(name)
    envelope, _ = read_message(headers, value, kind)
    assert dict(envelope.headers()) == dict(headers)


@pytest.mark.parametrize("name", NAMES)
def test_a_field_nobody_knows_survives_reading_and_writing(name: str) -> None:
    headers, value = golden_parts(name)
    value["of_a_later_version"] = {"deep": [1, {"er": "值"}]}
    kind = headers["ce_type"].removesuffix(".v1")
    pairs = [(key, text.encode()) for key, text in headers.items()]
    _, message = read_message(pairs, json.dumps(value).encode(), kind)
    assert json.loads(write_value(message))["of_a_later_version"] == value["of_a_later_version"]


@pytest.mark.parametrize("name", NAMES)
def test_a_message_of_version_2_is_refused_by_name(name: str) -> None:
    headers, value, kind = golden(name)
    newer = [(key, said.replace(b".v1", b".v2") if key == "ce_type" else said) for key, said in headers]
    with pytest.raises(ContractError, match=r"^header ce_type: version 2 is not the version 1 that is read here$"):
        read_message(newer, value, kind)


def test_an_envelope_of_ours_is_read_back_the_same() -> None:
    headers, value, kind = golden("incident")
    envelope, _ = read_message(headers, value, kind)
    ours = Envelope(envelope.id, kind, "muster/test", envelope.subject, envelope.time, Status.ACTUAL)
    assert read_message(ours.headers(), value, kind)[0] == ours
