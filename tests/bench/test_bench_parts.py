"""What the measurements are made of: percentiles, ratios, the guard, the chart, profiles. Nothing here is timed."""

import json
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from uuid_utils.compat import uuid7

from services.bench.chart import chart
from services.bench.figures import Row, Target, figure, percentile, quotients
from services.bench.guard import compare, read, write
from services.bench.profiling import by_stage
from services.bench.stage import BenchError
from services.bench.templates import Template


def ratio(key: str, value: float, *, more_is_better: bool) -> Row:
    return Row("steady", key, key, figure([value], "x"), of="floor", more_is_better=more_is_better)


def test_a_percentile_is_a_value_that_the_share_does_not_exceed() -> None:
    assert [percentile(range(1, 101), share) for share in (0.5, 0.99, 1)] == [50, 99, 100]
    assert percentile([7.0], 0.99) == 7


def test_ratios_are_taken_turn_by_turn() -> None:
    found = quotients([1, 20, 3], [2, 10, 3])
    assert (found.median, found.low, found.high, found.turns) == (1, 0.5, 2, 3)


@pytest.mark.parametrize(
    ("more_is_better", "found", "ok"),
    [(True, 0.31, True), (True, 0.29, False), (False, 1.19, True), (False, 1.21, False)],
)
def test_the_guard_refuses_what_is_less_than_half_as_good(
    tmp_path: Path, more_is_better: bool, found: float, ok: bool
) -> None:
    file = tmp_path / "ratios.json"
    write(file, [ratio("a", 0.6, more_is_better=more_is_better)])
    (finding,) = compare([ratio("a", found, more_is_better=more_is_better)], read(file))
    assert finding.ok is ok


def test_the_guard_does_not_pass_over_what_was_not_measured() -> None:
    with pytest.raises(BenchError, match="gone is on file and was not measured"):
        compare([], {"gone": 1})


def test_the_chart_is_svg_and_shows_each_contender() -> None:
    rows = [Row("steady", name, f"incidents, {name}", figure([1, 2, 3], "/s")) for name in ("floor", "muster")]
    drawn = chart(rows, "here & now")
    assert ET.fromstring(drawn).tag.endswith("svg")  # noqa: S314 - it was made a line above
    assert all(name in drawn for name in ("floor", "muster", "here &amp; now"))


def test_a_target_is_met_from_its_bound_on() -> None:
    assert [Target(at_least=0.5).met_by(value) for value in (0.5, 0.49)] == [True, False]
    assert [Target(at_most=3).met_by(value) for value in (3, 3.1)] == [True, False]


def test_samples_belong_to_the_stage_nearest_to_the_work() -> None:
    stacks = [
        "run (asyncio/runners.py:1);handle (services/platform/worker.py:9);decide (services/domain/engine.py:5) 7",
        "run (asyncio/runners.py:1);fetch (asyncpg/connection.py:1) 2",
        "run (asyncio/runners.py:1) 1",
    ]
    assert by_stage(stacks) == {
        "matching and deciding": 7,
        "database client": 2,
        "the event loop and the rest": 1,
    }


def test_a_template_writes_the_same_rows_with_ids_of_its_own() -> None:
    document = {
        "columns": {"inbox": ["event_id", "incident_id", "input", "decided_at", "reason"]},
        "rows": {
            "inbox": [[{"id": "event"}, {"id": "incident"}, {"text": ["{%s}", ["new"]]}, {"after": 0}, {"same": "why"}]]
        },
        "messages": [{"topic": "t", "value": ["100%% %s", ["new"]], "headers": [["ce_id", ["%s", ["event"]]]]}],
        "ids": ["event", "incident", "new"],
    }
    template = Template(json.loads(json.dumps(document)))
    rows: dict[str, list[tuple[object, ...]]] = {"inbox": []}
    event, incident, now = str(uuid7()), str(uuid7()), datetime.now(UTC)
    ((topic, key, value, headers),) = template.write({"event": event, "incident": incident}, now, rows)
    ((row_event, row_incident, text, at, reason),) = rows["inbox"]
    assert (row_event, row_incident, at, reason) == (event, incident, now, "why")
    assert (topic, key, headers) == ("t", incident.encode(), [("ce_id", event.encode())])
    assert value.decode() == f"100% {str(text)[1:-1]}"
