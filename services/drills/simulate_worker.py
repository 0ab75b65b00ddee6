"""A process of its own that simulates a plan: ``python -m services.drills.simulate_worker``.

Reads one `Job` as JSON from standard input and writes lines of JSON: ``{"done": 250}`` as it goes on, and last
``{"result": ...}`` or ``{"refused": "why"}``. It gives way to whatever else the machine has to do.
"""

import json
import os
import sys
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict

from schemas.base import Duration
from schemas.incident import IncidentReport
from schemas.plan import DirectoryDocument, PlanDocument
from services.drills.simulate import make_setting
from services.drills.simulate_assumed import as_exercise, assumptions, draw_assumed
from services.drills.simulate_cores import CHUNK, on_all_cores
from services.drills.simulate_curves import curves
from services.drills.simulate_findings import find
from services.drills.simulate_study import Stage, draw_seeds, study
from services.drills.simulate_table import as_json
from services.playbooks.directory import compile_directory
from services.playbooks.plans import compile_plan

NICENESS = 10
"""How far it stands back behind the processes that serve real incidents."""


class Job(BaseModel):
    """What to simulate: the plan of this id among these, for a report, so many runs from a seed."""

    model_config = ConfigDict(frozen=True)

    plan: str
    plans: tuple[PlanDocument, ...]
    directory: DirectoryDocument
    report: IncidentReport
    runs: int
    seed: int
    confirm_after: Duration


def simulated(job: Job) -> dict[str, Any]:
    """Play a job; gives what ``muster plan simulate --json`` does, and ``curves`` besides. Raises ValueError."""
    plans = [compile_plan(document) for document in job.plans]
    plan = next(plan for plan in plans if plan.id == job.plan)
    report = as_exercise(job.report)
    after: timedelta = job.confirm_after
    setting = make_setting(plan, plans, compile_directory(job.directory), report, draw_assumed(), confirm_after=after)
    played = 0

    def progressed(runs: int) -> None:
        nonlocal played
        played += runs
        _say(done=played)

    stage = Stage(setting)
    with on_all_cores(stage, parallel=job.runs > CHUNK, progressed=progressed) as player:
        found = study(stage, draw_seeds(job.seed, job.runs), player)
    return {**assumptions(plan, report, after), "seed": job.seed, **as_json(find(found)), "curves": curves(found)}


def _say(**told: Any) -> None:
    print(json.dumps(told, ensure_ascii=False, separators=(",", ":")), flush=True)


def main() -> None:
    """Play the job on standard input."""
    os.nice(NICENESS)
    job = Job.model_validate_json(sys.stdin.buffer.read())
    try:
        _say(result=simulated(job))
    except ValueError as error:
        _say(refused=str(error))


if __name__ == "__main__":
    main()
