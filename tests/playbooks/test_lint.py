"""Each lint rule fires on the smallest plan that breaks it, and the good plan breaks none."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from schemas.plan import DirectoryDocument, PlanDocument
from services.playbooks.lint import lint
from services.playbooks.plans import parse_plan
from services.playbooks.problem import Gravity
from services.playbooks.rules.cycles import find_cycles
from tests.playbooks.sample import PLAN, TODAY, changed, directory, line_of, plan, rewritten

Tree = dict[str, Any]
ERROR, WARNING = Gravity.ERROR, Gravity.WARNING


def text(en: str = "Words", zh: str = "文字") -> dict[str, str]:
    return {"en": en, "zh": zh}


def task(name: str, **more: Any) -> Tree:
    given = {"id": name, "role": "cordon", "title": text(), "done_when": text(), "deadlines": {"acknowledge": "5m"}}
    return {**given, **more}


def put(*path: str | int, value: Any) -> Callable[[Tree], None]:
    """Make a change that sets one value."""

    def change(tree: Any) -> None:
        for step in path[:-1]:
            tree = tree[step]
        tree[path[-1]] = value

    return change


def append(name: str, item: Tree) -> Callable[[Tree], None]:
    """Make a change that adds an item to a list at the top."""

    def change(tree: Tree) -> None:
        tree[name] = [*tree[name], item]

    return change


def found(document: PlanDocument, *others: PlanDocument, today: date = TODAY) -> list[tuple[Gravity, str, str, str]]:
    problems = lint([document, *others], directory(), today)
    return [(problem.severity, problem.path, problem.message, problem.mend) for problem in problems]


def test_the_good_plan_has_no_problem() -> None:
    assert found(plan()) == []


RULES: list[tuple[Callable[[Tree], object], Gravity, str, str]] = [
    (put("owner", value="watter"), ERROR, "owner", 'unknown department "watter"'),
    (put("roles", 0, "department", value="polis"), ERROR, "roles[0].department", 'unknown department "polis"'),
    (put("roles", 0, "deputies", value=["trafic"]), ERROR, "roles[0].deputies[0]", 'unknown department "trafic"'),
    (put("roles", 1, "quota", "any_of", value=["fire", "water", "navy"]), ERROR, "roles[1].quota.any_of[2]",
     'unknown department "navy"'),
    (put("tasks", 1, "role", value="cordn"), ERROR, "tasks[1].role", 'unknown role "cordn"'),
    (put("stand_down", 0, "role", value="cordn"), ERROR, "stand_down[0].role", 'unknown role "cordn"'),
    (put("reports", 0, "role", value="cordn"), ERROR, "reports[0].role", 'unknown role "cordn"'),
    (put("reports", 0, "role", value="boats"), ERROR, "reports[0].role",
     'nobody in particular answers for this report: role "boats" has no department'),
    (put("tasks", 1, "after", value=["wach"]), ERROR, "tasks[1].after[0]", 'unknown task "wach"'),
    (put("tasks", 1, "levels", value=["III"]), ERROR, "tasks[1].levels[0]", 'unknown level "III"'),
    (put("reports", 0, "levels", value=["III"]), ERROR, "reports[0].levels[0]", 'unknown level "III"'),
    (put("tasks", 1, "levels", value=[]), ERROR, "tasks[1].levels", '"close-road" is issued at no level'),
    (put("tasks", 1, "levels", value=["I", "I"]), ERROR, "tasks[1].levels[1]", 'level "I" is written twice'),
    (append("calls", {"plan": "earthquake"}), ERROR, "calls[0].plan", 'unknown plan "earthquake"'),
    (append("calls", {"plan": "river-flood"}), ERROR, "calls", "plans call each other: river-flood -> river-flood"),
    (append("roles", {"id": "spare", "title": text(), "department": "fire"}), WARNING, "roles[2]",
     'role "spare" is used by no task'),
    (put("tasks", 0, "after", value=["close-road"]), ERROR, "tasks[0].after",
     "tasks wait for each other: watch -> close-road -> watch"),
    (put("tasks", 1, "after", value=["close-road"]), ERROR, "tasks[1].after",
     "tasks wait for each other: close-road -> close-road"),
    (put("tasks", 0, "levels", value=["standby", "I"]), ERROR, "tasks[1].after[0]",
     'waits for "watch", which is not issued at II'),
    (append("tasks", task("early", levels=["standby"], after=["county-report"])), ERROR, "tasks[2].after[0]",
     'waits for "county-report", which is not issued at standby'),
    (put("stand_down", 0, "after", value=["watch"]), ERROR, "stand_down[0].after[0]",
     'a stand-down task can\'t wait for "watch", which may never be done'),
    (put("tasks", 1, "after", value=["reopen"]), ERROR, "tasks[1].after[0]",
     '"reopen" is done at stand-down only, so this task would never start'),
    (put("roles", 1, "quota", "needed", value=4), ERROR, "roles[1].quota.needed",
     "4 are needed, but only 3 can be called"),
    (put("roles", 1, "quota", "any_of", value=["fire", "water", "fire"]), ERROR, "roles[1].quota.any_of[2]",
     '"fire" is written twice'),
    (put("roles", 1, "deputies", value=["police"]), ERROR, "roles[1].deputies",
     "a quota has no deputies: it calls the next by itself"),
    (put("roles", 0, "deputies", value=["police"]), ERROR, "roles[0].deputies[0]", '"police" is its own deputy'),
    (put("roles", 0, "deputies", value=["traffic", "traffic"]), ERROR, "roles[0].deputies[1]",
     'deputy "traffic" is written twice'),
    (put("roles", 0, "department", value=None), ERROR, "roles[0]", 'nobody fills role "cordon"'),
    (put("roles", 1, "department", value="fire"), ERROR, "roles[1]", 'role "boats" has a department and a quota'),
    (put("roles", 1, "id", value="cordon"), ERROR, "roles[1].id", 'role "cordon" is written twice'),
    (put("tasks", 1, "id", value="watch"), ERROR, "tasks[1].id", 'task "watch" is written twice'),
    (put("reports", 0, "id", value="watch"), ERROR, "reports[0].id", 'task "watch" is written twice'),
    (put("stand_down", 0, "id", value="watch"), ERROR, "stand_down[0].id", 'task "watch" is written twice'),
    (put("levels", 1, "id", value="I"), ERROR, "levels[1].id", 'level "I" is written twice'),
    (put("calls", value=[{"plan": "x"}, {"plan": "x"}]), ERROR, "calls[1].plan", 'call "x" is written twice'),
    (put("levels", 1, "when", value="hour > 3"), ERROR, "levels[1].when",
     'the last level "II" has a condition, so an incident could fit no level'),
    (put("levels", 0, "when", value=None), ERROR, "levels[0]",
     'level "I" always holds, so no level below it is ever chosen'),
    (put("levels", 0, "id", value="standby"), ERROR, "levels[0].id", '"standby" is the standby state, not a level'),
    (put("levels", 0, "when", value='severity == "Extreme" || severity_rank > 2'), ERROR, "levels[0].when",
     "a level is a response decision, never derived from severity alone"),
    (put("levels", 0, "when", value="true"), ERROR, "levels[0].when",
     "the condition reads nothing from the incident, so it never changes"),
    (put("levels", 0, "when", value="dpth > 3"), ERROR, "levels[0].when", 'unknown variable "dpth"'),
    (put("match", "when", value="hour"), ERROR, "match.when",
     "the condition `hour` gives a value of kind int, not true or false"),
    (put("tasks", 1, "when", value='level == "III"'), ERROR, "tasks[1].when", 'the plan has no level "III"'),
    (put("tasks", 1, "deadlines", "acknowledge", value="11m"), ERROR, "tasks[1].deadlines.start",
     "start is due before acknowledge"),
    (put("tasks", 1, "deadlines", "complete", value="9m"), ERROR, "tasks[1].deadlines.complete",
     "complete is due before start"),
    (put("tasks", 1, "deadlines", value={"acknowledge": "5m", "complete": "4m"}), ERROR,
     "tasks[1].deadlines.complete", "complete is due before acknowledge"),
    (put("tasks", 1, "deadlines", "acknowledge", value="0s"), ERROR, "tasks[1].deadlines.acknowledge",
     "the time is zero"),
    (put("reports", 0, "within", value="0s"), ERROR, "reports[0].within", "the time is zero"),
    (put("escalation", value=[{"step": "remind", "wait": "1m"}]), ERROR, "escalation[0]",
     "the ladder ends before it reaches a duty officer"),
    (put("stand_down", 0, "escalation", value=[]), ERROR, "stand_down[0].escalation",
     "the ladder ends before it reaches a duty officer"),
    (put("activation", "confirm_within", value=None), ERROR, "activation",
     "mode confirm has no time limit for the decision"),
    (put("activation", "mode", value="automatic"), WARNING, "activation.confirm_within",
     "confirm_within has no effect in mode automatic"),
    (put("review_by", value="2026-05-31"), WARNING, "review_by", "the review was due on 2026-05-31"),
    (put("title", value=text("洪水", "洪水")), WARNING, "title", "en and zh are the same: not translated"),
    (put("title", value=text("Flood", "Flood")), ERROR, "title.zh", "is the English text: not translated"),
    (put("tasks", 0, "done_when", value=text("Done", "ok")), ERROR, "tasks[0].done_when.zh",
     "has no Chinese character: not translated"),
    (put("tasks", 0, "title", value=text("Watch 水位", "监测水位")), WARNING, "tasks[0].title.en",
     'the English text contains "水"'),
    (put("tasks", 0, "title", value=text("Watch，then act", "监测水位")), WARNING, "tasks[0].title.en",
     'the English text contains "，"'),
]  # fmt: skip


@pytest.mark.parametrize(("change", "severity", "path", "message"), RULES, ids=[rule[3][:50] for rule in RULES])
def test_a_rule_fires_on_the_smallest_plan_that_breaks_it(
    change: Callable[[Tree], object], severity: Gravity, path: str, message: str
) -> None:
    assert (severity, path, message) in [problem[:3] for problem in found(changed(change))]


def test_a_mistake_is_reported_once() -> None:
    once = [rule for rule in RULES if rule[3].startswith(("unknown dep", "start is", "the ladder", "deputy", "en and"))]
    assert len(once) >= 8
    for change, *_ in once:
        assert len(found(changed(change))) == 1


def test_mode_standby_needs_a_task_at_standby() -> None:
    def standby(tree: Tree) -> None:
        tree["activation"] = {"mode": "standby"}

    def nothing_to_do(tree: Tree) -> None:
        standby(tree)
        tree["tasks"][0]["levels"] = None

    assert found(changed(standby)) == []
    expected = (ERROR, "activation.mode", "mode standby has no task to do", "give a task `levels: [standby]`")
    assert expected in found(changed(nothing_to_do))


def test_an_unknown_name_is_answered_with_the_nearest_one() -> None:
    mends = {message: mend for *_, message, mend in found(changed(put("roles", 0, "department", value="polis")))}
    assert mends == {'unknown department "polis"': 'did you mean "police"?'}


def test_plans_that_call_each_other_are_reported_once_and_calls_that_end_are_fine() -> None:
    first = changed(append("calls", {"plan": "second"}))
    second = changed(put("id", value="second"))
    assert found(first, second) == []
    back = second.model_copy(update={"calls": changed(append("calls", {"plan": "river-flood"})).calls})
    assert [message for *_, message, _ in found(first, back)] == [
        "plans call each other: river-flood -> second -> river-flood"
    ]


def test_two_plans_of_one_id_are_refused() -> None:
    assert [message for *_, message, _ in found(plan(), plan())] == ['plan "river-flood" is already in river-flood']


def test_a_review_due_today_is_not_late() -> None:
    assert found(plan(), today=plan().review_by) == []


def test_the_directory_is_linted_with_the_plans() -> None:
    tree = directory().model_dump(mode="json")
    tree["departments"][1]["id"] = "police"
    tree["departments"][2]["deputy"]["department"] = "navy"
    tree["departments"][3]["title"]["zh"] = "Traffic"
    tree["duty_officer"] = "nobody"
    problems = lint([], DirectoryDocument.model_validate(tree), TODAY)
    assert {(problem.path, problem.message) for problem in problems} >= {
        ("departments[1].id", 'department "police" is written twice'),
        ("departments[2].deputy.department", 'unknown department "navy"'),
        ("departments[3].title.zh", "has no Chinese character: not translated"),
        ("duty_officer", 'unknown department "nobody"'),
    }


def test_a_problem_points_at_the_line_in_the_file() -> None:
    document, source = parse_plan(rewritten("deputies: [traffic]", "deputies: [trafic]"), "plans/p.yaml")
    (problem,) = lint([document], directory(), TODAY, [source])
    line = line_of("deputies: [traffic]")
    said = f'plans/p.yaml:{line}: roles[0].deputies[0]: unknown department "trafic"; did you mean "traffic"?'
    assert str(problem) == said


def test_a_warning_says_that_it_is_one() -> None:
    document, source = parse_plan(PLAN, "p.yaml")
    (problem,) = lint([document], directory(), date(2028, 1, 1), [source])
    line = line_of("review_by")
    assert str(problem) == f"p.yaml:{line}: warning: review_by: the review was due on 2027-03-31; review the plan"


@pytest.mark.parametrize(
    ("edges", "cycles"),
    [
        ({}, []),
        ({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}, []),
        ({"a": ["gone"]}, []),
        ({"a": ["a"]}, [("a",)]),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, [("b", "c")]),
        ({"c": ["a"], "a": ["b"], "b": ["c"]}, [("c", "a", "b")]),
        ({"a": ["b"], "b": ["a"], "x": ["y"], "y": ["x"]}, [("a", "b"), ("x", "y")]),
        ({f"n{i}": [f"n{i + 1}"] for i in range(5_000)}, []),
    ],
)
def test_cycles_are_found_and_only_cycles(edges: dict[str, list[str]], cycles: list[tuple[str, ...]]) -> None:
    assert find_cycles(edges) == cycles
