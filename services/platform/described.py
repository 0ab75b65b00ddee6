"""Bodies that a route reads itself, to bound and to keep them, described for OpenAPI."""

from typing import Any

from pydantic import BaseModel

from services.platform.body import MAX_KEY


def json_body(model: type[BaseModel], *, key: bool = False) -> dict[str, Any]:
    """Describe a JSON body, for a route's ``openapi_extra``; ``key``: the route takes an Idempotency-Key."""
    schema = model.model_json_schema()
    content = {"application/json": {"schema": _inline(schema, schema.pop("$defs", {}))}}
    described: dict[str, Any] = {"requestBody": {"required": True, "content": content}}
    return described | ({"parameters": [_KEY]} if key else {})


def _inline(schema: Any, definitions: dict[str, Any]) -> Any:
    """Put each definition where it is referred to: OpenAPI keeps definitions elsewhere than JSON Schema does."""
    if isinstance(schema, list):
        return [_inline(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inline(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {name: _inline(part, definitions) for name, part in schema.items()}


_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes a repeat of the same request safe; without it every request is a new one.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY, "pattern": "^[ -~]+$"},
}
