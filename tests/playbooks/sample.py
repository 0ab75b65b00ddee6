"""One small valid plan and directory as text, and ways to change them."""

from collections.abc import Callable
from datetime import date
from typing import Any

from schemas.plan import DirectoryDocument, PlanDocument
from services.playbooks.directory import parse_directory
from services.playbooks.plans import parse_plan

TODAY = date(2026, 6, 1)

PLAN = """\
id: river-flood
version: 1
title: {en: River flood, zh: 河流洪水}
summary: {en: Water leaves the river bed., zh: 河水漫溢。}
kind: special
owner: water
review_by: 2027-03-31
exercise_every: 180d
match:
  categories: [Met, Geo]
  events: [Flood, 洪水]
  areas: [North Bank]
  when: severity_rank >= 2
activation:
  mode: confirm
  confirm_within: 10m
levels:
  - id: I
    title: {en: Level one, zh: 一级}
    when: has(parameters.depth) && parameters.depth > 2.5
  - id: II
    title: {en: Level two, zh: 二级}
roles:
  - id: cordon
    title: {en: Cordon, zh: 警戒}
    department: police
    deputies: [traffic]
  - id: boats
    title: {en: Boats, zh: 舟艇}
    quota:
      needed: 2
      any_of: [fire, water, traffic]
      wait: 90s
escalation:
  - {step: remind, wait: 1m}
  - {step: duty_officer, wait: 2m}
tasks:
  - id: watch
    role: boats
    title: {en: Watch the gauge, zh: 监测水位}
    done_when: {en: Read every hour., zh: 每小时读数。}
    levels: [standby, I, II]
    deadlines: {acknowledge: 5m}
  - id: close-road
    role: cordon
    title: {en: Close the road, zh: 封闭道路}
    done_when: {en: Barriers stand., zh: 路障就位。}
    deadlines: {acknowledge: 5m, start: 10m, complete: 1h30m}
    read_back: true
    after: [watch]
    when: hour >= 0
reports:
  - id: county-report
    role: cordon
    title: {en: First report, zh: 首次报告}
    to: {en: the county, zh: 县政府}
    within: 1h
    citation: {en: County rules, zh: 县级规定}
stand_down:
  - id: reopen
    role: cordon
    title: {en: Open the road, zh: 恢复通行}
    done_when: {en: Barriers gone., zh: 路障撤除。}
    deadlines: {acknowledge: 10m}
    escalation:
      - {step: duty_officer, wait: 0s}
"""

_DEPARTMENT = """\
  - id: {id}
    title: {{en: Department of {id}, zh: 部门}}
    liaison: {{name: {{en: Liaison, zh: 联络员}}, phone: "0100"}}
    deputy: {{name: {{en: Deputy, zh: 副职}}, phone: "0101"}}
    superior: {{name: {{en: Superior, zh: 上级}}, phone: "0102", department: police}}
    duty_phone: "0199"
"""

DIRECTORY = "duty_officer: police\ndepartments:\n" + "".join(
    _DEPARTMENT.format(id=name) for name in ("police", "fire", "water", "traffic")
)


def plan() -> PlanDocument:
    """Give the valid plan."""
    return parse_plan(PLAN, "plan.yaml")[0]


def directory() -> DirectoryDocument:
    """Give the valid directory."""
    return parse_directory(DIRECTORY, "departments.yaml")[0]


def tree() -> dict[str, Any]:
    """Give the valid plan as JSON would hold it, to change it."""
    return plan().model_dump(mode="json")


def changed(change: Callable[[dict[str, Any]], object]) -> PlanDocument:
    """Give the plan after a change to its tree."""
    copy = tree()
    change(copy)
    return PlanDocument.model_validate(copy)


def rewritten(before: str, after: str) -> str:
    """Give the plan's text with one passage, which must be there once, replaced."""
    assert PLAN.count(before) == 1, before
    return PLAN.replace(before, after)


def line_of(passage: str) -> int:
    """Give the line on which a passage of the plan begins."""
    return PLAN[: PLAN.index(passage)].count("\n") + 1
