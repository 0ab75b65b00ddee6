"""Checking files before they matter: what ``muster plan check`` and CI run.

``python -m services.playbooks.check [PATH...]`` prints one line for each problem; exit 1 when there is an error.
"""

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from schemas.plan import DirectoryDocument, PlanDocument
from services.playbooks.directory import parse_directory
from services.playbooks.lint import lint
from services.playbooks.plans import parse_plan
from services.playbooks.problem import Gravity, PlaybookError, Problem
from services.playbooks.yaml_source import SourceMap, read_text

DIRECTORY_FILE = "departments.yaml"
PLANS_FOLDER = "plans"
SUFFIX = ".yaml"
DEFAULT = Path("playbooks")


def check(paths: Sequence[Path], today: date | None = None) -> list[Problem]:
    """Check plans and the directory; gives the problems by file and line.

    A path is a plan, a ``departments.yaml``, a folder of plans, or a folder with both (``playbooks``); none means
    ``playbooks``. The directory beside the plans and the plans beside a plan are read as well, to know what a name
    refers to, but problems are given for what was asked about only. ``today`` (now, when absent) is for reviews.
    """
    asked: list[Path] = []
    problems: list[Problem] = []
    for path in paths or [DEFAULT]:
        files = list(_files(path))
        asked += files
        if not files:
            problems.append(Problem(str(path), 0, "", "no plan was found", f"write *{SUFFIX} files there"))
    if not asked:
        return problems
    around = dict.fromkeys([*asked, *(file for path in asked for file in _beside(path))])
    plans: list[tuple[PlanDocument, SourceMap]] = []
    directories: list[tuple[DirectoryDocument, SourceMap]] = []
    for path in around:
        if path.suffix != SUFFIX:
            problems.append(Problem(str(path), 0, "", "is not read", f"let its name end in {SUFFIX}"))
            continue
        try:
            if path.name == DIRECTORY_FILE:
                directories.append(parse_directory(read_text(path), str(path)))
            else:
                plans.append(parse_plan(read_text(path), str(path)))
        except PlaybookError as error:
            problems += error.problems
    if directories:
        directory, source = directories[0]
        documents, sources = [plan for plan, _ in plans], [source for _, source in plans]
        problems += lint(documents, directory, today or datetime.now(UTC).astimezone().date(), sources, source)
    names = {str(path) for path in (*asked, *paths)}
    unread = {str(path) for path in around if path.name == DIRECTORY_FILE} if not directories else set()
    shown = [problem for problem in problems if problem.file in names | unread]
    if not any(path.name == DIRECTORY_FILE for path in around):
        mend = f"write {DIRECTORY_FILE} beside the {PLANS_FOLDER} folder"
        shown += [Problem(str(path), 0, "", "no directory of departments was found", mend) for path in asked[:1]]
    return sorted(shown, key=lambda problem: (problem.file, problem.line))


def _files(path: Path) -> Iterator[Path]:
    """List the plan and directory files a path stands for; a path that isn't there stands for itself."""
    if not path.is_dir():
        yield path
        return
    if (path / DIRECTORY_FILE).is_file():
        yield path / DIRECTORY_FILE
    plans = path / PLANS_FOLDER if (path / PLANS_FOLDER).is_dir() else path
    yield from (file for file in sorted(plans.glob("*.y*ml")) if file.name != DIRECTORY_FILE)


def _beside(path: Path) -> Iterator[Path]:
    """List what a file's names may refer to: the plans in its folder, and the nearest directory."""
    if path.name == DIRECTORY_FILE:
        return
    yield from (file for file in sorted(path.parent.glob("*.yaml")) if file.name != DIRECTORY_FILE)
    for folder in (path.parent, path.parent.parent):
        if (folder / DIRECTORY_FILE).is_file():
            yield folder / DIRECTORY_FILE
            return


def main(arguments: Sequence[str]) -> int:
    """Print the problems of the paths; 1 when one of them is an error."""
    problems = check([Path(argument) for argument in arguments])
    for problem in problems:
        print(problem)
    return int(any(problem.severity is Gravity.ERROR for problem in problems))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
