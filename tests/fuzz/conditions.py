"""Fuzzes CEL: any text is compiled within bounds, and decided about small and large reports in bounded time."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from zlib import crc32

from hypothesis import strategies as st

from schemas.incident import Area, IncidentReport
from schemas.vocabulary import Status
from services.domain.plan import ConditionError
from services.playbooks.cel_source import SourceError
from services.playbooks.conditions import FUNCTIONS, MACROS, VARIABLES, compile_condition
from services.playbooks.drill_conditions import VARIABLES as DRILL_VARIABLES
from services.playbooks.drill_conditions import Known, compile_drill_condition
from services.playbooks.plans import load_plans
from tests.fuzz.harness import Entry, Target
from tests.fuzz.messages import INCIDENT_ID, NOW
from tests.fuzz.shapes import spoilt
from tests.services.support import PLAYBOOKS, report

LONGEST = 1_000
"""Characters of a condition (`schemas.plan.Cel`)."""
KNOWN = Known(("police", "fire-rescue"), ("cordon", "evacuate"), ("urban-flood",), ("first-call",))
SHIPPED = (
    "severity_rank >= 3 && areas.exists(a, a.contains('School'))", "has(parameters.depth) && parameters.depth > 2.5",
    "geocodes.exists(g, g.startsWith('006')) || event_codes.all(c, c in geocodes)", "hour >= 7 && hour <= 20",
    "description.matches('(?i).*(flood|rain).*')", "elapsed > 300 && departments['police'].unanswered > 0",
    "departments.exists(d, departments[d].unanswered > 0)", "'first-call' in played && since['first-call'] > 60",
    "size(categories) > 1 ? urgency == 'Immediate' : level == 'I'", "int(parameters['wind speed']) % 3 == 0",
)  # fmt: skip
BOMBS = (
    "['aaaa']" + ".map(x,x+x)" * 75 + ".size()>0", "[1]" + ".map(x,[x,x])" * 60 + "==[]", "!" * 990 + "true",
    "-" * 980 + "1==1",
    "(" * 490 + "true" + ")" * 490, "[" * 490 + "]" * 490, "+".join(["1"] * 495) + ">0", "true?true:" * 95 + "false",
    "geocodes.exists(x,geocodes.exists(y,x==y+'z'))", "geocodes.exists(x,geocodes.exists(y,geocodes.exists(z,x==y+z)))",
    "geocodes.map(x,description+description).size()==1", "geocodes.all(x,description.matches('(a|b|c)*d'))",
    "geocodes.filter(x,x in geocodes).filter(x,x in geocodes)==[]", "description" + "+description" * 70 + "==''",
    "event.matches('" + "(a*)*" * 18 + "')", "event.matches('(((a{9}){9}){9}){9}')", "event.matches('[' + event)",
    "9223372036854775807+1>0",
    "1/0==1", "1%0==1", "-9223372036854775808/-1==1", "1e308*10.0>0.0", "int('9'+'9')==99", "double('nan')==1.0",
    "'\\x00'==event",
    "{'a':1}['b']==1", "{}==[]", "dyn(1)==1", "b'\\xff'==b''", "'\\ud800'==event", '"""' * 300,
    "r'" + "\\" * 900 + "'", "//" + "x" * 900,
    "has(parameters.a.b.c.d)", "parameters" + ".a" * 400 + "==1", "parameters" + "[0]" * 300 + "==1",
    "timestamp('x')==1", "duration('1h')==1",
    "categories[9223372036854775807]=='Fire'", "size(size(size(event)))==1",
    "string(" * 29 + "1" + ")" * 29 + "=='1'", "1u-2u>0u",
)  # fmt: skip


@cache
def reports() -> tuple[IncidentReport, ...]:
    """Give a plain report, and one as large as a message can be."""
    codes = tuple(f"{each:06d}" for each in range(60_000))
    small = report(
        incident_id=INCIDENT_ID,
        status=Status.EXERCISE,
        description="ab" * 10_000,
        areas=(Area(description="Riverside", geocodes={"SAME": ("006037",)}),),
        parameters={"depth": 2.5, "kind": "x"},
        reported_at=NOW,
    )
    areas = (
        *(Area(description=f"Area {each}") for each in range(1_000)),
        Area(description="All", geocodes={"SAME": codes}),
    )
    return small, small.model_copy(update={"areas": areas, "event_codes": {"x": codes[:5_000]}})


