"""Plans and the directory between files and Postgres: checked and written as JSON, read back and compiled."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.plan import DirectoryDocument, PlanDocument
from services.domain.directory import Directory
from services.domain.plan import Plan
from services.playbooks.check import check
from services.playbooks.directory import compile_directory, parse_directory
from services.playbooks.plans import canonical, compile_plan, digest, parse_plan
from services.playbooks.problem import Gravity, PlaybookError
from services.playbooks.yaml_source import read_text


@dataclass(frozen=True, slots=True)
class Wordings:
    """What a publication consists of: (digest, id, version, JSON) of each plan, (digest, JSON) of the directory."""

    plans: list[tuple[str, str, int, str]]
    directory: tuple[str, str]


def read_wordings(playbooks: Path) -> Wordings:
    """Read a folder of plans for publication; raises `PlaybookError` with everything that must be mended first."""
    problems = [problem for problem in check([playbooks]) if problem.severity is Gravity.ERROR]
    if problems:
        raise PlaybookError(problems)
    file = playbooks / "departments.yaml"
    directory, _ = parse_directory(read_text(file), str(file))
    plans = []
    for path in sorted((playbooks / "plans").glob("*.yaml")):
        document, _ = parse_plan(read_text(path), str(path))
        plans.append((digest(document), document.id, document.version, canonical(document)))
    return Wordings(plans, (digest(directory), canonical(directory)))


def plan_from(document: dict[str, Any]) -> Plan:
    """Compile a published plan."""
    return compile_plan(PlanDocument.model_validate(document))


def directory_from(document: dict[str, Any]) -> Directory:
    """Compile a published directory."""
    return compile_directory(DirectoryDocument.model_validate(document))
