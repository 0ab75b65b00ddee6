"""A drill's file is read as strictly as a plan's: every mistake is one line that says where and what to write."""

from pathlib import Path

import pytest

from schemas.drill import DrillDocument
from schemas.vocabulary import MessageType, Severity, Status
from services.drills.scenario import Scenario, load_scenario, parse_scenario, report_of
from services.playbooks.directory import compile_directory, load_directory
from services.playbooks.plans import compile_plan, load_plans
from services.playbooks.problem import PlaybookError
from tests.domain.builders import START, make_id
from tests.playbooks.sample import directory, plan

PLAYBOOKS = Path(__file__).parents[2] / "playbooks"

DRILL = """\
id: flood-drill
version: 1
title: {en: Flood, zh: 洪水}
purpose: {en: Find out., zh: 检验。}
kind: {content: single-item, form: tabletop}
announced: false
plans: [river-flood]
speed: 60
duration: 30m
objectives:
  - id: quick
    title: {en: Quick, zh: 快}
    criterion: {segment: turnout, measure: share, within: 2m, at_least: 90, tasks: [close-road]}
participants:
  - department: default
    answer: {median: 30s, spread: 30s}
    start: {median: 1m, spread: 1m}
    work: {median: 5m, spread: 5m}
  - department: police
    declines: [close-road]
    declines_because: {en: No crew, zh: 无人}
    silent_on: [reopen]
  - department: traffic
    work: {median: 1m, spread: 0s}
    blocked: {task: close-road, obstacle: {en: A tree, zh: 树}, resolved_after: 2m}
injects:
  - id: water-rises
    at: 0s
    kind: incident
    title: {en: Water, zh: 水}
    expectation: {en: Orders, zh: 任务}
    report:
      categories: [Met]
      event: {en: Flood, zh: 洪水}
      headline: {en: Water over the road, zh: 水漫道路}
      severity: Severe
      areas: [{en: North Bank, zh: 北岸}]
  - id: worse
    at: 5m
    kind: update
    of: water-rises
    title: {en: Worse, zh: 加剧}
    expectation: {en: Level one, zh: 一级}
    report: {parameters: {depth: "3"}}
  - id: caller
    at: 6m
    kind: message
    of: water-rises
    title: {en: A call, zh: 来电}
    expectation: {en: Told on, zh: 转告}
    says: {en: The bridge shakes, zh: 桥在晃}
"""


def parse(text: str = DRILL) -> Scenario:
    return parse_scenario(text, "flood.yaml", [compile_plan(plan())], compile_directory(directory()))


def problems(text: str) -> list[str]:
    with pytest.raises(PlaybookError) as raised:
        parse(text)
    return [str(problem) for problem in raised.value.problems]


def test_the_shipped_drills_can_be_run() -> None:
    plans, departments = load_plans(PLAYBOOKS / "plans"), load_directory(PLAYBOOKS / "departments.yaml")
    files = sorted((PLAYBOOKS / "drills").iterdir())
    assert files
    for file in files:
        scenario = load_scenario(file, plans, departments)
        assert file.stem == scenario.document.id


def test_everybody_whom_the_plan_may_call_takes_part() -> None:
    participants = parse().participants
    assert list(participants) == ["fire", "police", "traffic", "water"]


def test_a_participant_has_the_defaults_paces_where_it_has_none_of_its_own() -> None:
    participants = parse().participants
    fire, traffic = participants["fire"], participants["traffic"]
    assert traffic.answer == fire.answer
    assert traffic.work != fire.work
    assert not fire.declines
    assert participants["police"].declines == ("close-road",)


def test_a_drill_reads_back_from_its_json_as_it_was() -> None:
    document = parse().document
    assert DrillDocument.model_validate_json(document.model_dump_json()) == document


