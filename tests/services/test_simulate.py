"""The simulator plays the engine that decides live, the same for the same seed, and reckons up what it saw rightly."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from schemas.timeline import Entry
from schemas.vocabulary import ActivationMode, Category, Clock, EscalationStep, Status
from services.cli.main import make_app
from services.domain.draft import Draft
from services.domain.plan import Match, Plan, Rung
from services.drills import simulate as module
from services.drills.behaviour import Behaviour, Course, draw_course
from services.drills.critical import Why
from services.drills.simulate import Run, Setting, make_setting, simulate
from services.drills.simulate_findings import find
from services.drills.simulate_outcome import Outcome, outcome_of
from services.drills.simulate_study import Stage, draw_seeds, study, take_out
from services.drills.simulate_table import as_json
from tests.domain.builders import (
    LADDER,
    MINUTE,
    START,
    make_directory,
    make_plan,
    make_report,
    make_role,
    make_task,
)

REPOSITORY = Path(__file__).parents[2]
SECOND = timedelta(seconds=1)
HUMAN = Behaviour(answer_median=500, answer_sigma=0.8, decline=0.15, silent=0.15, block=0.3)
REPORT = {
    "status": "Exercise",
    "categories": ["CBRNE"],
    "event": "Chlorine leak",
    "severity": "Severe",
    "urgency": "Immediate",
    "certainty": "Observed",
    "areas": [{"description": "Chemical Industry Park"}],
    "parameters": {"quantity_t": 2.5},
}


def course(
    answer: float = 60, start: float = 60, work: float = 600, *, silent: bool = False, declines: bool = False
) -> Course:
    return Course(silent, declines, answer, start, work, None, 0)


def scripted(courses: Mapping[str, Course]) -> Callable[[int, str, str], Course]:
    """Every department does the same in each task, unless it is named with one."""

    def draw(seed: int, department: str, task: str) -> Course:
        del seed
        return courses.get(f"{department}:{task}") or courses.get(department) or course()

    return draw


def drawn(seed: int, department: str, task: str) -> Course:
    return draw_course(HUMAN, seed, department, task)


def scene(plan: Plan, draw: Callable[[int, str, str], Course], *others: Plan, **more: timedelta) -> Setting:
    report = make_report(START).model_copy(update={"status": Status.EXERCISE})
    return make_setting(plan, [plan, *others], make_directory(), report, draw, **more)


def played(plan: Plan, courses: Mapping[str, Course], **more: timedelta) -> Outcome:
    setting = scene(plan, scripted(courses), **more)
    return outcome_of(setting, simulate(setting, 1))


def stages(outcome: Outcome) -> list[tuple[str, str, Why, float]]:
    return [(each.work.task, each.department, each.why, each.took.total_seconds()) for each in outcome.path]


def told(run: Run) -> list[tuple[Any, ...]]:
    return [
        (
            noted.at,
            noted.entry,
            noted.task,
            noted.assignment and (noted.assignment.department, noted.assignment.state),
            noted.step,
        )
        for noted in run.log
    ]


def rich_plan() -> Plan:
    """Dependencies, a quota, a deputy, a role with nobody behind it."""
    return make_plan(
        make_task("close-roads"),
        make_task("warn", "radio", after=("close-roads",), acknowledge=5 * MINUTE, start=8 * MINUTE),
        make_task("beds", "hospitals", complete=30 * MINUTE),
        make_task("pump", "pumps", after=("warn", "beds")),
        roles=(
            make_role("cordon", "police", "traffic"),
            make_role("radio", "utility"),
            make_role("hospitals", "hospital", "ambulance", "fire", needed=2, wait=4 * MINUTE),
            make_role("pumps", "fire", "utility"),
        ),
    )


def test_a_run_without_trouble_takes_what_its_department_takes() -> None:
    outcome = played(make_plan(), {})
    assert outcome.first_orders == 60 * SECOND
    assert outcome.completion == 720 * SECOND
    assert stages(outcome) == [("close-roads", "police", Why.ACTIVATED, 720)]
    assert [took for _, took in outcome.mobilization] == [60 * SECOND]
    assert (outcome.unfilled, outcome.escalations, outcome.reminders) == ((), (), 0)


def test_silence_is_on_the_path_until_the_deputy_is_called() -> None:
    """Ten minutes to answer, a reminder after one more, the deputy after another: twelve minutes are lost."""
    outcome = played(make_plan(), {"police": course(silent=True)})
    assert stages(outcome) == [
        ("close-roads", "police", Why.ACTIVATED, 720),
        ("close-roads", "traffic", Why.SILENT, 720),
    ]
    assert outcome.first_orders == 780 * SECOND
    assert [took for _, took in outcome.mobilization] == [None, 60 * SECOND]
    assert dict(outcome.escalations) == {EscalationStep.DEPUTY: 1}
    assert outcome.reminders == 1


def test_a_no_goes_to_the_deputy_at_once() -> None:
    outcome = played(make_plan(), {"police": course(90, declines=True)})
    assert stages(outcome) == [
        ("close-roads", "police", Why.ACTIVATED, 90),
        ("close-roads", "traffic", Why.DECLINED, 720),
    ]
    assert outcome.completion == 810 * SECOND


def test_the_path_leads_through_the_dependency_that_was_done_last() -> None:
    plan = make_plan(make_task("close-roads"), make_task("warn"), make_task("evacuate", after=("close-roads", "warn")))
    outcome = played(plan, {"police:warn": course(work=2_000)})
    assert stages(outcome) == [
        ("warn", "police", Why.ACTIVATED, 2_120),
        ("evacuate", "police", Why.AFTER, 720),
    ]
    assert outcome.first_orders == 60 * SECOND, "what is released later is not among the first orders"


def test_a_quota_is_done_when_as_many_as_needed_are() -> None:
    role = make_role("cordon", "police", "traffic", "fire", needed=2, wait=3 * MINUTE)
    outcome = played(make_plan(roles=(role,)), {"police": course(silent=True), "fire": course(work=60)})
    assert outcome.completion == 720 * SECOND, "traffic's own time; fire is called after three minutes and is quicker"
    assert outcome.first_orders == 240 * SECOND
    assert stages(outcome) == [("close-roads", "traffic", Why.ACTIVATED, 720)]


def test_a_task_that_nobody_takes_on_is_never_done() -> None:
    outcome = played(make_plan(), {"police": course(declines=True), "traffic": course(silent=True)})
    assert (outcome.first_orders, outcome.completion) == (None, None)
    assert [work.task for work in outcome.unfilled] == ["close-roads"]
    assert [(task, why) for task, _, why, _ in stages(outcome)] == [
        ("close-roads", Why.ACTIVATED),
        ("close-roads", Why.DECLINED),
    ]


def test_silence_that_no_rung_takes_to_a_deputy_counts_as_unfilled_too() -> None:
    task = make_task("close-roads", ladder=(Rung(EscalationStep.REMIND, MINUTE),))
    outcome = played(make_plan(task), {"police": course(silent=True)})
    assert [work.task for work in outcome.unfilled] == ["close-roads"]


def test_an_answer_given_just_in_time_is_in_time() -> None:
    assert played(make_plan(), {"police": course(answer=600)}).reminders == 0
    setting = scene(make_plan(), scripted({"police": course(answer=600)}))
    assert Entry.OVERDUE not in {noted.entry for noted in simulate(setting, 1).log}


@pytest.mark.parametrize("mode", [ActivationMode.CONFIRM, ActivationMode.STANDBY])
def test_a_plan_that_waits_for_a_person_is_activated_by_the_simulated_officer(mode: ActivationMode) -> None:
    outcome = played(make_plan(mode=mode), {}, confirm_after=4 * MINUTE)
    assert outcome.first_orders == 5 * MINUTE
    assert [took for _, took in outcome.mobilization] == [5 * MINUTE], "the wait is part of the alarm's handling"


def test_a_plan_that_does_not_answer_the_report_is_forced_and_others_stay_out() -> None:
    plan = make_plan(match=Match(frozenset({Category.FIRE})))
    other = make_plan(name="storm")
    setting = scene(plan, scripted({}), other)
    run = simulate(setting, 1)
    assert [activation.plan for activation in run.incident.activations.values()] == ["flood"]
    assert outcome_of(setting, run).first_orders == 3 * MINUTE


def test_a_run_ends_at_the_horizon() -> None:
    outcome = played(make_plan(), {"police": course(work=1e12)}, horizon=timedelta(hours=1))
    assert (outcome.first_orders, outcome.completion) == (60 * SECOND, None)


def test_a_plan_without_an_order_to_give_is_refused() -> None:
    with pytest.raises(ValueError, match="flood gives no orders for this report"):
        played(make_plan(make_task("later", stand_down=True)), {})


def test_time_never_runs_backwards_also_where_the_laws_clock_ran_out_before_the_order() -> None:
    """The report to the county is due a minute after the incident, and its plan is confirmed after two."""
    statutory = make_task("tell-county", complete=MINUTE, clock=Clock.REPORTED)
    run = simulate(scene(make_plan(statutory, mode=ActivationMode.CONFIRM), scripted({})), 1)
    times = [noted.at for noted in run.log]
    assert times == sorted(times)
    [missed] = [noted.at for noted in run.log if noted.entry is Entry.OVERDUE]
    assert missed == START + module.CONFIRM_AFTER


class Wordy(module.Sketch):
    """Writes the messages of the wire too."""

    def note(self, entry: Entry, **more: Any) -> None:
        Draft.note(self, entry, **more)
        super().note(entry, **more)

    def word(self, sent: Any, notice: Any, **more: Any) -> None:
        Draft.word(self, sent, notice, **more)


class Thorough(module.Sketch):
    """Looks at every task after every event."""

    def touched(self, activation_id: object) -> None:
        del activation_id


@pytest.mark.parametrize("kind", [Wordy, Thorough])
def test_what_the_simulator_saves_has_no_say_in_what_is_decided(
    monkeypatch: pytest.MonkeyPatch, kind: type[module.Sketch]
) -> None:
    setting = scene(rich_plan(), drawn)
    plain = [told(simulate(setting, seed)) for seed in range(40)]
    monkeypatch.setattr(module, "Sketch", kind)
    assert [told(simulate(setting, seed)) for seed in range(40)] == plain
    assert {entry for run in plain for _, entry, *_ in run} >= {
        Entry.DECLINED,
        Entry.ESCALATED,
        Entry.SUPERSEDED,
        Entry.UNFILLED,
        Entry.BLOCKED,
    }


def test_only_runs_that_missed_a_candidate_need_to_be_played_again() -> None:
    """The shortcut gives what playing every seed again gives."""
    setting = scene(rich_plan(), drawn)
    seeds = draw_seeds(7, 60)
    found = study(Stage(setting), seeds)
    assert {each.candidate.department for each in found.without if each.candidate.role == "hospitals"} == {
        "hospital",
        "ambulance",
        "fire",
    }
    for without in found.without:
        assert 0 < without.called <= 60
        lacking = take_out(setting, without.candidate)
        again = [outcome_of(lacking, simulate(lacking, seed)) for seed in seeds]
        told = [(brief.first_orders, brief.completion, brief.unfilled) for brief in without.briefs]
        assert told == [(each.first_orders, each.completion, bool(each.unfilled)) for each in again], without.candidate


def test_a_candidate_taken_out_is_never_called() -> None:
    setting = scene(rich_plan(), drawn)
    (deputy,) = (each.candidate for each in study(Stage(setting), [1]).without if each.candidate.role == "cordon")
    lacking = take_out(setting, deputy)
    for seed in range(30):
        called = outcome_of(lacking, simulate(lacking, seed)).called
        assert ("flood", "cordon", "traffic") not in called


def test_shares_and_worth_are_those_of_the_runs() -> None:
    setting = scene(rich_plan(), drawn)
    found = study(Stage(setting), draw_seeds(3, 80))
    findings = find(found)
    assert findings.completion.n == findings.first_orders.n == 80
    assert findings.completion.censored == sum(each.completion is None for each in found.outcomes)
    assert sum(chain.share for chain in findings.chains) == pytest.approx(1)
    assert sum(row.of_path or 0 for row in findings.works) == pytest.approx(1)
    assert sum(row.of_path or 0 for row in findings.roles) == pytest.approx(1)
    assert sum(row.last for row in findings.works) == pytest.approx(1)
    assert findings.works[0].on_path == max(row.on_path for row in findings.works)
    for worth, without in zip(findings.worth, found.without, strict=True):
        assert worth.unfilled[1] == sum(each.unfilled for each in without.briefs) / 80
        assert worth.unfilled[1] >= worth.unfilled[0]


def test_a_path_takes_as_long_as_its_run() -> None:
    setting = scene(rich_plan(), drawn)
    for seed in range(40):
        outcome = outcome_of(setting, simulate(setting, seed))
        if outcome.completion is not None:
            assert sum((stage.took for stage in outcome.path), timedelta(0)) == outcome.completion


def test_more_runs_of_a_seed_begin_with_the_same_ones() -> None:
    assert draw_seeds(7, 5) == draw_seeds(7, 9)[:5]
    assert draw_seeds(7, 5) != draw_seeds(8, 5)
    with pytest.raises(ValueError, match="at least one"):
        draw_seeds(7, 0)


def test_ladders_of_the_builders_are_what_these_tests_reckon_with() -> None:
    assert [(rung.step, rung.wait) for rung in LADDER[:2]] == [
        (EscalationStep.REMIND, MINUTE),
        (EscalationStep.DEPUTY, MINUTE),
    ]


@pytest.fixture
def incident(tmp_path: Path) -> Path:
    file = tmp_path / "incident.json"
    file.write_text(json.dumps(REPORT), encoding="utf-8")
    return file


def command(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(
        make_app(["plan"]),
        ["plan", "simulate", *arguments, "--playbooks", str(REPOSITORY / "playbooks")],
    )
    return done.exit_code, done.stdout, done.stderr


def test_the_same_seed_gives_the_same_bytes_on_one_core_and_on_more(
    incident: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("hazardous-chemical-release", "--incident", str(incident), "--runs", "60", "--json")
    code, first, said = command(*asked)
    assert (code, said) == (0, "")
    assert command(*asked)[1] == first
    monkeypatch.setattr("services.drills.simulate_cores.sys.platform", "elsewhere")
    assert command(*asked)[1] == first
    document = json.loads(first)
    assert (document["plan"], document["level"], document["runs"]) == ("hazardous-chemical-release", "II", 60)
    assert command(*asked, "--seed", "8")[1] != first


def test_a_drills_participants_take_part(incident: Path) -> None:
    drill = str(REPOSITORY / "playbooks" / "drills" / "chemical-release.yaml")
    code, out, _ = command(
        "hazardous-chemical-release", "--incident", str(incident), "--runs", "12", "--drill", drill, "--json"
    )
    assert code == 0
    document = json.loads(out)
    plume = next(task for task in document["tasks"] if task["task"] == "forecast-plume")
    assert plume["mobilization"]["never"] == 0.5, "meteorology never answers, its deputy always does"
    assert "drill chemical-release" in document["departments"]


def test_a_plan_may_be_a_file_and_is_told_in_tables(incident: Path) -> None:
    plan = str(REPOSITORY / "playbooks" / "plans" / "public-health-outbreak.yaml")
    code, out, _ = command(plan, "--incident", str(incident), "--runs", "12", "--confirm-after", "20m")
    assert code == 0
    assert "activated by the duty officer after 20m" in out
    assert "The most frequent critical paths" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("no-such-plan",), "no-such-plan: is neither a plan"),
        (("tsunami-warning", "--confirm-after", "soon"), "write a duration"),
        (("tsunami-warning", "--runs", "0"), "greater than or equal to 1"),
    ],
)
def test_what_makes_no_sense_is_misuse(incident: Path, arguments: tuple[str, ...], said: str) -> None:
    code, out, err = command(*arguments, "--incident", str(incident))
    assert (code, out) == (2, "")
    assert said in " ".join(err.split())


def test_numbers_are_seconds_never_or_null_for_too_few() -> None:
    setting = scene(make_plan(), scripted({"police": course(silent=True), "traffic": course(silent=True)}))
    figures = as_json(find(study(Stage(setting), draw_seeds(1, 3))))
    completion = figures["times"]["completion"]
    assert (completion["p50"], completion["p90"], completion["longest"]) == ("never", None, None)
    figures = as_json(find(study(Stage(scene(make_plan(), scripted({}))), draw_seeds(1, 20))))
    assert figures["times"]["completion"]["p95"] == 720.0
    (deputy,) = figures["candidates"]
    assert deputy["completion_p90"] == {"with": 720.0, "without": 720.0, "difference": 0.0}
