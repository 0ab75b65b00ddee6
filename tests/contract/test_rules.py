"""Rules that hold over every contract, whatever is added later."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from uuid_utils.compat import uuid4

import schemas.acknowledgement
import schemas.assignment
import schemas.command
import schemas.incident
import schemas.timeline
from schemas.base import Document, Message
from schemas.envelope import ADAPTERS, ContractError, read_message
from schemas.vocabulary import Namespace, Status
from tests.contract.golden import NAMES, golden, golden_parts

MODULES = (
    schemas.acknowledgement,
    schemas.assignment,
    schemas.command,
    schemas.incident,
    schemas.timeline,
)


def models(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for model in base.__subclasses__():
        yield model
        yield from models(model)


def by_name(base: type[BaseModel]) -> list[type[BaseModel]]:
    return sorted(set(models(base)), key=name_of)


def name_of(model: type[BaseModel]) -> str:
    return model.__name__


MESSAGES = [model for model in by_name(Message) if model.__module__ in {module.__name__ for module in MODULES}]


@pytest.mark.parametrize("model", MESSAGES, ids=name_of)
def test_a_status_never_has_a_default(model: type[BaseModel]) -> None:
    fields = {name: field for name, field in model.model_fields.items() if field.annotation is Status}
    assert all(field.is_required() for field in fields.values())
    assert ("status" in fields) == ("incident_id" in model.model_fields)


def test_no_message_may_go_without_a_status() -> None:
    for name in NAMES:
        headers, value, kind = golden(name)
        without = {key: said for key, said in json.loads(value).items() if key != "status"}
        with pytest.raises(ContractError, match="status: Field required"):
            read_message(headers, json.dumps(without).encode(), kind)


def test_every_status_has_one_namespace_or_none_that_acts_on_it() -> None:
    assert {status: Namespace.of(status) for status in Status} == {
        Status.ACTUAL: Namespace.ACTUAL,
        Status.EXERCISE: Namespace.EXERCISE,
        Status.TEST: Namespace.EXERCISE,
        Status.SYSTEM: None,
        Status.DRAFT: None,
    }


@pytest.mark.parametrize("model", by_name(Message), ids=name_of)
def test_messages_are_frozen_and_keep_what_they_do_not_know(model: type[BaseModel]) -> None:
    assert model.model_config.get("frozen") is True
    assert model.model_config.get("extra") == "allow"


@pytest.mark.parametrize("model", by_name(Document), ids=name_of)
def test_documents_are_frozen_and_refuse_what_they_do_not_know(model: type[BaseModel]) -> None:
    assert model.model_config.get("frozen") is True
    assert model.model_config.get("extra") == "forbid"


def fields_like(value: Any, suffix: str) -> list[str]:
    return [name for name, said in value.items() if name.endswith(suffix) and said is not None]


@pytest.mark.parametrize("name", NAMES)
def test_an_id_must_be_a_uuid_of_version_7(name: str) -> None:
    headers, value = golden_parts(name)
    adapter = ADAPTERS[headers["ce_type"].removesuffix(".v1")]
    ids = fields_like(value, "_id")
    assert ids
    for field in ids:
        with pytest.raises(ValidationError, match="UUID version 7 expected"):
            adapter.validate_json(json.dumps({**value, field: str(uuid4())}))


@pytest.mark.parametrize("name", NAMES)
def test_a_naive_time_is_refused(name: str) -> None:
    headers, value = golden_parts(name)
    adapter = ADAPTERS[headers["ce_type"].removesuffix(".v1")]
    times = fields_like(value, "_at")
    assert times
    for field in times:
        with pytest.raises(ValidationError, match="timezone"):
            adapter.validate_json(json.dumps({**value, field: "2026-03-14T08:30:00"}))
        with pytest.raises(ValidationError, match="the year must lie between 1900 and 2200"):
            adapter.validate_json(json.dumps({**value, field: "9999-03-14T08:30:00Z"}))


@pytest.mark.parametrize("answer", ["decline", "block", "fail", "delegate"])
@pytest.mark.parametrize("reason", [None, "", "  "])
def test_a_no_must_say_why(answer: str, reason: str | None) -> None:
    _, value = golden_parts("acknowledgement-delegate")
    with pytest.raises(ValidationError, match=f"reason: {answer} must say why"):
        ADAPTERS["muster.acknowledgement"].validate_json(json.dumps({**value, "answer": answer, "reason": reason}))


@pytest.mark.parametrize(("answer", "to"), [("delegate", None), ("commit", "police")])
def test_the_other_department_is_named_when_delegating_and_only_then(answer: str, to: str | None) -> None:
    _, value = golden_parts("acknowledgement-delegate")
    with pytest.raises(ValidationError, match="delegate_to: name the other department when delegating"):
        ADAPTERS["muster.acknowledgement"].validate_json(json.dumps({**value, "answer": answer, "delegate_to": to}))


@pytest.mark.parametrize("action", [None, "evacuate"])
def test_a_command_nobody_knows_is_refused(action: str | None) -> None:
    _, value = golden_parts("command-close")
    with pytest.raises(ValidationError, match=r"discriminator|expected tags"):
        ADAPTERS["muster.command"].validate_json(json.dumps({**value, "action": action}))


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("command-")])
@pytest.mark.parametrize("field", ["by", "reason"])
def test_a_command_names_who_decided_and_why(name: str, field: str) -> None:
    _, value = golden_parts(name)
    with pytest.raises(ValidationError, match=field):
        ADAPTERS["muster.command"].validate_json(json.dumps({**value, field: ""}))
