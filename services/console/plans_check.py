"""Checking a plan's text before it matters: the linter over it, beside what is in force, and nothing is stored."""

from datetime import date

from schemas.plan import PlanDocument
from services.console.plans_store import Shelf
from services.console.plans_view import Checked, make_difference, make_findings
from services.playbooks.diff import diff
from services.playbooks.lint import lint
from services.playbooks.plans import digest
from services.playbooks.problem import PlaybookError, Problem
from services.playbooks.validation import validate
from services.playbooks.yaml_source import SourceMap, read_tree

MAX_BYTES = 256 * 1024
"""Longest text of one plan that is checked here, in bytes; the longest shipped one has a tenth of it."""
FILE = "plan"
"""The name that the text goes by."""


def check_text(text: str, shelf: Shelf, today: date) -> Checked:
    """Check the text of one plan, beside the other plans and the directory in force.

    Raises PlaybookError for a text that isn't YAML as plans are written; all else is told as findings with lines.
    """
    tree, source = read_tree(text, FILE)
    try:
        document = validate(PlanDocument, tree, source)
    except PlaybookError as error:
        return Checked(**make_findings(list(error.problems)).model_dump())
    current = shelf.plans.get(document.id)
    others = [wording.document for wording in shelf.plans.values() if wording.plan != document.id]
    documents = [document, *others]
    sources = [source, *(SourceMap(f"published:{other.id}") for other in others)]
    problems = [each for each in lint(documents, shelf.directory, today, sources) if each.file == FILE]
    if current is not None and current.version == document.version and current.digest != digest(document):
        message = f"version {document.version} is published with another text"
        problems.append(source.problem(("version",), message, "raise the version"))
    return Checked(
        **make_findings(sorted(problems, key=_line)).model_dump(),
        plan=document.id,
        version=document.version,
        title=document.title,
        in_force=current.version if current else None,
        changes=[make_difference(each) for each in diff(current.document, document)] if current else [],
    )


def _line(problem: Problem) -> int:
    return problem.line