@contextmanager
def plan_conditions() -> Iterator[Target]:
    """Make the target of a plan's conditions: compiled, then decided about both reports."""

    def take(data: bytes) -> str | None:
        source = data.decode("utf-8", "replace")[:LONGEST]
        try:
            condition = compile_condition(source)
        except SourceError as error:
            return f"condition: {_printable(error.message)}; {_printable(error.mend)}"
        small, large = reports()
        # Looking at the large one costs more than deciding about it: every thirtieth source does.
        for each in (small, large) if crc32(data) % 30 == 0 else (small,):
            try:
                condition.holds(each, "I")
            except ConditionError as error:
                _printable(str(error))
        return None

    yield take


@contextmanager
def drill_conditions() -> Iterator[Target]:
    """Make the target of a drill's conditions."""
    blank = KNOWN.blank()
    many = {
        **blank,
        "departments": {f"d{each}": dict.fromkeys(blank["departments"]["police"], 1) for each in range(400)},
    }

    def take(data: bytes) -> str | None:
        source = data.decode("utf-8", "replace")[:LONGEST]
        try:
            condition = compile_drill_condition(source, KNOWN)
        except SourceError as error:
            return f"condition: {_printable(error.message)}; {_printable(error.mend)}"
        try:
            condition.holds(many)
        except ConditionError as error:
            _printable(str(error))
        return None

    yield take


def _printable(said: str) -> str:
    """Write a message as `Problem` shows it."""
    from services.playbooks.problem import Problem

    return str(Problem("", 0, "", said)) or "-"


@cache
def seeds() -> list[bytes]:
    """Give what is shipped, and each bomb."""
    plans = load_plans(PLAYBOOKS / "plans")
    shipped = {plan.match.when.source for plan in plans if plan.match.when} | {
        level.when.source for plan in plans for level in plan.levels if level.when
    }
    return [each.encode() for each in (*SHIPPED, *sorted(shipped), *BOMBS)]


def _expressions(names: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Make expressions of CEL's grammar over the variables: deep, long, of all kinds of values."""
    atoms = st.sampled_from((
        *names, *names, "x", "y", "1", "0", "-1", "2.5", "9223372036854775807", "1u", "'a'", '"Fire"', "'é洪'",
        "true", "null", "[]", "{}",
        "parameters.depth", "parameters['kind']", "departments['police'].unanswered", "b'a'", "[1, 2]", "{'a': 1}",
    ))  # fmt: skip
    operators = st.sampled_from(("+", "-", "*", "/", "%", "==", "!=", "<", ">=", "&&", "||", "in"))

    def deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        binary = st.tuples(inner, operators, inner).map(lambda each: f"({each[0]} {each[1]} {each[2]})")
        called = st.tuples(inner, st.sampled_from((*FUNCTIONS, "lowerAscii", "eval")), inner).map(
            lambda each: f"{each[0]}.{each[1]}({each[2]})"
        )
        macro = st.tuples(inner, st.sampled_from(MACROS[1:]), st.sampled_from("xy"), inner).map(
            lambda each: f"{each[0]}.{each[1]}({each[2]}, {each[3]})"
        )
        other = st.one_of(
            st.tuples(inner, inner, inner).map(lambda each: f"({each[0]} ? {each[1]} : {each[2]})"),
            st.tuples(inner, inner).map(lambda each: f"{each[0]}[{each[1]}]"),
            st.tuples(st.sampled_from(("!", "-", "size", "int", "double", "string", "has")), inner).map(
                lambda each: f"{each[0]}({each[1]})"
            ),
            st.lists(inner, max_size=3).map(lambda each: f"[{', '.join(each)}]"),
        )
        return st.one_of(binary, binary, called, macro, other)

    return st.recursive(atoms, deeper, max_leaves=12)


def shaped(names: tuple[str, ...]) -> Callable[[], st.SearchStrategy[bytes]]:
    """Make sources: grammatical ones, and spoilt ones."""
    return lambda: st.one_of(_expressions(names).map(str.encode), spoilt(seeds()))


def entries() -> list[Entry]:
    """Give an entry for a plan's conditions and one for a drill's."""
    marks = (
        "&&",
        "||",
        "==",
        "in",
        "? :",
        ".exists(x, ",
        ".all(x, ",
        ".map(x, ",
        ".filter(x, ",
        ".matches('",
        "has(",
        "'''",
        "\\u0000",
    )
    kinds: list[tuple[str, Callable[[], AbstractContextManager[Target]], tuple[str, ...], tuple[int, int]]] = [
        ("cel-plan", plan_conditions, VARIABLES, (10_000, 2_000)),
        ("cel-drill", drill_conditions, DRILL_VARIABLES, (6_000, 1_500)),
    ]
    return [
        Entry(name, opened, seeds, shaped(names), shares, (*names, *FUNCTIONS, *MACROS, *marks), longest=LONGEST)
        for name, opened, names, shares in kinds
    ]
