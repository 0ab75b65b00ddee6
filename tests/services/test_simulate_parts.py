"""A response played in parts is the response: whatever a study saves itself, the whole engine gives the same."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from schemas.incident import Area, IncidentReport
from schemas.plan import STANDBY
from schemas.vocabulary import ActivationMode, Certainty, Severity, Status, Urgency
from services.domain.plan import Call, Condition, ConditionError, Plan
from services.domain.playbook import Playbook
from services.drills.behaviour import Behaviour, Course, draw_course
from services.drills.simulate import Setting, make_setting, simulate
from services.drills.simulate_conditions import settle_conditions
from services.drills.simulate_outcome import outcome_of
from services.drills.simulate_parts import parts_of, with_plans
from services.drills.simulate_study import Played, Stage, draw_seeds, take_out
from services.playbooks.directory import load_directory
from services.playbooks.plans import load_plans
from tests.domain.builders import MINUTE, START, make_directory, make_plan, make_report, make_role, make_task

PLAYBOOKS = Path(__file__).parents[2] / "playbooks"
SLOW_AND_UNWILLING = Behaviour(answer_median=120, answer_sigma=1.0, decline=0.12, silent=0.12, block=0.3)
PARAMETERS = {"deaths": 12.0, "hazards": 3.0, "load_lost_percent": 30.0, "quantity_t": 12.0, "magnitude": 6.5}


def drawn(seed: int, department: str, task: str) -> Course:
    return draw_course(SLOW_AND_UNWILLING, seed, department, task)


def whole(setting: Setting, plans: Sequence[Plan], seed: int, stage: Stage) -> Played:
    """The same, with nothing saved: whole plans, whole runs, and conditions asked every time."""
    known = {plan.id: plan for plan in setting.playbook.published.by_id.values()}
    asked_anew = with_plans(
        setting,
        [
            replace(known[plan.id], levels=plan.levels, tasks=plan.tasks, calls=plan.calls)
            if plan.id != setting.plan.id
            else plan
            for plan in plans
        ],
    )
    outcome = outcome_of(asked_anew, simulate(asked_anew, seed))
    briefs: list[tuple[timedelta | None, timedelta | None, bool] | None] = []
    for candidate in stage.candidates:
        if (candidate.plan, candidate.role, candidate.department) not in outcome.called:
            briefs.append(None)
            continue
        lacking = take_out(asked_anew, candidate)
        other = outcome_of(lacking, simulate(lacking, seed))
        briefs.append((other.first_orders, other.completion, bool(other.unfilled)))
    return Played(outcome, tuple(briefs))  # type: ignore[arg-type] # briefs are compared as tuples


def check(setting: Setting, plans: Sequence[Plan], seeds: Sequence[int]) -> Stage:
    stage = Stage(setting)
    for seed in seeds:
        played, expected = stage.play(seed), whole(setting, plans, seed, stage)
        assert played.outcome == expected.outcome
        assert [brief and (brief.first_orders, brief.completion, brief.unfilled) for brief in played.without] == list(
            expected.without
        )
    return stage


@pytest.mark.parametrize("name", sorted(path.stem for path in (PLAYBOOKS / "plans").glob("*.yaml")))
def test_a_shipped_plan_in_parts_is_the_shipped_plan(name: str) -> None:
    plans, directory = load_plans(PLAYBOOKS / "plans"), load_directory(PLAYBOOKS / "departments.yaml")
    plan = next(plan for plan in plans if plan.id == name)
    report = make_report(START).model_copy(
        update={
            "status": Status.EXERCISE,
            "categories": tuple(plan.match.categories),
            "event": plan.match.events[0] if plan.match.events else "Flood",
            "headline": "Flood, storm and gas explosion",
            "severity": Severity.EXTREME,
            "urgency": Urgency.IMMEDIATE,
            "certainty": Certainty.OBSERVED,
            "areas": (Area(description="School"),),
            "parameters": PARAMETERS,
        }
    )
    stage = check(make_setting(plan, plans, directory, report, drawn), plans, draw_seeds(7, 3))
    assert len(parts_of(stage.setting)) > 3, "or nothing would be saved"


def forked(mode: ActivationMode) -> tuple[Plan, Plan]:
    """A plan with tasks that wait for one another, others that don't, one on standby, and a plan that it calls."""
    plan = make_plan(
        make_task("close-roads"),
        make_task("warn", "radio", after=("close-roads",), acknowledge=5 * MINUTE),
        make_task("prepare", "radio", levels=frozenset({STANDBY, "I", "II"})),
        make_task("beds", "hospitals", complete=30 * MINUTE),
        make_task("watch", "radio", levels=frozenset({STANDBY})),
        mode=mode,
        calls=(Call("storm"),),
        roles=(
            make_role("cordon", "police", "traffic"),
            make_role("radio", "utility", "police"),
            make_role("hospitals", "hospital", "ambulance", "fire", needed=2, wait=4 * MINUTE),
        ),
    )
    storm = make_plan(
        make_task("pump", "pumps"), make_task("dry", "pumps", after=("pump",)), name="storm",
        roles=(make_role("pumps", "fire", "utility"),),
    )  # fmt: skip
    return plan, storm


@pytest.mark.parametrize("mode", list(ActivationMode))
def test_parts_hold_in_every_mode_and_over_plans_that_are_called(mode: ActivationMode) -> None:
    plans = forked(mode)
    report = make_report(START).model_copy(update={"status": Status.EXERCISE})
    setting = make_setting(plans[0], plans, make_directory(), report, drawn, horizon=timedelta(hours=6))
    stage = check(setting, plans, range(40))
    assert {(part.plan, part.tasks) for part in parts_of(setting)} >= {
        ("flood", frozenset({"close-roads", "warn"})),
        ("flood", frozenset({"beds"})),
        ("storm", frozenset({"pump", "dry"})),
    }
    assert {candidate.plan for candidate in stage.candidates} == {"flood", "storm"}


def test_a_condition_is_asked_once_for_the_report_and_always_for_another() -> None:
    asked: list[str | None] = []

    def holds(report: IncidentReport, level: str | None) -> bool:
        asked.append(level)
        if level is None:
            raise ConditionError("no level yet")
        return report.severity is Severity.SEVERE

    report = make_report(START)
    plan = settle_conditions(make_plan(make_task("close-roads", when=Condition("severe", holds))), report)
    condition = plan.tasks["close-roads"].when
    assert condition is not None
    answers = [condition.holds(report, "I") for _ in range(3)]
    assert len(set(answers)) == 1
    for _ in range(2):
        with pytest.raises(ConditionError, match="no level yet"):
            condition.holds(report, None)
    assert asked == ["I", None]
    condition.holds(report.model_copy(), "I")
    assert asked == ["I", None, "I"]


def test_the_playbook_of_a_part_knows_the_plans_by_their_own_digests() -> None:
    plans = forked(ActivationMode.AUTOMATIC)
    report = make_report(START).model_copy(update={"status": Status.EXERCISE})
    for part in parts_of(make_setting(plans[0], plans, make_directory(), report, drawn)):
        playbook: Playbook = part.setting.playbook
        assert {digest: plan.id for digest, plan in playbook.frozen.items()} == {plan.digest: plan.id for plan in plans}
