"""The published schemas are those of the code, are valid, and say the same as the models."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from schemas.envelope import ADAPTERS
from schemas.generate import FOLDER, generated, main, out_of_step
from tests.contract.golden import NAMES, golden_parts

ROOT = Path(__file__).parents[2]
SCHEMAS = sorted(set(generated()) - {"asyncapi.json"})
MESSAGES = [name for name in SCHEMAS if name.endswith(".v1.json")]
DIGEST = "import hashlib, schemas.generate as g; print(hashlib.sha256(b''.join(g.generated().values())).hexdigest())"


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    return found


def complaints(name: str, value: Any) -> list[str]:
    return [error.message for error in Draft202012Validator(schema(name)).iter_errors(value)]


def test_the_committed_files_are_in_step_with_the_models() -> None:
    assert out_of_step(FOLDER) == [], "run `python -m schemas.generate`"
    assert len(MESSAGES) == len(ADAPTERS)


def test_a_file_out_of_step_is_named_and_then_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("schemas.generate.FOLDER", tmp_path / "json")
    assert main([]) == 0
    assert main(["--check"]) == 0
    (tmp_path / "json" / "plan.json").write_text("{}")
    (tmp_path / "json" / "incident.v1.json").unlink()
    (tmp_path / "json" / "stranger.json").write_text("{}")
    assert main(["--check"]) == 1
    said = capsys.readouterr().err
    assert [line.partition(": ")[0].rpartition("/")[2] for line in said.splitlines()] == [
        "incident.v1.json",
        "plan.json",
        "stranger.json",
    ]
    assert main([]) == 0
    assert main(["--check"]) == 0


def test_every_run_gives_the_same_bytes() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=ROOT,
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_valid_by_its_own_dialect(name: str) -> None:
    assert schema(name)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema(name))


@pytest.mark.parametrize("name", NAMES)
def test_a_committed_message_is_valid_by_the_published_schema(name: str) -> None:
    headers, value = golden_parts(name)
    file = f"{headers['ce_type'].removeprefix('muster.')}.json"
    assert complaints(file, value) == []
    without = {field: said for field, said in value.items() if field != "status"}
    assert complaints(file, without)
    assert complaints(file, {**value, "incident_id": "3d813cbb-47fb-42ba-91df-831e1593ac29"})


def as_json(path: Path) -> Any:
    return json.loads(json.dumps(yaml.safe_load(path.read_text(encoding="utf-8")), default=str))


@pytest.mark.parametrize(
    ("name", "path"),
    [
        *(("plan.json", path) for path in sorted((ROOT / "playbooks" / "plans").glob("*.yaml"))),
        *(("drill.json", path) for path in sorted((ROOT / "playbooks" / "drills").glob("*.yaml"))),
        ("directory.json", ROOT / "playbooks" / "departments.yaml"),
    ],
    ids=lambda given: given.name if isinstance(given, Path) else "",
)
def test_an_editor_finds_nothing_wrong_with_a_shipped_file_and_something_with_a_misspelt_one(
    name: str, path: Path
) -> None:
    assert complaints(name, as_json(path)) == []
    assert complaints(name, {**as_json(path), "misspelt": 1})
