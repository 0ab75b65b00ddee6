"""Plans: from a YAML file or a published document to the compiled value the engine works with."""

import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from schemas.base import Document, Text
from schemas.plan import EscalationRule, MatchRule, PlanDocument, ReportRule, RoleRule, TaskRule
from services.domain.plan import Call, Condition, Level, Match, Once, Plan, Role, Rung, Task
from services.playbooks.cel_source import SourceError
from services.playbooks.conditions import compile_condition
from services.playbooks.identity import plan_identity
from services.playbooks.problem import NodePath, PlaybookError, Problem
from services.playbooks.validation import validate
from services.playbooks.yaml_source import SourceMap, read_text, read_tree

REPORT_ACKNOWLEDGE = timedelta(minutes=5)
"""How long a department may take to take on a statutory report, unless the report itself is due sooner."""


def load_plan(path: Path) -> Plan:
    """Read and compile one plan file; PlaybookError with every problem of the file."""
    document, source = parse_plan(read_text(path), str(path))
    return compile_plan(document, source)


def load_plans(folder: Path) -> list[Plan]:
    """Read and compile every ``*.yaml`` of a folder, in the order of their names.

    PlaybookError with the problems of all files, or when two plans have one id.
    """
    plans: list[Plan] = []
    problems: list[Problem] = []
    files: dict[str, str] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            document, source = parse_plan(read_text(path), str(path))
            plan = compile_plan(document, source)
        except PlaybookError as error:
            problems += error.problems
            continue
        if plan.id in files:
            message = f'plan "{plan.id}" is already in {files[plan.id]}'
            problems.append(source.problem(("id",), message, "give each plan its own id"))
        files.setdefault(plan.id, str(path))
        plans.append(plan)
    if problems:
        raise PlaybookError(problems)
    return plans


def parse_plan(text: str, file: str) -> tuple[PlanDocument, SourceMap]:
    """Read a plan's YAML text; ``file`` is the name that problems carry. PlaybookError when it isn't a plan."""
    tree, source = read_tree(text, file)
    return validate(PlanDocument, tree, source), source


def canonical(document: Document) -> str:
    """Write a document as the one JSON text that stands for it: sorted keys, no spaces, durations like ``1h30m``."""
    return json.dumps(document.model_dump(mode="json"), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def digest(document: Document) -> str:
    """Give the SHA-256 (64 hex digits) of the canonical text."""
    return hashlib.sha256(canonical(document).encode()).hexdigest()


def compile_plan(document: PlanDocument, source: SourceMap | None = None) -> Plan:
    """Compile a document, from a file or published; ``source`` gives problems their file and lines.

    PlaybookError when a condition is wrong, an id is used twice, or nobody fills a role; all else is lint's.
    """
    source = source or SourceMap(document.id)
    problems = list(plan_identity(document, source))
    conditions: dict[NodePath, Condition] = {}
    for path, written in written_conditions(document):
        try:
            conditions[path] = compile_condition(written)
        except SourceError as error:
            problems.append(source.problem(path, error.message, error.mend))
    if problems:
        raise PlaybookError(problems)
    ladder = _ladder(document.escalation)
    return Plan(
        id=document.id,
        version=document.version,
        digest=digest(document),
        title=document.title,
        kind=document.kind,
        owner=document.owner,
        match=_match(document.match, conditions.get(("match", "when"))),
        mode=document.activation.mode,
        levels=tuple(
            Level(level.id, level.title, conditions.get(("levels", index, "when")))
            for index, level in enumerate(document.levels)
        ),
        roles={role.id: _role(role) for role in document.roles},
        tasks={task.id: task for task in _tasks(document, conditions, ladder)},
        review_by=document.review_by,
        confirm_within=document.activation.confirm_within,
        stand_down_on_cancel=document.activation.on_cancel == "stand_down",
        calls=tuple(
            Call(call.plan, conditions.get(("calls", index, "when"))) for index, call in enumerate(document.calls)
        ),
        summary=document.summary,
    )


def written_conditions(document: PlanDocument) -> Iterator[tuple[NodePath, str]]:
    """Give every condition of a plan with its path."""
    if document.match.when is not None:
        yield ("match", "when"), document.match.when
    for name in ("levels", "tasks", "stand_down", "calls"):
        for index, item in enumerate(getattr(document, name)):
            if item.when is not None:
                yield (name, index, "when"), item.when


def _match(rule: MatchRule, when: Condition | None) -> Match:
    once = rule.once_within
    return Match(
        categories=frozenset(rule.categories),
        events=tuple(event.casefold() for event in rule.events),
        severity=rule.minimum.severity,
        urgency=rule.minimum.urgency,
        certainty=rule.minimum.certainty,
        areas=tuple(area.casefold() for area in rule.areas),
        when=when,
        priority=rule.priority,
        once=Once(once.window, once.by) if once else None,
    )


def _role(rule: RoleRule) -> Role:
    if rule.quota is not None:
        return Role(rule.id, rule.title, rule.quota.any_of, rule.quota.needed, rule.quota.wait)
    department = () if rule.department is None else (rule.department,)
    return Role(rule.id, rule.title, (*department, *rule.deputies))


def _ladder(rules: tuple[EscalationRule, ...]) -> tuple[Rung, ...]:
    return tuple(Rung(rule.step, rule.wait) for rule in rules)


def _tasks(document: PlanDocument, conditions: dict[NodePath, Condition], ladder: tuple[Rung, ...]) -> Iterator[Task]:
    for index, task in enumerate(document.tasks):
        yield _task(task, conditions.get(("tasks", index, "when")), ladder, stand_down=False)
    for report in document.reports:
        yield _report(report, ladder)
    for index, task in enumerate(document.stand_down):
        yield _task(task, conditions.get(("stand_down", index, "when")), ladder, stand_down=True)


def _task(rule: TaskRule, when: Condition | None, ladder: tuple[Rung, ...], *, stand_down: bool) -> Task:
    return Task(
        id=rule.id,
        role=rule.role,
        title=rule.title,
        done_when=rule.done_when,
        acknowledge=rule.deadlines.acknowledge,
        instructions=rule.instructions,
        levels=None if rule.levels is None else frozenset(rule.levels),
        start=rule.deadlines.start,
        complete=rule.deadlines.complete,
        after=rule.after,
        when=when,
        read_back=rule.read_back,
        ladder=ladder if rule.escalation is None else _ladder(rule.escalation),
        stand_down=stand_down,
    )


def _report(rule: ReportRule, ladder: tuple[Rung, ...]) -> Task:
    return Task(
        id=rule.id,
        role=rule.role,
        title=rule.title,
        done_when=Text(en=f"Report sent to {rule.to.en} and receipt noted", zh=f"已向{rule.to.zh}报送，并记录对方签收"),
        acknowledge=min(rule.within, REPORT_ACKNOWLEDGE),
        levels=None if rule.levels is None else frozenset(rule.levels),
        complete=rule.within,
        clock=rule.clock,
        ladder=ladder,
        to=rule.to,
        citation=rule.citation,
    )
