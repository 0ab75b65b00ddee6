"""A drill's file is read as strictly as a plan's: every mistake is one line that says where and what to write."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas.drill import DrillDocument, DutyOfficer, InjectKind
from schemas.vocabulary import MessageType, Severity, Status
from services.drills.scenario import Scenario, load_scenario, parse_scenario, report_of, zone_of
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
  - id: decided
    at: 30s
    kind: confirm
    of: water-rises
    plan: river-flood
    because: {en: The water is over the road, zh: 水已漫路}
    title: {en: Confirmed, zh: 已确认}
    expectation: {en: Orders go out, zh: 下达任务}
    within: 2m
    met_when: tasks["watch"].orders >= 1
"""
"""Line numbers in the tests below are this text's."""

INJECT = """\
  - id: extra
    at: 7m
    kind: {kind}
    title: {{en: More, zh: 更多}}
    expectation: {{en: Coped with, zh: 应对}}
"""


def parse(text: str = DRILL, models: Path | None = None) -> Scenario:
    plans = [compile_plan(plan())]
    return parse_scenario(text, "flood.yaml", plans, compile_directory(directory()), models=models)


def with_inject(kind: str, *lines: str) -> str:
    """The drill with one more inject at its end."""
    return DRILL + INJECT.format(kind=kind) + "".join(f"    {line}\n" for line in lines)


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
    first, update, message = (report_of(document, inject, make_id(1), START) for inject in document.injects[:3])
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


@pytest.mark.parametrize(
    ("kind", "lines", "said"),
    [
        (
            "department_silent",
            (),
            "injects[4]: department: is missing from this department_silent inject; write `department:` here",
        ),
        (
            "department_silent",
            ("department: polise",),
            'injects[4].department: unknown department "polise"; did you mean "police"?',
        ),
        (
            "department_silent",
            ("department: police", "tasks: [watch]"),
            'injects[4].tasks[0]: "watch" is never given to police; it goes to fire, traffic, water',
        ),
        (
            "department_silent",
            ("department: police", "service: dispatch"),
            "injects[4].service: does not belong to a department_silent inject; delete it",
        ),
        (
            "department_declines",
            ("department: police",),
            "injects[4]: because: is missing from this department_declines inject; write `because:` here",
        ),
        (
            "obstacle",
            ("department: police", "task: close-raod", "says: {en: A tree, zh: 树}", "lasts: 5m"),
            'injects[4].task: unknown task "close-raod"; did you mean "close-road"?',
        ),
        (
            "consumer_outage",
            ("department: police", "lasts: 25m"),
            "injects[4].lasts: is over only after ENDEX; play it earlier, make it shorter, or raise `duration`",
        ),
        (
            "consumer_outage",
            ("department: police", "lasts: 0s"),
            "injects[4].lasts: nothing happens in no time; write a duration like 5m",
        ),
        (
            "service_loss",
            ("service: dispach", "lasts: 1m"),
            'injects[4].service: "dispach" is not a word Muster knows here; did you mean "dispatch"?',
        ),
        (
            "confirm",
            ("of: water-rises", "plan: river-flod", "because: {en: So, zh: 因此}"),
            'injects[4].plan: unknown plan "river-flod"; did you mean "river-flood"?',
        ),
        (
            "level",
            ("of: water-rises", "level: III", "because: {en: So, zh: 因此}"),
            'injects[4].level: unknown level "III"; write one of: I, II',
        ),
        (
            "level",
            ("of: water-raises", "level: I", "because: {en: So, zh: 因此}"),
            'injects[4].of: no incident "water-raises" is opened before it; did you mean "water-rises"?',
        ),
        (
            "message",
            ("of: water-rises", "says: {en: So, zh: 因此}", "within: 24m"),
            "injects[4].within: is over only after ENDEX; write at most 23m, or play it earlier",
        ),
        (
            "message",
            ("of: water-rises", "says: {en: So, zh: 因此}", 'met_when: tasks["wach"].orders > 0'),
            'injects[4].met_when: unknown task "wach"; did you mean "watch"?',
        ),
        (
            "message",
            ("of: water-rises", "says: {en: So, zh: 因此}", 'met_when: tasks["watch"].order > 0'),
            'injects[4].met_when: nothing is counted as "order"; did you mean "orders"?',
        ),
        (
            "message",
            ("of: water-rises", "says: {en: So, zh: 因此}", "when: elapsd > 60"),
            'injects[4].when: unknown variable "elapsd"; did you mean "elapsed"?',
        ),
        (
            "message",
            ("of: water-rises", "says: {en: So, zh: 因此}", "when: elapsed"),
            "injects[4].when: the condition `elapsed` gives a value of kind int, not true or false; compare like with",
        ),
        (
            "message",
            ("of: water-rises", "says: {en: So, zh: 因此}", "manual: true", "when: elapsed > 60"),
            "injects[4].when: does not belong to a manual inject; delete it, or `manual: true`",
        ),
    ],
)
def test_a_mistake_in_an_inject_is_one_line(kind: str, lines: tuple[str, ...], said: str) -> None:
    found = problems(with_inject(kind, *lines))
    assert any(problem.split(": ", 1)[1].startswith(said) for problem in found), "\n".join(found)
    assert all("\n" not in problem for problem in found)


