"""Who answers for each department in one run of a drill: its own people, a simulation, or both by task."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial

from schemas.drill import ParticipantMode, ParticipantRule
from services.drills.behaviour import Behaviour, behaviour_of
from services.drills.participant import Behave
from services.drills.record import DrillError, Seat
from services.drills.response_model import ResponseModel, course_from
from services.drills.scenario import Scenario

NEVER_DONE = 1e9
"""Seconds of work of somebody who never gets there."""


def take_seats(scenario: Scenario, listening: Collection[str]) -> dict[str, Seat]:
    """Give every department its seat; raises `DrillError` when one is awaited, isn't there, and has no stand-in."""
    seats = {}
    for name, rule in scenario.participants.items():
        if rule.mode is ParticipantMode.SIMULATED or name in listening:
            seats[name] = Seat(rule.mode.value)
        elif rule.stand_in:
            seats[name] = Seat.STAND_IN
        else:
            raise DrillError(
                f"department {name}: nobody listens; let it run `muster department listen {name} --namespace exercise`,"
                f" or write `stand_in: true` for it in drill {scenario.document.id}"
            )
    return seats


def simulated_tasks(scenario: Scenario, seats: Mapping[str, Seat]) -> dict[str, frozenset[str] | None]:
    """Give the departments that a simulation answers for, with the tasks it does so in; None: in all."""
    return {
        name: frozenset(scenario.participants[name].simulates) if seat is Seat.MIXED else None
        for name, seat in seats.items()
        if seat is not Seat.REAL
    }


def behave_of(rule: ParticipantRule, models: Mapping[str, ResponseModel]) -> Behave:
    """Give how a participant treats each task: by its paces, or as its response model draws; scripted is certain."""
    if rule.model is None:
        return lambda task, _: behaviour_of(rule, task)
    return partial(_modelled, rule, models[rule.model])


def _modelled(rule: ParticipantRule, model: ResponseModel, task: str, seed: int) -> Behaviour:
    scripted = behaviour_of(rule, task)
    course = course_from(model, seed, rule.department, task, work_otherwise=scripted.work_median)
    return replace(
        scripted,
        answer_median=course.answer_after,
        answer_sigma=0.0,
        start_median=course.start_after,
        start_sigma=0.0,
        work_median=min(course.work_for, NEVER_DONE),
        work_sigma=0.0,
        silent=max(scripted.silent, float(course.is_silent)),
    )
