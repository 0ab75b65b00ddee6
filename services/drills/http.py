"""Drills over HTTP: what there is to exercise, starting and controlling a drill, its report, what is said about it.

Belongs to the exercise's site. A drill that is started here runs as a process of its own on the services of the
exercise, which take on its clock.
"""

from pathlib import Path

from fastapi import FastAPI

from services.drills.http_compare import add_compare
from services.drills.http_control import add_control
from services.drills.http_improvements import add_improvements
from services.drills.http_read import add_listing, add_reading
from services.drills.http_report import add_import, add_reports, add_timeline
from services.drills.http_review import add_review
from services.drills.http_scenarios import add_scenarios
from services.drills.http_schedule import add_schedules
from services.drills.http_shared import Backstage
from services.drills.starting import Launcher
from services.platform.postgres import Pool
from services.platform.published import PublishedPlaybook


def add_drills(
    app: FastAPI,
    pool: Pool,
    playbook: PublishedPlaybook,
    playbooks: Path,
    *,
    launcher: Launcher | None = None,
) -> None:
    """Add the routes about drills to the exercise's app.

    ``pool`` is held to the exercise; ``playbooks`` is the folder whose ``drills`` can be played. ``launcher`` plays
    those that are started here.
    """
    backstage = Backstage(pool, playbook, playbooks, launcher)
    # What has a name of its own comes before what a drill's id stands in.
    for add in (
        add_listing,
        add_scenarios,
        add_compare,
        add_schedules,
        add_import,
        add_control,
        add_improvements,
        add_reports,
        add_timeline,
        add_review,
        add_reading,
    ):
        add(app, backstage)
