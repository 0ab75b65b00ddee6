"""What OpenAPI can't learn from the handlers: they read their bodies themselves, to bound and to keep them."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from schemas.command import CommandBase
from services.intake.commands_in import FILLED_IN, OVERWRITTEN
from services.platform.body import MAX_KEY, XML
from services.platform.problem import Problem
from services.platform.report_in import ReportIn

_REF = "#/components/schemas/{model}"


def _actions() -> list[type[CommandBase]]:
    return sorted(CommandBase.__subclasses__(), key=lambda action: action.__name__)


def _key() -> dict[str, Any]:
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "Makes a repeat of the same request safe; without it every request is a new one, except that"
        " a CAP alert is known by its bytes.",
        "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY, "pattern": "^[ -~]+$"},
    }


def report_body() -> dict[str, Any]:
    """Describe the request that reports an incident."""
    content = {"application/json": {"schema": {"$ref": _REF.format(model="ReportIn")}}}
    return {"parameters": [_key()], "requestBody": {"required": True, "content": content}}


def cap_body() -> dict[str, Any]:
    """Describe the request that carries a CAP alert."""
    schema = {"type": "string", "description": "One CAP 1.0, 1.1 or 1.2 alert."}
    return {
        "parameters": [_key()],
        "requestBody": {"required": True, "content": {media_type: {"schema": schema} for media_type in XML}},
    }


def feed_body() -> dict[str, Any]:
    """Describe the request of a feed that signs its calls."""
    names = {
        "webhook-id": "Names the call; a repeat of it has the same.",
        "webhook-timestamp": "Seconds since 1970, now.",
        "webhook-signature": "`v1,` and in base64 the HMAC-SHA256 of id, time and body with dots between.",
    }
    headers = [
        {"name": name, "in": "header", "required": True, "description": text, "schema": {"type": "string"}}
        for name, text in names.items()
    ]
    content = report_body()["requestBody"]["content"] | cap_body()["requestBody"]["content"]
    return {"parameters": headers, "requestBody": {"required": True, "content": content}}


def command_body() -> dict[str, Any]:
    """Describe the request that carries a duty officer's decision."""
    choices = [{"$ref": _REF.format(model=action.__name__)} for action in _actions()]
    schema = {"oneOf": choices, "discriminator": {"propertyName": "action"}}
    return {
        "parameters": [_key()],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
    }


def describe(app: FastAPI) -> None:
    """Make the application's OpenAPI document hold the bodies' schemas."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            models: list[type[BaseModel]] = [ReportIn, Problem, *_actions()]
            _, bodies = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
            schemas = found.setdefault("components", {}).setdefault("schemas", {})
            for name, schema in bodies["$defs"].items():
                schemas.setdefault(name, schema)
            for action in _actions():
                _close(schemas[action.__name__])
            app.openapi_schema = found
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign] # FastAPI's documented way to extend the document


def _close(schema: dict[str, Any]) -> None:
    """Say of a command that its filled-in fields are not given, its action is, and nothing else may be.

    Who decides may be given and makes no difference.
    """
    schema["properties"] = {name: field for name, field in schema["properties"].items() if name not in FILLED_IN}
    schema["required"] = sorted({*schema["required"], "action"} - {*FILLED_IN, OVERWRITTEN})
    schema["additionalProperties"] = False
