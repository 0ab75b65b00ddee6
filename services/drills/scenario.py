"""A drill's file, read as strictly as a plan's and checked against the plans and the directory it speaks of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

from schemas.drill import (
    DEFAULT,
    DrillDocument,
    ParticipantMode,
    ParticipantRule,
)
from services.domain.directory import Directory
from services.domain.plan import Plan
from services.drills.lint import check, with_called
from services.drills.response_model import ResponseModel, load_model
from services.drills.telling import MARK as MARK
from services.drills.telling import report_of as report_of
from services.playbooks.cel_source import SourceError
from services.playbooks.drill_conditions import DrillCondition, Known, compile_drill_condition
from services.playbooks.problem import NodePath, PlaybookError, Problem, did_you_mean
from services.playbooks.validation import validate
from services.playbooks.yaml_source import SourceMap, read_text, read_tree

MODELS = "models"
"""The folder beside ``drills`` that holds fitted response models."""
_DAY = timedelta(days=1)
NOTHING_KNOWN = Known((), (), (), ())


@dataclass(frozen=True, slots=True)
class Scenario:
    """A drill that can be run: the document, and how each department takes part, by its id.

    ``models`` are the response models by name. ``when`` and ``met_when`` are the compiled conditions by inject.
    """

    document: DrillDocument
    participants: Mapping[str, ParticipantRule]
    models: Mapping[str, ResponseModel] = field(default_factory=dict)
    known: Known = NOTHING_KNOWN
    when: Mapping[str, DrillCondition] = field(default_factory=dict)
    met_when: Mapping[str, DrillCondition] = field(default_factory=dict)

    @property
    def awaited(self) -> tuple[str, ...]:
        """The departments that should listen with a consumer of their own."""
        return tuple(name for name, rule in self.participants.items() if rule.mode is not ParticipantMode.SIMULATED)


def load_scenario(path: Path, plans: Sequence[Plan], directory: Directory) -> Scenario:
    """Read and check one drill file; PlaybookError with every problem of the file.

    Response models are looked for in the ``models`` folder beside the file's own.
    """
    return parse_scenario(read_text(path), str(path), plans, directory, models=path.parent.parent / MODELS)


def parse_scenario(
    text: str, file: str, plans: Sequence[Plan], directory: Directory, *, models: Path | None = None
) -> Scenario:
    """Read a drill's YAML text; ``file`` is the name that problems carry. PlaybookError when it can't be run."""
    tree, source = read_tree(text, file)
    document = validate(DrillDocument, tree, source)
    by_id = {plan.id: plan for plan in plans}
    exercised = with_called(document.plans, by_id)
    problems = check(document, plans, directory, source)
    participants = {} if problems else _resolve(document, exercised)
    found = {name: _model(name, path, models, source) for name, path in _models(document).items()}
    known = Known(
        departments=tuple(participants or directory.departments),
        tasks=tuple(sorted({task for plan in exercised for task in plan.tasks})),
        plans=tuple(plan.id for plan in exercised),
        injects=tuple(inject.id for inject in document.injects),
    )
    conditions: dict[str, dict[str, DrillCondition]] = {"when": {}, "met_when": {}}
    for index, inject in enumerate(document.injects):
        for name, compiled in conditions.items():
            written = getattr(inject, name)
            if written is None or not all(plan in by_id for plan in document.plans):
                continue  # of unknown plans nobody knows the tasks
            try:
                compiled[inject.id] = compile_drill_condition(written, known)
            except SourceError as error:
                problems.append(source.problem(("injects", index, name), error.message, error.mend))
    problems += [problem for problem in found.values() if isinstance(problem, Problem)]
    if problems:
        raise PlaybookError(problems)
    loaded = {name: model for name, model in found.items() if isinstance(model, ResponseModel)}
    return Scenario(document, participants, loaded, known, conditions["when"], conditions["met_when"])


def zone_of(document: DrillDocument, startex: datetime) -> timezone:
    """Give the offset in which a drill's reports are told, so that the clocks show its local time at STARTEX."""
    if document.local_time is None:
        return timezone(timedelta(0))
    shown = timedelta(hours=document.local_time.hour, minutes=document.local_time.minute)
    utc = timedelta(hours=startex.hour, minutes=startex.minute)
    offset = (shown - utc) % _DAY
    return timezone(offset if offset <= _DAY / 2 else offset - _DAY)


def _models(document: DrillDocument) -> dict[str, NodePath]:
    return {
        rule.model: ("participants", index, "model")
        for index, rule in enumerate(document.participants)
        if rule.model is not None
    }


def _model(name: str, path: NodePath, folder: Path | None, source: SourceMap) -> ResponseModel | Problem:
    file = folder / f"{name}.yaml" if folder is not None else None
    if file is None or not file.is_file():
        known = sorted(each.stem for each in folder.glob("*.yaml")) if folder is not None else []
        mend = did_you_mean(name, known) or "fit one with `muster drill models fit`"
        return source.problem(path, f'unknown response model "{name}"', mend)
    try:
        return load_model(file)
    except PlaybookError as error:
        return error.problems[0]


def _resolve(document: DrillDocument, plans: Sequence[Plan]) -> dict[str, ParticipantRule]:
    """Give every department that may be called its behaviour, with the default's paces where it has none."""
    named = {rule.department: rule for rule in document.participants}
    default = named.pop(DEFAULT)
    called = {name for plan in plans for role in plan.roles.values() for name in role.candidates}
    resolved = {}
    for department in sorted(called | set(named)):
        rule = named.get(department, default)
        paces = {name: getattr(rule, name) or getattr(default, name) for name in ("answer", "start", "work")}
        has_own = any(getattr(rule, name) is not None for name in paces)
        model = rule.model or (None if has_own else default.model)
        resolved[department] = rule.model_copy(update={"department": department, "model": model, **paces})
    return resolved
