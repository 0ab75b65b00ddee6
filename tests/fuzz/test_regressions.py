"""What fuzzing and the reading for it found, each by its smallest input; `docs/fuzzing.md` tells what each one did."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from aiokafka import ConsumerRecord
from aiokafka.consumer import fetcher
from fastapi import FastAPI, Request

from schemas.envelope import ACKNOWLEDGEMENT, COMMAND, INCIDENT, read_message
from schemas.vocabulary import Namespace
from services.cli import output
from services.cli.reports import MAX_BYTES, read_report
from services.console.pages.incident import Moment
from services.domain.plan import ConditionError
from services.drills.bundle import unpack
from services.drills.importing import check_bundle
from services.drills.record import DrillError
from services.platform.dead_letters import DeadLetter, read_headers, replay_letter, set_aside, show_headers
from services.platform.errors import RefusedError
from services.platform.kafka import Origin, Received, Unreadable, read_record
from services.platform.kafka_records import GuardedRecords
from services.platform.postgres import Pool
from services.platform.problem_answers import add_problems
from services.platform.strict_json import read_object
from services.platform.worker import letter_of
from services.playbooks.cel_source import SourceError
from services.playbooks.conditions import compile_condition
from services.playbooks.plans import parse_plan
from services.playbooks.problem import PlaybookError, Problem
from services.tracking.service import admit
from tests.contract.golden import golden
from tests.fuzz import conditions, files, messages
from tests.fuzz.batches import CODECS, FIRST, batch_of, records_of
from tests.fuzz.harness import explained

AT_MOST = 5.0
"""Seconds of processor time for what once took minutes, or for ever."""


def record(name: str, **changes: Any) -> Any:
    """A committed message as a consumer gets it, but for what is changed."""
    headers, value, _ = golden(name)
    return replace(
        messages.record_of(messages.input_of(headers, value), "muster.actual.acknowledgements.police"), **changes
    )


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ((("ce_id", None),), "header ce_id: has no value"),
        ((("x\udcff", b"1"),), "header 'x\\udcff': its name is not printable text in UTF-8"),
        ((("x\n", b"1"),), "header 'x\\n': its name is not printable text in UTF-8"),
        ((("x", b"\xff"),), "header x: is not UTF-8"),
    ],
)
def test_a_header_that_is_no_text_is_a_reason_and_kept_byte_for_byte(headers: Any, reason: str) -> None:
    found = read_record(record("incident", headers=headers), INCIDENT)
    assert isinstance(found, Unreadable)
    assert found.reason == reason
    assert letter_of(found, found.reason).headers == headers


@pytest.mark.parametrize("timestamp", [2**62, -(2**62), 0])
def test_a_record_from_beyond_the_calendar_is_read_without_its_time(timestamp: int) -> None:
    found = read_record(record("incident", timestamp=timestamp), INCIDENT)
    assert isinstance(found, Received)
    assert found.origin.broker_at is None


@pytest.mark.parametrize("codec", [0, 1, 2, 3, 4], ids=["plain", "gzip", "snappy", "lz4", "zstd"])
def test_a_header_name_that_is_not_utf8_does_not_end_the_consumer(codec: int) -> None:
    records = [records_of([b"v"] * 3, [(name, b"1")]) for name in ("a", "b\x7f\x7f")]
    broken = [records[0], records[1].replace(b"b\x7f\x7f", b"b\xff\xfe")]
    fetch = GuardedRecords(b"".join(batch_of(CODECS[codec](each), codec, 3) for each in (*broken, records[0])))
    names = []
    while fetch.has_next():
        names.append([each.headers[0][0] for each in fetch.next_batch()])
    assert names == [["a"] * 3, ["b\udcff\udcfe"] * 3, ["a"] * 3]
    assert fetcher.MemoryRecords is GuardedRecords, "every consumer reads this way"


@pytest.mark.parametrize(
    ("codec", "records", "reason"),
    [
        (1, CODECS[1](bytes(20 << 20)), "of gzip that can't be opened within 16777216 bytes"),
        (2, CODECS[2](bytes(20 << 20)), "of snappy that can't be opened within 16777216 bytes"),
        (3, CODECS[3](bytes(20 << 20)), "of lz4 that can't be opened within 16777216 bytes"),
        (4, CODECS[4](bytes(20 << 20)), "of zstd that can't be opened within 16777216 bytes"),
        (2, b"\x82SNAPPY\0" + b"\xff" * 12, "of snappy that can't be opened"),
        (4, CODECS[4](records_of([bytes(2 << 20)], [])), "holds a record of 2097164 bytes, at most 1065536 are read"),
        (
            4,
            CODECS[4](records_of([b"x"], [("", b"")] * 1_001)),
            "holds a record of 1001 headers, at most 1000 are read",
        ),
        (5, b"x", "is compressed in a way that isn't known (5)"),
        # aiokafka reads beyond the end of these, and dies of a segmentation fault.
        (
            4,
            CODECS[4](records_of([b"x"], [("abc", b"")]).replace(b"\x06abc", b"\xfe\xff\xff\xff\x0fabc")),
            "hold together",
        ),
        (4, CODECS[4](records_of([b"x"], [])[:-1]), "hold together"),
        (4, CODECS[4](b""), "hold together"),
    ],
    ids=["gzip", "snappy", "lz4", "zstd", "blocks", "record", "headers", "codec", "name", "cut", "empty"],
)
def test_a_batch_that_cannot_be_read_within_bounds_is_set_aside_whole(codec: int, records: bytes, reason: str) -> None:
    batch = batch_of(records, codec, 1)
    (stand_in,) = GuardedRecords(batch).next_batch()
    came = ConsumerRecord("muster.exercise.incidents", 0, stand_in.offset, 1, 0, None, stand_in.value, None, 0, 0, ())
    found = read_record(came, INCIDENT)
    assert isinstance(found, Unreadable)
    assert reason in explained(found.reason)
    letter = letter_of(found, found.reason)
    assert (letter.origin.offset, letter.value) == (FIRST, batch)


async def test_a_letter_that_is_no_message_is_not_sent_again(pool: Pool) -> None:
    letter = DeadLetter(Origin("muster.actual.incidents", 0, 2, None), "batch of offsets 1 to 2: ...", value=b"\0")
    (id_,) = await set_aside(pool, Namespace.ACTUAL, [letter])
    with pytest.raises(RefusedError, match="no header ce_type, so it would be set aside again"):
        await replay_letter(pool, None, id_, by="test")  # type: ignore[arg-type] # no broker is asked


def test_a_message_that_is_not_admitted_is_kept_as_it_came() -> None:
    came = record("acknowledgement-commit", topic="muster.actual.acknowledgements.health-commission", key=b"\xff")
    found = read_record(came, ACKNOWLEDGEMENT)
    assert isinstance(found, Received)
    refused = admit(found)
    assert isinstance(refused, str)
    letter = letter_of(found, refused)
    assert (letter.key, letter.headers, letter.value) == (b"\xff", came.headers, came.value)


async def test_letters_with_odd_headers_are_kept_shown_and_not_sent_again(pool: Pool) -> None:
    odd: Any = (("a\udcff\0", b"\xff\0"), ("none", None), ("plain", b"1"))
    letter = DeadLetter(Origin("muster.actual.incidents", 0, 1, None), "reason", None, odd, b"\0")
    (id_,) = await set_aside(pool, Namespace.ACTUAL, [letter])
    stored = await pool.fetchval("SELECT headers FROM dead_letters WHERE id = $1", id_)
    assert tuple(read_headers(stored)) == odd
    assert show_headers(stored) == [("a\\xff ", "\\xff\0"), ("none", "–"), ("plain", "1")]
    with pytest.raises(RefusedError, match="is not text, so it would be set aside again"):
        await replay_letter(pool, None, id_, by="test")  # type: ignore[arg-type] # no broker is asked


def test_text_that_spells_a_nul_is_text() -> None:
    headers, value, _ = golden("command-close")
    tree = json.loads(value)
    read_message(headers, json.dumps({**tree, "reason": r"a \u0000 in the log"}).encode(), COMMAND)
    with pytest.raises(ValueError, match="NUL"):
        read_message(headers, json.dumps({**tree, "reason": "\\\0"}).encode(), COMMAND)


@pytest.mark.parametrize(
    "source",
    [
        "['aaaa']" + ".map(x,x+x)" * 75 + ".size() > 0",
        "[1]" + ".map(x,[x,x])" * 60 + " == []",
        "[1,2,3].all(x, [" + "1," * 400 + "1].all(y, x < y))",
        "geocodes.map(x, geocodes).map(x, x).size() > 0",
    ],
    ids=["doubling-text", "doubling-lists", "long-literals", "lists-of-lists"],
)
def test_a_condition_that_could_grow_without_end_is_not_compiled(source: str) -> None:
    began = time.process_time()
    with pytest.raises(SourceError):
        compile_condition(source)
    assert time.process_time() - began < AT_MOST


@pytest.mark.parametrize(
    "source",
    [
        "geocodes.exists(x, geocodes.exists(y, x == y + 'z'))",
        "geocodes.map(x, description + description).size() == 1",
        "geocodes.exists(x, !(x in geocodes))",
        "geocodes.all(x, description.matches('(a|b)*c'))",
    ],
    ids=["nested", "building", "searching", "patterns"],
)
def test_a_condition_that_would_take_hours_over_a_large_alert_is_left_to_a_person(source: str) -> None:
    large = conditions.reports()[1]
    condition = compile_condition(source)
    began = time.process_time()
    with pytest.raises(ConditionError, match="too much"):
        condition.holds(large, None)
    assert time.process_time() - began < AT_MOST


def test_a_simple_condition_is_decided_about_the_largest_alert() -> None:
    assert compile_condition("geocodes.exists(g, g == '059999')").holds(conditions.reports()[1], None)


def test_a_plan_of_thousands_of_mistakes_is_refused_in_time() -> None:
    began = time.process_time()
    with pytest.raises(PlaybookError) as error:
        parse_plan("\n".join(f"titel{each}: x" for each in range(20_000)), "plan.yaml")
    assert len(error.value.problems) == 201
    assert "more mistakes are not listed" in str(error.value.problems[-1])
    assert time.process_time() - began < AT_MOST


def test_a_problem_is_one_bounded_line_that_steers_no_terminal() -> None:
    said = str(Problem("plan.yaml", 1, "\x1b[31m" + "k" * 9_000, f'unknown key "{"x" * 9_000}\x00\n\x07"', "mend"))
    assert said.isprintable()
    assert len(said) < 1_500


BUNDLES: dict[str, Callable[[], bytes]] = {
    "garbled": lambda: files.packed(files.rows()).replace(b"\x00\x00", b"\x01\xff", 40),
    "no-object": lambda: files.packed({**files.rows(), "drills": [7]}),
    "no-incidents": lambda: files.packed({**files.rows(), "drills": [{"id": files.DRILL_ID, "status": "Exercise"}]}),
    "unhashable": lambda: files.packed({**files.rows(), "inbox": [{"event_id": [], "status": "Exercise"}]}),
    "no-document": lambda: files.packed({**files.rows(), "plans": [{"digest": "x"}]}),
}


@pytest.mark.parametrize("name", sorted(BUNDLES))
def test_a_bundle_that_is_none_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / "drill.zip"
    path.write_bytes(BUNDLES[name]())
    with pytest.raises(DrillError) as error:
        check_bundle(unpack(path))
    assert str(error.value).isprintable()
    assert "nothing was imported" in str(error.value)


@pytest.mark.parametrize(
    "data", [b"[" * 100_000, b'{"a":' * 50_000, b"x" * (MAX_BYTES + 1)], ids=["lists", "maps", "size"]
)
def test_a_report_file_that_is_too_deep_or_too_large_ends_in_one_line(
    data: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(data)
    with pytest.raises(typer.Exit):
        read_report(path, messages.NOW)
    assert capsys.readouterr().err.count("\n") <= 1


def test_a_refusal_on_the_terminal_is_one_line_whatever_it_repeats(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        output.fail("plan \x1b[2J\n\x07: is refused")
    assert "\x1b[2J" not in capsys.readouterr().err


@pytest.mark.parametrize("as_of", ["x", "yesterday", "2026-13-01T00:00:00Z"])
async def test_a_page_as_of_no_time_and_a_body_that_is_no_json_are_the_callers_mistakes(as_of: str) -> None:
    app = FastAPI()
    add_problems(app)

    @app.get("/entries")
    async def entries(as_of: Moment = None) -> str:
        return str(as_of)

    @app.post("/body")
    async def body(request: Request) -> str:
        return str(read_object(await request.body()))

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://muster") as client:
        assert (await client.get("/entries", params={"as_of": ""})).status_code == 200
        assert (await client.get("/entries", params={"as_of": as_of})).status_code == 422
        answer = await client.post("/body", content=b"police")
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("body: is not JSON")
