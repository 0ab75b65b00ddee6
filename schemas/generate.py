"""Writes the contracts for other languages and for editors: JSON Schemas and the AsyncAPI document.

``python -m schemas.generate`` writes ``schemas/json``; with ``--check`` it writes nothing and names each file that
is out of step (exit 1). The same models give the same bytes.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from schemas.asyncapi import asyncapi, schema_file
from schemas.drill import DrillDocument
from schemas.envelope import ADAPTERS
from schemas.plan import DirectoryDocument, PlanDocument

FOLDER = Path(__file__).parent / "json"
DOCUMENTS: Mapping[str, TypeAdapter[Any]] = {
    "plan": TypeAdapter(PlanDocument),
    "directory": TypeAdapter(DirectoryDocument),
    "drill": TypeAdapter(DrillDocument),
}


UUID7 = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$"
"""RFC 9562, sections 4 and 5.7: version 7, variant 10."""


class _Plain(GenerateJsonSchema):
    """Leaves out the titles that only repeat a field's name, and says UUIDv7 in words that validators know."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        return False

    def uuid_schema(self, schema: core_schema.UuidSchema) -> dict[str, Any]:
        pattern = {"pattern": UUID7} if schema.get("version") == 7 else {}
        return {"type": "string", "format": "uuid", **pattern}


def json_schema(name: str, adapter: TypeAdapter[Any]) -> dict[str, Any]:
    """Describe what is read as ``name``, in JSON Schema 2020-12."""
    described = adapter.json_schema(schema_generator=_Plain)
    for model in described.get("$defs", {}).values():
        for field, schema in model.get("properties", {}).items():
            if "const" in schema:  # what tells the members of a union apart has to be there
                schema.pop("default", None)
                model["required"] = [*model.get("required", ()), field]
    return {"$schema": _Plain.schema_dialect, "$id": f"urn:muster:{name}", **described}


def generated() -> dict[str, bytes]:
    """Give every file under ``schemas/json`` with its bytes."""
    files = {schema_file(kind): json_schema(schema_file(kind), adapter) for kind, adapter in ADAPTERS.items()}
    files |= {f"{name}.json": json_schema(name, adapter) for name, adapter in DOCUMENTS.items()}
    files["asyncapi.json"] = asyncapi()
    return {
        name: (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode() for name, document in files.items()
    }


def out_of_step(folder: Path) -> list[str]:
    """Name the files of a folder that are missing, different, or left over."""
    wanted = generated()
    found = {path.name: path.read_bytes() for path in folder.glob("*")}
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def main(arguments: Sequence[str]) -> int:
    """Write the files, or check them; returns 1 after naming those out of step."""
    parser = argparse.ArgumentParser(prog="python -m schemas.generate", description="JSON Schemas and AsyncAPI.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is out of step")
    options = parser.parse_args(arguments)
    stale = out_of_step(FOLDER)
    if options.check:
        for name in stale:
            sys.stderr.write(f"{FOLDER / name}: is out of step; run `python -m schemas.generate`\n")
        return int(bool(stale))
    FOLDER.mkdir(exist_ok=True)
    wanted = generated()
    for name in stale:
        if name in wanted:
            (FOLDER / name).write_bytes(wanted[name])
        else:
            (FOLDER / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