def test_a_plan_that_must_be_confirmed_needs_somebody_who_confirms() -> None:
    silent = DRILL[: DRILL.index("  - id: decided")]
    (found,) = problems(silent)
    assert found.startswith('flood.yaml:7: plans[0]: "river-flood" must be confirmed, and nobody does; add an inject')
    assert parse(silent + "duty_officer: real\n").document.duty_officer is DutyOfficer.REAL
    both = problems(DRILL + "duty_officer: real\n")
    assert [problem.partition("kind: ")[2][:43] for problem in both] == ["is decided by the duty officer, who is real"]


def test_a_plan_that_no_inject_starts_is_not_exercised() -> None:
    wrong = DRILL.replace("categories: [Met]", "categories: [Fire]")
    assert parse(wrong), "the duty officer may put a plan into force that nothing matches"
    assert problems(wrong[: wrong.index("  - id: decided")]) == [
        'flood.yaml:7: plans[0]: no inject starts "river-flood"; the incidents start no plan; change their report'
    ]


def test_an_inject_says_when_it_is_played() -> None:
    untimed = DRILL.replace("    at: 30s\n", "")
    assert problems(untimed) == [
        "flood.yaml:52: injects[3]: at: is missing; write `at:`, a condition as `when:`, or `manual: true`"
    ]
    assert parse(untimed + "    manual: true\n").document.injects[3].manual


def test_what_is_about_an_incident_that_may_never_come_has_no_fixed_time() -> None:
    text = DRILL.replace("    at: 0s\n", "    manual: true\n")
    assert any('"water-rises" may come later than that, or never; write `when: ' in each for each in problems(text))


def test_a_service_is_not_lost_twice_at_once() -> None:
    loss = ("service: dispatch", "lasts: 5m")
    again = with_inject("service_loss", *loss) + INJECT.format(kind="service_loss").replace("extra", "again")
    again += "".join(f"    {line}\n" for line in loss)
    assert any("dispatch is lost already at that time; play it after 12m" in each for each in problems(again))


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("mode: mixed", "participants[3]: simulates: is missing; list the tasks that are simulated, or"),
        ("simulates: [watch]", "participants[3].simulates: does not belong to a simulated department; write"),
        ("mode: mixed\n    simulates: [wach]", 'participants[3].simulates[0]: unknown task "wach"; did you mean'),
        ("mode: real\n    silent: true", "participants[3].silent: does not belong to a real department; delete it"),
        ("stand_in: true", "participants[3].stand_in: stands in for nobody: the department is simulated"),
        ("model: boon", 'participants[3].model: unknown response model "boon"; fit one with'),
        ("mode: reel", 'participants[3].mode: "reel" is not a word Muster knows here; did you mean "real"?'),
    ],
)
def test_a_mistake_about_who_answers_is_one_line(rule: str, said: str) -> None:
    found = problems(DRILL.replace("injects:\n", f"  - department: water\n    {rule}\ninjects:\n"))
    assert any(problem.split(": ", 1)[1].startswith(said) for problem in found), "\n".join(found)


def test_only_a_simulation_can_be_told_how_to_behave() -> None:
    real = DRILL.replace("injects:\n", "  - department: water\n    mode: real\ninjects:\n")
    inject = INJECT.format(kind="department_silent") + "    department: water\n"
    assert any("water is real: it does what it does; tell its people" in each for each in problems(real + inject))
    mixed = real.replace("mode: real", "mode: mixed\n    simulates: [watch]")
    assert any("water is simulated only in watch; name those tasks" in each for each in problems(mixed + inject))
    assert parse(mixed + inject + "    tasks: [watch]\n").awaited == ("water",)


def test_reports_are_told_in_the_local_time_of_the_scenario() -> None:
    startex = datetime(2026, 5, 4, 13, 37, tzinfo=UTC)
    assert zone_of(parse().document, startex) == UTC
    for shown in ("02:40", "13:37", "23:05"):
        document = parse(DRILL + f'local_time: "{shown}"\n').document
        assert f"{startex.astimezone(zone_of(document, startex)):%H:%M}" == shown


def test_the_shipped_drills_are_told_in_both_languages_and_most_injects_can_be_judged() -> None:
    plans, departments = load_plans(PLAYBOOKS / "plans"), load_directory(PLAYBOOKS / "departments.yaml")
    scenarios = [load_scenario(file, plans, departments) for file in sorted((PLAYBOOKS / "drills").iterdir())]
    assert len(scenarios) >= 5
    kinds = {inject.kind for scenario in scenarios for inject in scenario.document.injects}
    assert kinds == set(InjectKind), "each kind is shown by a shipped drill"
    assert {scenario.document.announced for scenario in scenarios} == {True, False}
    for scenario in scenarios:
        assert scenario.met_when, scenario.document.id
        wall = scenario.document.duration.total_seconds() / scenario.document.speed
        assert wall <= 45, f"{scenario.document.id} takes {wall} s"
