"""A planner sees what changed between two wordings, and whom it concerns."""

from collections.abc import Callable
from typing import Any

import pytest

from services.playbooks.diff import Change, diff
from tests.playbooks.sample import changed, plan

Tree = dict[str, Any]


def test_equal_plans_have_no_difference() -> None:
    assert diff(plan(), plan()) == []


def add_deputy(tree: Tree) -> None:
    tree["roles"][0]["deputies"] = ["traffic", "fire"]


def drop_task(tree: Tree) -> None:
    del tree["tasks"][0]


def add_level(tree: Tree) -> None:
    tree["levels"].insert(1, {"id": "IB", "title": {"en": "Between", "zh": "中间"}, "when": "hour > 3"})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda tree: tree.update(version=2), [Change("version", "1", "2")]),
        (lambda tree: tree["title"].update(en="Flood"), [Change("title.en", "River flood", "Flood")]),
        (lambda tree: tree["tasks"][1]["deadlines"].update(acknowledge="4m"),
         [Change("tasks[close-road].deadlines.acknowledge", "5m", "4m", "a deadline changes")]),
        (lambda tree: tree["tasks"][1]["deadlines"].update(start=None),
         [Change("tasks[close-road].deadlines.start", "10m", None, "a deadline changes")]),
        (lambda tree: tree["reports"][0].update(within="2h"),
         [Change("reports[county-report].within", "1h", "2h", "a deadline changes")]),
        (add_deputy, [Change("roles[cordon].deputies", "traffic", "traffic, fire", "other departments are concerned")]),
        (lambda tree: tree["roles"][1]["quota"].update(needed=1),
         [Change("roles[boats].quota.needed", "2", "1", "other departments are concerned")]),
        (lambda tree: tree["tasks"][1].update(role="boats"),
         [Change("tasks[close-road].role", "cordon", "boats", "other departments are concerned")]),
        (lambda tree: tree["tasks"][0].update(levels=["I"]),
         [Change("tasks[watch].levels", "standby, I, II", "I", "a level changes")]),
        (lambda tree: tree["levels"][0].update(when="hour > 3"),
         [Change("levels[I].when", "has(parameters.depth) && parameters.depth > 2.5", "hour > 3", "a level changes")]),
        (add_level, [Change("levels[IB]", None, "Between", "level added")]),
        (lambda tree: tree["levels"].reverse(),
         [Change("levels", "I, II", "II, I", "levels are chosen in another order")]),
        (drop_task, [Change("tasks[watch]", "Watch the gauge", None, "task removed")]),
        (lambda tree: tree["tasks"].reverse(), []),
        (lambda tree: tree["escalation"].pop(0),
         [Change("escalation", "remind after 1m, duty_officer after 2m", "duty_officer after 2m",
                 "silence is followed up differently")]),
        (lambda tree: tree["activation"].update(mode="automatic"),
         [Change("activation.mode", "confirm", "automatic", "the plan answers differently")]),
        (lambda tree: tree["match"].update(areas=[]),
         [Change("match.areas", "North Bank", "nothing", "the plan answers differently")]),
        (lambda tree: tree.update(calls=[{"plan": "quake"}]),
         [Change("calls[quake]", None, "quake", "call of plan added")]),
        (lambda tree: tree["tasks"][1].update(read_back=False),
         [Change("tasks[close-road].read_back", "true", "false")]),
    ],
)  # fmt: skip
def test_a_change_is_said_by_name_with_its_consequence(
    change: Callable[[Tree], object], expected: list[Change]
) -> None:
    assert diff(plan(), changed(change)) == expected


def test_a_change_reads_as_one_line() -> None:
    assert str(Change("a", "1", "2")) == "a: 1 -> 2"
    assert str(Change("a", None, "2", "task added")) == "a: added: 2 (task added)"
    assert str(Change("a", "1", None)) == "a: removed: 1"
