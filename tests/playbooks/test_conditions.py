"""A condition reads the incident, and what can't be decided is said, not guessed."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import cel
import pytest

from schemas.incident import AlertIdentity, Area, IncidentReport
from schemas.vocabulary import Category, Certainty, MessageType, Severity, Status, Urgency
from services.domain.plan import ConditionError
from services.playbooks import conditions
from services.playbooks.cel_source import SourceError
from services.playbooks.conditions import VARIABLES, compile_condition, variables, variables_of

NOW = datetime(2026, 6, 1, 23, 30, tzinfo=UTC)
BARE = IncidentReport(
    incident_id=UUID("00000000-0000-7000-8000-000000000001"),
    status=Status.EXERCISE,
    message_type=MessageType.ALERT,
    reported_at=NOW,
    reported_by="desk",
)
FULL = BARE.model_copy(
    update={
        "event": "Flood",
        "categories": (Category.MET, Category.GEO),
        "severity": Severity.EXTREME,
        "urgency": Urgency.EXPECTED,
        "certainty": Certainty.UNLIKELY,
        "headline": "River rises",
        "description": "Fast",
        "areas": (
            Area(description="North Bank", geocodes={"SAME": ("006037", "006038")}),
            Area(description="South Bank", geocodes={"UGC": ("CAZ041",)}),
        ),
        "event_codes": {"SAME": ("FFW",), "local": ("F1",)},
        "parameters": {"depth": 2.5, "rain": "31.0", "code": "006037", "gauge": "broken", "bad": float("nan")},
        "reported_at": NOW.astimezone(timezone(timedelta(hours=8))),
        "alert": AlertIdentity(sender="weather@example", identifier="1", sent=NOW),
    }
)


def holds(source: str, report: IncidentReport = FULL, level: str | None = None) -> bool:
    return compile_condition(source).holds(report, level)


def refused(source: str) -> tuple[str, str]:
    with pytest.raises(SourceError) as caught:
        compile_condition(source)
    return caught.value.message, caught.value.mend


@pytest.mark.parametrize(
    ("name", "bare", "full"),
    [
        ("event", "", "Flood"),
        ("categories", [], ["Met", "Geo"]),
        ("severity", "Unknown", "Extreme"),
        ("urgency", "Unknown", "Expected"),
        ("certainty", "Unknown", "Unlikely"),
        ("severity_rank", 0, 4),
        ("urgency_rank", 0, 3),
        ("certainty_rank", 0, 1),
        ("headline", "", "River rises"),
        ("description", "", "Fast"),
        ("areas", [], ["North Bank", "South Bank"]),
        ("geocodes", [], ["006037", "006038", "CAZ041"]),
        ("event_codes", [], ["FFW", "F1"]),
        ("parameters", {}, {"depth": 2.5, "rain": 31.0, "code": "006037", "gauge": "broken"}),
        ("sender", "desk", "weather@example"),
        ("hour", 23, 7),
        ("level", "", "II"),
    ],
)
def test_each_variable_has_its_value_when_reported_and_when_not(name: str, bare: Any, full: Any) -> None:
    assert variables(BARE, None)[name] == bare
    assert variables(FULL, "II")[name] == full


def test_the_documented_names_are_the_ones_that_can_be_read() -> None:
    table = [line.split()[0] for line in str(conditions.__doc__).splitlines() if "  " in line and line[0].islower()]
    assert table[1:] == list(VARIABLES)
    assert set(variables(FULL, None)) == set(VARIABLES)


@pytest.mark.parametrize("words", [Severity, Urgency, Certainty])
def test_ranks_fall_from_four_to_zero(words: type[Severity] | type[Urgency] | type[Certainty]) -> None:
    field = words.__name__.lower()
    ranks = [variables(BARE.model_copy(update={field: word}), None)[f"{field}_rank"] for word in words]
    assert ranks == [4, 3, 2, 1, 0]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('event == "Flood" && severity_rank >= 3', True),
        ('"Fire" in categories', False),
        ('geocodes.exists(code, code.startsWith("0060"))', True),
        ('areas.exists(a, categories.exists(c, c == "Met") && a == "North Bank")', True),
        ("parameters.depth > 2 && parameters.rain > 30.5", True),
        ('parameters["code"] == "006037"', True),
        ("has(parameters.wind) && parameters.wind > 20", False),
        ('headline.matches("(?i)RIVER")', True),
        ('level == "I" || hour < 8', True),
        ('level == ""', True),
        ('severity in ["Severe", "Extreme"]', True),
        ("// at night\nhour >= 22 || hour < 8", True),
    ],
)
def test_conditions_decide(source: str, expected: bool) -> None:
    assert holds(source) is expected


def test_a_missing_parameter_is_named() -> None:
    with pytest.raises(ConditionError) as caught:
        holds("parameters.wind > 20")
    assert (
        str(caught.value) == 'the condition `parameters.wind > 20` can\'t be decided: parameter "wind" was not reported'
    )


def test_a_value_that_is_no_number_counts_as_not_reported() -> None:
    with pytest.raises(ConditionError, match='parameter "bad" was not reported'):
        holds("parameters.bad > 1")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("parameters.gauge > 2", "it mixes kinds of values, as in comparing text with a number"),
        ('areas[7] == "x"', "it reads an item that its list doesn't have"),
        ("hour / (hour - 7) > 1", "it divides by zero"),
        ("parameters.depth > 2 ? parameters.gauge : true", "gives a value of kind str, not true or false"),
    ],
)
def test_what_cannot_be_decided_for_an_incident_is_an_error(source: str, reason: str) -> None:
    with pytest.raises(ConditionError) as caught:
        holds(source)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("source", "message", "mend"),
    [
        ("hour", "the condition `hour` gives a value of kind int, not true or false",
         "compare like with like; the whole must be true or false"),
        ('hour > "x"', "hour > \"x\"` can't be decided: it mixes kinds of values", "compare like with like"),
        ("severty == 'x'", 'unknown variable "severty"', 'did you mean "severity"?'),
        ("magnitude > 5", 'unknown variable "magnitude"',
         'for something the sender measured, write parameters["magnitude"]'),
        ("c == 1 && categories.exists(c, true)", 'unknown variable "c"', ""),
        ("true || severty == 'x'", 'unknown variable "severty"', 'did you mean "severity"?'),
        ("event.contain('x')", 'unknown function "contain"', 'did you mean "contains"?'),
        ("event.lowerAscii() == 'x'", 'unknown function "lowerAscii"',
         'to ignore letter case, write matches("(?i)...")'),
        ("hour > 2 and hour < 5", "the condition can't be read at character 10: mismatched input 'and'",
         "write && instead of and"),
        ("hour = 2", "the condition can't be read at character 6: token recognition error", "write == to compare"),
        ("hour == True", 'unknown variable "True"', "write true"),
        ("((hour > 2)", "the condition can't be read at character 12", ""),
        ('event.matches("[")', "the pattern is not a regular expression: unclosed character class", "mend the pattern"),
        ("event.matches(headline)", "matches needs its pattern written out",
         'write matches("...") with one quoted pattern'),
        (f'event.matches("{"a" * 99}")', "a pattern is longer than 100 characters",
         "use contains, or split the condition"),
        (r'event.matches("\\w{50}")', "a pattern counts repetitions with {n}, which is expensive",
         "repeat the character, or use +"),
        ("(" * 31 + "true" + ")" * 31, "brackets are nested more than 30 deep", "write it flatter"),
        ("size(" + "[" * 31 + "]" * 31 + ") > 0", "brackets are nested more than 30 deep", "write it flatter"),
        ("areas.exists(a, geocodes.exists(g, event_codes.exists(e, e == a)))",
         "comprehensions are nested more than 2 deep", "split the condition"),
        ('severity == "severe"', 'severity is never "severe"', 'did you mean "Severe"?'),
        ('"Likly" != certainty', 'certainty is never "Likly"', 'did you mean "Likely"?'),
        ('urgency in ["Immediate", "Now"]', 'urgency is never "Now"', ""),
        ('"Fier" in categories', 'categories is never "Fier"', 'did you mean "Fire"?'),
        ('categories == "Fire"', "categories is a list, and is never equal to a text", 'write "Fire" in categories'),
        ('hour == "7"', "hour is a number, and is never equal to a text", "write it without quotes"),
    ],
)  # fmt: skip
def test_a_wrong_condition_is_found_at_load(source: str, message: str, mend: str) -> None:
    found, advice = refused(source)
    assert message in found
    assert mend in advice


def test_bounds_are_reached_but_not_passed() -> None:
    assert holds("(" * 30 + "true" + ")" * 30)
    assert holds('"(((((((((((((((((((((((((((((((" != event'), "brackets in a text don't count"
    assert not holds("areas.exists(a, geocodes.exists(g, g == a)) && areas.exists(a, geocodes.exists(g, g == a))")


def test_a_parameter_may_be_number_or_text_so_one_mix_that_works_is_enough() -> None:
    condition = compile_condition('parameters.rain > 30 && parameters.gauge.contains("broken")')
    assert condition.holds(FULL, None)


def test_a_panic_of_the_compiler_is_a_mistake_in_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        pass

    def panic(_source: str) -> None:
        raise PanicException("index out of range")

    monkeypatch.setattr(cel, "compile", panic)
    assert refused("true") == ("the condition can't be read", "")


def test_an_interrupt_is_not_taken_for_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_source: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cel, "compile", interrupt)
    with pytest.raises(KeyboardInterrupt):
        compile_condition("true")


def test_one_context_serves_all_conditions_of_an_incident(monkeypatch: pytest.MonkeyPatch) -> None:
    built = []

    def counted(report: IncidentReport, level: str | None) -> dict[str, Any]:
        built.append(level)
        return variables(report, level)

    compiled = [compile_condition(f"hour == {hour}") for hour in range(24)]
    monkeypatch.setattr(conditions, "variables", counted)
    report = FULL.model_copy()
    assert sum(condition.holds(report, None) for condition in compiled) == 1
    assert built == [None]
    assert sum(condition.holds(report, "I") for condition in compiled) == 1
    assert built == [None, "I"]


async def test_incidents_decided_side_by_side_keep_their_own_values() -> None:
    condition = compile_condition('level == "I" && parameters.depth > 2')
    shallow = FULL.model_copy(update={"parameters": {"depth": 1.0}})

    async def decide(report: IncidentReport, level: str) -> list[bool]:
        results = []
        for _ in range(50):
            results.append(condition.holds(report, level))
            await asyncio.sleep(0)
        return results

    found = await asyncio.gather(decide(FULL, "I"), decide(shallow, "I"), decide(FULL, "II"))
    assert list(found) == [[True] * 50, [False] * 50, [False] * 50]


def test_threads_keep_their_own_values() -> None:
    condition = compile_condition('level == "I"')
    wrong: list[str] = []

    def decide(level: str) -> None:
        wrong.extend(level for _ in range(300) if condition.holds(FULL, level) is not (level == "I"))

    threads = [threading.Thread(target=decide, args=(level,)) for level in ("I", "II", "III")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_conditions_of_the_same_source_are_equal() -> None:
    assert compile_condition("hour > 3") == compile_condition("hour > 3")
    assert compile_condition("hour > 3") != compile_condition("hour > 4")


def test_variables_of_leaves_out_members_functions_and_bound_names() -> None:
    source = 'size(event) > 3 && parameters.hour > 1 && areas.exists(level, level == "x") && "urgency" != sender'
    assert variables_of(source) == {"event", "parameters", "areas", "sender"}
