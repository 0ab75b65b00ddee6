"""Fuzzes the files that planners write: plans, the directory, drills, response models, all in strict YAML."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from schemas.drill import DrillDocument
from schemas.plan import DirectoryDocument, PlanDocument
from services.drills.response_model import ResponseModel, parse_model
from services.drills.scenario import parse_scenario
from services.playbooks.diff import diff
from services.playbooks.directory import compile_directory, load_directory, parse_directory
from services.playbooks.lint import lint
from services.playbooks.plans import compile_plan, digest, load_plans, parse_plan
from services.playbooks.problem import PlaybookError, Problem
from services.playbooks.yaml_source import MAX_BYTES, read_text
from tests.fuzz.harness import Entry, Target, UnexplainedError, explained
from tests.fuzz.shapes import escaped, nearly, spoilt, written
from tests.playbooks.sample import DIRECTORY, PLAN
from tests.services.support import PLAYBOOKS

TODAY = date(2026, 6, 1)
FILE = "file.yaml"
MODEL = """\
format: 1
id: county
kind: lognormal
censoring: never
source: {file: calls.csv, sha256: "%s", rows: 100, columns: {received: CallTime}}
segments:
  - {segment: turnout, n: 100, censored: 3, zeros: 1, set_aside: {}, ks: 0.1, never: 0.03, mu: 4.1, sigma: 0.6}
  - {segment: travel, n: 90, censored: 0, zeros: 0, set_aside: {negative: 2}, ks: 0.1, never: 0, mu: 5.1, sigma: 0.5}
groups:
  - group: "1"
    segments: [{segment: turnout, n: 50, censored: 0, zeros: 0, set_aside: {}, ks: 0.2, never: 0, mu: 4, sigma: 1}]
left_out: {"2": 3}
""" % ("a" * 64)
BOMBS = (
    b"a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b]\n", b"a: &a {b: *a}\n", b"<<: {a: 1}\n",
    b"[" * 3_000,
    b"{a: " * 3_000, b"- " * 3_000, b"? " * 500, b"x: !!python/object/apply:os.system ['id']\n",
    b"x: !!binary AAAA\n", b"%YAML 1.1\n---\n",
    b"---\n---\n", b"...\n", b"id: a\nid: b\n", b"x: |\n  " + b"y" * 30_000 + b"\n", b'x: "' + b"z" * 30_000 + b'"\n',
    b"x: >-\n" + b" a\n" * 3_000,
    b"'" + b"k" * 2_000 + b"': 1\n", b"\t- x\n", b"x: \x01\n", b"x: '\\ud800'\n", b'x: "\\ud800"\n',
    b'"\\u0000": 1\n', b"\xff\xfeh\0i\0", b"# c\n" * 500,
    b"- [a, b, c, d]\n" * 800, b"k%d: {}\n" * 2, b"".join(b"k%d: x\n" % each for each in range(1_500)),
)  # fmt: skip
Check = Callable[[str], None]


def target(check: Check) -> Callable[[], Any]:
    """Make a target of a check of a file's text: each problem is a line of its own."""

    @contextmanager
    def opened() -> Iterator[Target]:
        import tempfile

        path = Path(tempfile.mkdtemp()) / FILE

        def take(data: bytes) -> str | None:
            path.write_bytes(data)
            try:
                check(read_text(path))
            except PlaybookError as error:
                return told(error.problems)
            return None

        yield take

    return opened


def told(problems: Sequence[Problem]) -> str:
    """Give the first problem, having read the first hundred."""
    if not problems:
        raise UnexplainedError("there is no problem in it")
    first, *_ = [explained(str(each)) for each in problems[:100]]
    return first


@cache
def _directory() -> DirectoryDocument:
    file = PLAYBOOKS / "departments.yaml"
    return parse_directory(read_text(file), str(file))[0]


@cache
def _sample() -> PlanDocument:
    return parse_plan(PLAN, FILE)[0]


def check_plan(text: str) -> None:
    """Read, lint, compile and compare a plan."""
    document, source = parse_plan(text, FILE)
    problems = lint([document], parse_directory(DIRECTORY, "departments.yaml")[0], TODAY, [source])
    for each in problems[:100]:
        explained(str(each))
    compile_plan(document, source)
    digest(document)
    for change in diff(_sample(), document)[:100]:
        str(change)


def check_directory(text: str) -> None:
    """Read and compile a directory, and lint the shipped sample against it."""
    document, source = parse_directory(text, FILE)
    compile_directory(document, source)
    for each in lint([_sample()], document, TODAY, None, source)[:100]:
        explained(str(each))


@cache
def _exercised() -> tuple[Any, Any]:
    return load_plans(PLAYBOOKS / "plans"), load_directory(PLAYBOOKS / "departments.yaml")


def check_drill(text: str) -> None:
    """Read a drill against the shipped plans and directory."""
    parse_scenario(text, FILE, *_exercised())


def check_model(text: str) -> None:
    """Read a response model."""
    parse_model(text, FILE)


def seeds(*texts: bytes) -> Callable[[], list[bytes]]:
    """Give files to begin from, each bomb, and each file with a bomb in it."""
    return lambda: [*texts, *BOMBS, *(texts[0] + each for each in BOMBS), b"x" * (MAX_BYTES + 1)]


def shaped(*texts: bytes) -> Callable[[], st.SearchStrategy[bytes]]:
    """Make files: trees that are nearly right, written as JSON, which is YAML, and texts spoilt line by line."""

    def make() -> st.SearchStrategy[bytes]:
        trees = [yaml.load(text, Loader=yaml.CBaseLoader) for text in texts]  # noqa: S506 - our own files, as texts
        wrong = nearly(trees, ("standby", "default", "police", "true", "severity_rank >= 2"))
        return st.one_of(wrong.map(written), wrong.map(escaped), spoilt(list(texts), BOMBS))

    return make


def _bytes(pattern: str, at_most: int) -> list[bytes]:
    found = sorted(PLAYBOOKS.glob(pattern), key=lambda path: path.stat().st_size)
    return [path.read_bytes() for path in found[:at_most]]


def _words(model: type[Any]) -> tuple[str, ...]:
    import re

    return tuple(sorted(set(re.findall(r"[A-Za-z_]{2,30}", str(model.model_json_schema())))))


def entries() -> list[Entry]:
    """Give an entry for each kind of file."""
    kinds: list[tuple[str, Check, list[bytes], type[Any], tuple[int, int]]] = [
        ("plan", check_plan, [PLAN.encode(), *_bytes("plans/*.yaml", 3)], PlanDocument, (6_000, 1_000)),
        ("directory", check_directory, [DIRECTORY.encode()], DirectoryDocument, (6_000, 1_000)),
        ("drill", check_drill, _bytes("drills/*.yaml", 3), DrillDocument, (4_000, 700)),
        ("model", check_model, [MODEL.encode()], ResponseModel, (6_000, 1_000)),
    ]
    return [
        Entry(f"yaml-{name}", target(check), seeds(*texts), shaped(*texts), shares, _words(model), longest=1 << 15)
        for name, check, texts, model, shares in kinds
    ]
