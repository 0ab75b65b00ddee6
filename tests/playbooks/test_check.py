"""Checking a path reads what is around it and reports what was asked about."""

from pathlib import Path

import pytest

from services.playbooks.check import check, main
from tests.playbooks.sample import DIRECTORY, PLAN, TODAY, rewritten


@pytest.fixture
def playbooks(tmp_path: Path) -> Path:
    (tmp_path / "plans").mkdir()
    (tmp_path / "departments.yaml").write_text(DIRECTORY)
    (tmp_path / "plans" / "good.yaml").write_text(PLAN)
    (tmp_path / "plans" / "bad.yaml").write_text(rewritten("owner: water", "owner: watter").replace("river-", "other-"))
    return tmp_path


def said(*paths: Path) -> list[str]:
    return [str(problem) for problem in check(paths, TODAY)]


def test_a_folder_is_checked_with_its_directory(playbooks: Path) -> None:
    line = 'bad.yaml:6: owner: unknown department "watter"; did you mean "water"?'
    assert said(playbooks) == [f"{playbooks}/plans/{line}"]
    assert said(playbooks / "plans") == said(playbooks)


def test_one_plan_is_checked_against_the_directory_and_the_plans_beside_it(playbooks: Path) -> None:
    assert said(playbooks / "plans" / "good.yaml") == []
    calling = PLAN.replace("id: river-flood", "id: calling") + "calls: [{plan: river-flood}, {plan: gone}]\n"
    path = playbooks / "plans" / "calling.yaml"
    path.write_text(calling)
    assert [line.split(": ", 1)[1].split(";")[0] for line in said(path)] == ['calls[1].plan: unknown plan "gone"']


def test_a_plan_without_a_directory_is_not_called_good(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(PLAN)
    mend = "write departments.yaml beside the plans folder"
    assert said(tmp_path / "p.yaml") == [f"{tmp_path}/p.yaml: no directory of departments was found; {mend}"]


def test_a_folder_without_plans_is_not_called_good(tmp_path: Path) -> None:
    assert said(tmp_path) == [f"{tmp_path}: no plan was found; write *.yaml files there"]


def test_a_broken_directory_is_reported_even_when_a_plan_was_asked_about(playbooks: Path) -> None:
    (playbooks / "departments.yaml").write_text("- x")
    (line,) = said(playbooks / "plans" / "good.yaml")
    assert line == f"{playbooks}/departments.yaml:1: the file is a list, not a map; write `key: value` lines"


def test_a_file_that_would_silently_not_be_read_is_reported(playbooks: Path) -> None:
    (playbooks / "plans" / "late.yml").write_text(PLAN)
    assert f"{playbooks}/plans/late.yml: is not read; let its name end in .yaml" in said(playbooks)


def test_the_command_prints_the_problems_and_fails_on_an_error(
    playbooks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(playbooks)]) == 1
    assert "unknown department" in capsys.readouterr().out
    (playbooks / "plans" / "bad.yaml").unlink()
    assert main([str(playbooks)]) == 0
    assert capsys.readouterr().out == ""


def test_a_warning_alone_does_not_fail(playbooks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (playbooks / "plans" / "bad.yaml").write_text(
        rewritten("review_by: 2027-03-31", "review_by: 2001-01-01").replace("id: river-flood", "id: other")
    )
    assert main([str(playbooks)]) == 0
    assert ": warning: review_by: the review was due on 2001-01-01" in capsys.readouterr().out
