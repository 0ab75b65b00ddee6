"""A plan compiles to the same value from a file and from its published document."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.base import Text
from schemas.plan import DirectoryDocument, PlanDocument
from schemas.vocabulary import ActivationMode, Category, Clock, EscalationStep
from services.domain.plan import Rung
from services.playbooks.directory import compile_directory, load_directory
from services.playbooks.plans import canonical, compile_plan, digest, load_plan, load_plans, parse_plan
from services.playbooks.problem import PlaybookError
from tests.playbooks.sample import DIRECTORY, PLAN, changed, directory, line_of, plan, rewritten

MINUTE = timedelta(minutes=1)
LADDER = (Rung(EscalationStep.REMIND, MINUTE), Rung(EscalationStep.DUTY_OFFICER, 2 * MINUTE))


def test_the_match_is_case_folded_and_carries_its_condition() -> None:
    match = compile_plan(plan()).match
    assert match.categories == {Category.MET, Category.GEO}
    assert match.events == ("flood", "洪水")
    assert match.areas == ("north bank",)
    assert match.when is not None
    assert match.when.source == "severity_rank >= 2"


def test_a_department_comes_before_its_deputies_and_a_quota_keeps_its_order() -> None:
    roles = compile_plan(plan()).roles
    cordon, boats = roles["cordon"], roles["boats"]
    assert (cordon.candidates, cordon.needed, cordon.wait) == (("police", "traffic"), 1, None)
    assert (boats.candidates, boats.needed, boats.wait) == (("fire", "water", "traffic"), 2, timedelta(seconds=90))


def test_tasks_keep_the_order_of_the_plan_with_reports_and_stand_down_after() -> None:
    tasks = compile_plan(plan()).tasks
    assert list(tasks) == ["watch", "close-road", "county-report", "reopen"]
    assert [task.stand_down for task in tasks.values()] == [False, False, False, True]
    road = tasks["close-road"]
    assert (road.acknowledge, road.start, road.complete) == (5 * MINUTE, 10 * MINUTE, 90 * MINUTE)
    assert (road.after, road.read_back, road.levels, road.clock) == (("watch",), True, None, Clock.ISSUED)
    assert tasks["watch"].levels == frozenset({"standby", "I", "II"})


def test_a_task_without_a_ladder_gets_the_plans() -> None:
    tasks = compile_plan(plan()).tasks
    assert tasks["close-road"].ladder == tasks["county-report"].ladder == LADDER
    assert tasks["reopen"].ladder == (Rung(EscalationStep.DUTY_OFFICER, timedelta(0)),)


def test_a_statutory_report_becomes_a_task_with_its_clock_and_citation() -> None:
    report = compile_plan(plan()).tasks["county-report"]
    assert (report.complete, report.acknowledge, report.clock) == (60 * MINUTE, 5 * MINUTE, Clock.REPORTED)
    assert report.to == Text(en="the county", zh="县政府")
    assert report.citation == Text(en="County rules", zh="县级规定")
    assert report.done_when == Text(
        en="Report sent to the county and receipt noted", zh="已向县政府报送，并记录对方签收"
    )


def test_a_report_that_is_due_soon_is_acknowledged_as_soon() -> None:
    def soon(tree: dict[str, Any]) -> None:
        tree["reports"][0]["within"] = "2m"

    assert compile_plan(changed(soon)).tasks["county-report"].acknowledge == 2 * MINUTE


def test_the_rest_is_carried_over() -> None:
    compiled = compile_plan(plan())
    assert (compiled.id, compiled.version, compiled.owner) == ("river-flood", 1, "water")
    assert (compiled.mode, compiled.confirm_within) == (ActivationMode.CONFIRM, 10 * MINUTE)
    assert compiled.level_ids() == ("I", "II")
    assert compiled.levels[1].when is None
    assert compiled.review_by == date(2027, 3, 31)
    assert compiled.stand_down_on_cancel is False


def test_a_published_document_compiles_to_the_same_plan() -> None:
    published = PlanDocument.model_validate(json.loads(canonical(plan())))
    assert published == plan()
    assert compile_plan(published) == compile_plan(plan())


def test_a_different_condition_makes_a_different_plan() -> None:
    def other(tree: dict[str, Any]) -> None:
        tree["match"]["when"] = "severity_rank >= 3"

    assert compile_plan(changed(other)).match != compile_plan(plan()).match


def test_the_digest_is_pinned_so_that_published_plans_keep_their_names() -> None:
    assert digest(plan()) == "7d353b25c6c24bf1ddeb6c3f8e1228eb6c5182d032c3ee9ca9a7978d2d4d1437"
    assert compile_plan(plan()).digest == digest(plan())


def test_the_digest_does_not_depend_on_layout_or_spelling_of_a_duration() -> None:
    text = rewritten("complete: 1h30m", "complete: 90m")
    text = text.replace("id: river-flood\nversion: 1", "version: 1\nid: river-flood")
    assert digest(parse_plan(text + "\n# a remark\n", "p.yaml")[0]) == digest(plan())


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: tree.update(version=2),
        lambda tree: tree["title"].update(zh="江河洪水"),
        lambda tree: tree["tasks"][1]["deadlines"].update(complete="1h31m"),
        lambda tree: tree["roles"][1]["quota"].update(any_of=["water", "fire", "traffic"]),
    ],
)
def test_the_digest_changes_with_every_word(change: Callable[[dict[str, Any]], object]) -> None:
    assert digest(changed(change)) != digest(plan())


def test_canonical_text_is_sorted_and_keeps_chinese() -> None:
    text = canonical(plan())
    assert text.startswith('{"activation":{"confirm_within":"10m","mode":"confirm","on_cancel":"ask"},"calls":[]')
    assert "河流洪水" in text


def test_what_cannot_be_compiled_is_reported_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(rewritten("when: hour >= 0", "when: huor >= 0").replace("id: boats", "id: cordon"))
    with pytest.raises(PlaybookError) as caught:
        load_plan(path)
    first, twice = line_of("id: cordon"), line_of("id: boats")
    mend = f"(first in line {first}); give each its own id"
    assert [str(problem) for problem in caught.value.problems] == [
        f'{path}:{twice}: roles[1].id: role "cordon" is written twice {mend}',
        f'{path}:{line_of("when: hour")}: tasks[1].when: unknown variable "huor"; did you mean "hour"?',
    ]


def test_plans_of_a_folder_come_in_the_order_of_their_files(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(PLAN)
    (tmp_path / "a.yaml").write_text(rewritten("id: river-flood", "id: zebra"))
    (tmp_path / "notes.txt").write_text("not a plan")
    assert [compiled.id for compiled in load_plans(tmp_path)] == ["zebra", "river-flood"]


def test_two_files_with_one_plan_id_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(PLAN)
    (tmp_path / "b.yaml").write_text(PLAN)
    with pytest.raises(PlaybookError) as caught:
        load_plans(tmp_path)
    message = f'{tmp_path}/b.yaml:1: id: plan "river-flood" is already in {tmp_path}/a.yaml; give each plan its own id'
    assert str(caught.value) == message


def test_the_problems_of_all_files_are_reported_together(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(rewritten("version: 1", "version: x"))
    (tmp_path / "b.yaml").write_text("- x")
    with pytest.raises(PlaybookError) as caught:
        load_plans(tmp_path)
    assert [Path(problem.file).name for problem in caught.value.problems] == ["a.yaml", "b.yaml"]


def test_the_directory_compiles_and_round_trips(tmp_path: Path) -> None:
    path = tmp_path / "departments.yaml"
    path.write_text(DIRECTORY)
    loaded = load_directory(path)
    assert list(loaded.departments) == ["police", "fire", "water", "traffic"]
    assert loaded.duty_officer == "police"
    assert loaded.departments["fire"].superior.department == "police"
    assert loaded.departments["fire"].liaison.phone == "0100", "a phone keeps its leading zero"
    published = DirectoryDocument.model_validate(json.loads(canonical(directory())))
    assert compile_directory(published) == loaded
    assert loaded.digest == digest(directory())


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("duty_officer: police", "duty_officer: polise",
         '1: duty_officer: unknown department "polise"; did you mean "police"?'),
        ("id: fire", "id: police",
         '9: departments[1].id: department "police" is written twice (first in line 3); give each its own id'),
    ],
)  # fmt: skip
def test_a_directory_that_leads_nowhere_is_refused(tmp_path: Path, before: str, after: str, message: str) -> None:
    path = tmp_path / "departments.yaml"
    path.write_text(DIRECTORY.replace(before, after, 1))
    with pytest.raises(PlaybookError) as caught:
        load_directory(path)
    assert str(caught.value) == f"{path}:{message}"


def test_a_post_in_an_unknown_department_is_refused() -> None:
    tree = directory().model_dump(mode="json")
    tree["departments"][0]["liaison"]["department"] = "trafic"
    with pytest.raises(PlaybookError, match=r'liaison\.department: unknown department "trafic"'):
        compile_directory(DirectoryDocument.model_validate(tree))
