"""The department directory: from ``departments.yaml`` or a published document to the engine's value."""

from collections.abc import Iterator
from pathlib import Path

from schemas.plan import Contact, DirectoryDocument
from services.domain.directory import Department, Directory, Post
from services.playbooks.identity import directory_identity
from services.playbooks.plans import digest
from services.playbooks.problem import PlaybookError, Problem, did_you_mean
from services.playbooks.validation import validate
from services.playbooks.yaml_source import SourceMap, read_text, read_tree

POSTS = ("liaison", "deputy", "superior")


def load_directory(path: Path) -> Directory:
    """Read and compile the directory file; PlaybookError with every problem of the file."""
    document, source = parse_directory(read_text(path), str(path))
    return compile_directory(document, source)


def parse_directory(text: str, file: str) -> tuple[DirectoryDocument, SourceMap]:
    """Read a directory's YAML text; ``file`` is the name that problems carry. PlaybookError when it isn't one."""
    tree, source = read_tree(text, file)
    return validate(DirectoryDocument, tree, source), source


def compile_directory(document: DirectoryDocument, source: SourceMap | None = None) -> Directory:
    """Compile a document; PlaybookError for an id used twice, or a post or duty officer that leads nowhere."""
    problems = list(directory_problems(document, source or SourceMap("departments")))
    if problems:
        raise PlaybookError(problems)
    departments = {
        rule.id: Department(
            id=rule.id,
            title=rule.title,
            liaison=_post(rule.liaison),
            deputy=_post(rule.deputy),
            superior=_post(rule.superior),
            duty_phone=rule.duty_phone,
        )
        for rule in document.departments
    }
    return Directory(document.duty_officer, departments, digest(document))


def directory_problems(document: DirectoryDocument, source: SourceMap) -> Iterator[Problem]:
    """Find ids used twice, and departments that are named but not in the directory."""
    yield from directory_identity(document, source)
    known = [rule.id for rule in document.departments]
    there = frozenset(known)
    if document.duty_officer not in known:
        message = f'unknown department "{document.duty_officer}"'
        yield source.problem(("duty_officer",), message, did_you_mean(document.duty_officer, known))
    for index, rule in enumerate(document.departments):
        for post in POSTS:
            department = getattr(rule, post).department
            if department is not None and department not in there:
                path = ("departments", index, post, "department")
                yield source.problem(path, f'unknown department "{department}"', did_you_mean(department, known))


def _post(contact: Contact) -> Post:
    return Post(contact.name, contact.phone, contact.department)
