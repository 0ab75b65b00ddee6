"""The plans and the directory that Muster ships are without a fault, reviews apart: those fall due by themselves."""

from pathlib import Path

from services.playbooks.check import check
from services.playbooks.directory import load_directory
from services.playbooks.plans import load_plans
from tests.playbooks.sample import TODAY

PLAYBOOKS = Path(__file__).parents[2] / "playbooks"


def test_everything_shipped_lints_without_an_error_or_a_warning() -> None:
    assert [str(problem) for problem in check([PLAYBOOKS], TODAY)] == []


def test_ten_plans_or_more_are_shipped_and_compile() -> None:
    plans = load_plans(PLAYBOOKS / "plans")
    assert len(plans) >= 10
    assert len({plan.digest for plan in plans}) == len(plans)
    assert len(plans) == len(list((PLAYBOOKS / "plans").iterdir())), "every file in the folder is a plan"


def test_eighteen_departments_or_more_are_shipped() -> None:
    assert len(load_directory(PLAYBOOKS / "departments.yaml").departments) >= 18