def test_a_report_of_a_drill_is_an_exercise_and_says_so() -> None:
    document = parse().document
    first, update, message = (report_of(document, inject, make_id(1), START) for inject in document.injects)
    assert {report.status for report in (first, update, message)} == {Status.EXERCISE}
    assert first.message_type is MessageType.ALERT
    assert (update.message_type, message.message_type) == (MessageType.UPDATE, MessageType.UPDATE)
    assert first.headline == "EXERCISE: Water over the road"
    assert message.headline == "EXERCISE: The bridge shakes"
    assert (update.severity, update.parameters) == (Severity.UNKNOWN, {"depth": "3"})


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            "plans: [river-flood]",
            "plans: [river-flod]",
            'flood.yaml:7: plans[0]: unknown plan "river-flod"; did you mean "river-flood"?',
        ),
        ("duration: 30m", "duration: 30", 'flood.yaml:9: duration: "30" is not a duration; '),
        ("duration: 30m", "duration: 0s", "flood.yaml:9: duration: nothing can happen in no time; write a duration"),
        ("speed: 60", "speed: 5000", 'flood.yaml:8: speed: "5000" is too large; write at most 1000'),
        ("announced: false", "announced: no", 'flood.yaml:6: announced: "no" is not a yes-or-no value; write true'),
        ("content: single-item", "content: single", 'flood.yaml:5: kind.content: "single" is not a word Muster knows'),
        ("version: 1", "version: 1\nsped: 3", 'flood.yaml:3: sped: unknown key "sped"; did you mean "speed"?'),
        (
            "  - department: traffic",
            "  - department: trafic",
            'flood.yaml:23: participants[2].department: unknown department "trafic"; did you mean "traffic"?',
        ),
        (
            "  - department: traffic",
            "  - department: police",
            'flood.yaml:23: participants[2].department: "police" is used twice; keep one of them',
        ),
        (
            "declines: [close-road]",
            "declines: [close-rod]",
            'flood.yaml:20: participants[1].declines[0]: unknown task "close-rod"; did you mean "close-road"?',
        ),
        (
            "  - department: traffic",
            "  - department: fire",
            'flood.yaml:25: participants[2].blocked.task: "close-road" is never given to fire; it goes to police,',
        ),
        (
            "    declines_because: {en: No crew, zh: 无人}\n",
            "",
            "flood.yaml:19: participants[1]: declines_because: is missing; say why, in both languages",
        ),
        (
            "  - department: default",
            "  - department: water",
            'flood.yaml:14: participants: no participant "default"; write one; the others build on it',
        ),
        (
            "    start: {median: 1m, spread: 1m}\n",
            "",
            "flood.yaml:15: participants[0]: start: is missing; the default needs all three paces",
        ),
        (
            "tasks: [close-road]",
            "tasks: [closed-road]",
            'flood.yaml:13: objectives[0].criterion.tasks[0]: unknown task "closed-road"; did you mean "close-road"?',
        ),
        (
            ", at_least: 90",
            "",
            "flood.yaml:13: objectives[0].criterion: at_least: is missing; write the percentage, like `at_least: 90`",
        ),
        (
            "measure: share",
            "measure: p90",
            "flood.yaml:13: objectives[0].criterion.at_least: does not belong to p90; delete it, or write",
        ),
        ("at: 5m", "at: 30m", "flood.yaml:39: injects[1].at: comes after ENDEX; play it earlier, or raise `duration`"),
        (
            "    of: water-rises\n    title: {en: Worse",
            "    of: water-rise\n    title: {en: Worse",
            'flood.yaml:41: injects[1].of: no incident "water-rise" is opened before it; did you mean "water-rises"?',
        ),
        (
            "    of: water-rises\n    title: {en: Worse",
            "    title: {en: Worse",
            "flood.yaml:38: injects[1]: of: is missing from this update inject; write `of:` here",
        ),
        (
            "    at: 0s\n",
            "    at: 10m\n",
            'flood.yaml:39: injects[1].at: comes before "water-rises", which it is of; play it later',
        ),
        (
            "    says: {en: The bridge shakes, zh: 桥在晃}\n",
            "    says: {en: The bridge shakes, zh: 桥在晃}\n    report: {severity: Minor}\n",
            "flood.yaml:52: injects[2].report: does not belong to a message inject; delete it",
        ),
        (
            "      categories: [Met]\n",
            "",
            "flood.yaml:32: injects[0].report: categories: is missing; write `categories: [...]` here",
        ),
        (
            "      categories: [Met]\n",
            "      categories: [Fire]\n",
            'flood.yaml:7: plans[0]: no inject starts "river-flood"; the incidents start no plan; change their report',
        ),
        ("zh: 桥在晃}", "}", "flood.yaml:51: injects[2].says.zh: is missing; write `zh:` here"),
    ],
)
def test_a_mistake_is_one_line_that_says_where_and_what_to_write(before: str, after: str, said: str) -> None:
    assert DRILL.count(before) == 1, before
    found = problems(DRILL.replace(before, after))
    assert any(problem.startswith(said) for problem in found), "\n".join(found)
    assert all("\n" not in problem for problem in found)


def test_a_drill_without_an_incident_is_refused() -> None:
    injects = DRILL.index("injects:")
    worse = DRILL.index("  - id: worse")
    assert any(
        "no inject opens an incident" in problem for problem in problems(DRILL[:injects] + "injects:\n" + DRILL[worse:])
    )


def test_every_mistake_of_a_file_is_told_at_once() -> None:
    text = (
        DRILL.replace("plans: [river-flood]", "plans: [x]")
        .replace("at: 5m", "at: 31m")
        .replace("t: police", "t: polce")
    )
    assert len(problems(text)) == 3
