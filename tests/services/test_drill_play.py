"""How a drill's file becomes the behaviour of simulated departments, and how its progress is told."""

import io
import json
from datetime import timedelta
from uuid import UUID

import pytest
from rich.console import Console

from schemas.drill import Pace
from schemas.timeline import Entry
from services.drills.behaviour import behaviour_of, draw_course
from services.drills.live import Screen
from services.drills.run import Progress
from tests.domain.builders import MINUTE, START
from tests.services.test_drill_scenario import parse

SECOND = timedelta(seconds=1)
DRAWS = 4_000


def test_what_the_scenario_scripts_is_certain_and_only_for_the_tasks_it_names() -> None:
    participants = parse().participants
    police, traffic = participants["police"], participants["traffic"]
    for seed in range(20):
        assert draw_course(behaviour_of(police, "close-road"), seed, "police", "close-road").declines
        assert draw_course(behaviour_of(police, "reopen"), seed, "police", "reopen").is_silent
        blocked = draw_course(behaviour_of(traffic, "close-road"), seed, "traffic", "close-road")
        assert blocked.blocked_after is not None
        assert blocked.blocked_after <= blocked.work_for
        assert blocked.resolve_after == 120
        free = draw_course(behaviour_of(police, "watch"), seed, "police", "watch")
        assert (free.declines, free.is_silent, free.blocked_after) == (False, False, None)


def test_half_of_the_times_lie_below_the_median_and_nine_of_ten_below_median_and_spread() -> None:
    behaviour = behaviour_of(parse().participants["fire"], "watch")
    drawn = [draw_course(behaviour, seed, "fire", "watch").answer_after for seed in range(DRAWS)]
    assert sum(time <= 30 for time in drawn) / DRAWS == pytest.approx(0.5, abs=0.03)
    assert sum(time <= 60 for time in drawn) / DRAWS == pytest.approx(0.9, abs=0.02)


def test_a_pace_without_spread_is_always_its_median() -> None:
    rule = parse().participants["fire"].model_copy(update={"work": Pace(median=MINUTE, spread=timedelta(0))})
    assert {draw_course(behaviour_of(rule, "watch"), seed, "fire", "watch").work_for for seed in range(5)} == {60}


def progress(*entries: tuple[Entry, str], played: tuple[str, ...] = ()) -> Progress:
    rows = [
        {
            "entry": entry.value,
            "occurred_at": START + 90 * SECOND,
            "department": "police",
            "reason": reason,
            "detail": json.dumps({"task": "close-road"}),
        }
        for entry, reason in entries
    ]
    return Progress(START, 2 * MINUTE, [], rows, played, (UUID(int=1),))  # type: ignore[arg-type]


def test_without_a_terminal_what_matters_is_told_once_in_a_line_each() -> None:
    out = io.StringIO()
    with Screen(parse().document, 60, Console(file=out, width=200)) as screen:
        screen.show(progress((Entry.DELIVERED, ""), (Entry.DECLINED, "no [bold]crew"), played=("water-rises",)))
        screen.show(progress(played=("water-rises",)))
    assert out.getvalue().splitlines() == [
        "T+0:02:00 inject Water · 水",
        "T+0:01:30 Declined · police · close-road · no [bold]crew",
    ]


def test_a_terminal_shows_the_exercise_its_clock_and_the_latest_entries() -> None:
    out = io.StringIO()
    console = Console(file=out, width=120, force_terminal=True)
    with Screen(parse().document, 60, console) as screen:
        screen.show(progress((Entry.BLOCKED, "a tree")))
    shown = Console(file=io.StringIO()).render_str(out.getvalue()).plain
    assert "EXERCISE" in shown
    assert "T+0:02:00 of T+0:30:00 at 60×" in shown
    assert "Obstacle reported" in shown
