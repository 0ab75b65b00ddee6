"""A drill goes to another Muster and reads the same there; what was changed on the way is refused."""

import csv
import io
import json
import secrets
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from schemas.base import Text
from schemas.timeline import Entry
from services.drills import improvements as items
from services.drills.bundle import MANIFEST, TABLES, Bundle, pack, unpack
from services.drills.corrections import correct
from services.drills.export import gather, write_tables
from services.drills.html import render
from services.drills.importing import import_bundle
from services.drills.reading import read_report
from services.drills.record import DrillError, list_drills
from services.drills.table import as_json
from services.platform.invariants import check_invariants
from services.platform.postgres import Pool, connect
from tests.conftest import TEMPLATE, database_named
from tests.domain.builders import make_id
from tests.services.drill_history import DRILL, HOSTILE, INCIDENT, History, at, write_drill

DUE = date(2026, 7, 1)
ODD = '=cmd()\u2028\u0085 “引号” \\ " 🜁'
"""What a spreadsheet would run, and line ends that are none in JSON."""


@pytest.fixture
async def elsewhere(postgres: str) -> AsyncIterator[Pool]:
    """Another Muster's database, migrated and empty."""
    name = f"test_{secrets.token_hex(6)}"
    connection = await asyncpg.connect(postgres)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    pool = await connect(database_named(postgres, name))
    yield pool
    await pool.close()
    with suppress(asyncpg.InsufficientPrivilegeError):  # as in conftest: a vacuum of the server's own
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


async def write_reviewed(pool: Pool) -> History:
    """A drill with a correction and improvement items, one closed."""
    history = await write_drill(pool)
    report = await read_report(pool, DRILL)
    started = next(each for each in report.timeline if each.entry is Entry.STARTED)
    await correct(pool, DRILL, started.id, occurred_at=at(2.5), note=ODD, reason="Asked", by="Evaluator")
    ids = await items.propose(pool, DRILL, report.evaluation.proposals, due=DUE, by="Planner")
    await items.close(pool, ids[0], by="Planner", reason="Done")
    return history


@pytest.fixture
async def bundle(pool: Pool) -> Bundle:
    await write_reviewed(pool)
    return await gather(pool, DRILL)


def unpacked(tmp_path: Path, content: bytes) -> Bundle:
    path = tmp_path / "drill.zip"
    path.write_bytes(content)
    return unpack(path)


async def test_an_imported_drill_gives_the_same_report_byte_for_byte(
    pool: Pool, elsewhere: Pool, bundle: Bundle, tmp_path: Path
) -> None:
    done = await import_bundle(elsewhere, unpacked(tmp_path, pack(bundle)))
    assert (done.drill_id, done.new) == (DRILL, True)
    here, there = await read_report(pool, DRILL), await read_report(elsewhere, DRILL)
    assert render(there) == render(here)
    assert as_json(there) == as_json(here)
    assert pack(await gather(elsewhere, DRILL)) == pack(bundle)


async def test_an_imported_drill_is_marked_and_breaks_no_invariant(elsewhere: Pool, bundle: Bundle) -> None:
    await import_bundle(elsewhere, bundle)
    (row,) = await list_drills(elsewhere)
    assert row["imported_at"] is not None
    assert await elsewhere.fetchval("SELECT imported_digest FROM drills") == bundle.digest
    assert await elsewhere.fetchval("SELECT count(*) FROM outbox") == 0
    assert await elsewhere.fetchval("SELECT count(*) FROM publication") == 0
    broken = {finding.name for finding in await check_invariants(elsewhere) if finding.broken}
    # The hand-made drill tells of orders that its own database leaves open, and nothing else.
    assert "every assignment was announced to its department" not in broken
    assert "no row mixes an exercise with the real" not in broken


async def test_the_same_file_twice_changes_nothing(pool: Pool, elsewhere: Pool, bundle: Bundle) -> None:
    await import_bundle(elsewhere, bundle)
    again = await import_bundle(elsewhere, bundle)
    assert (again.new, again.rows) == (False, 0)
    home = await import_bundle(pool, bundle)
    assert (home.new, home.rows) == (False, 0)
    assert await pool.fetchval("SELECT imported_at FROM drills") is None


async def test_a_later_file_adds_what_was_said_since(pool: Pool, elsewhere: Pool, bundle: Bundle) -> None:
    await import_bundle(elsewhere, bundle)
    await items.add(pool, DRILL, Text(en="Later", zh="后续"), owner="fire", due=DUE, by="A")
    done = await import_bundle(elsewhere, await gather(pool, DRILL))
    assert (done.new, done.rows) == (False, 2)
    assert render(await read_report(elsewhere, DRILL)) == render(await read_report(pool, DRILL))


def rewrite(content: bytes, change: Callable[[str, bytes], bytes | None]) -> bytes:
    """Pack a zip anew with some of its files changed, or left out where the change gives None."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            changed = change(name, old.read(name))
            if changed is not None:
                new.writestr(name, changed)
    return out.getvalue()


def edit(wanted: str, before: bytes, after: bytes) -> Callable[[str, bytes], bytes]:
    def change(name: str, content: bytes) -> bytes:
        assert name != wanted or before in content
        return content.replace(before, after) if name == wanted else content

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (edit("rows/timeline.jsonl", b"police", b"polite"), "not what the manifest says"),
        (lambda name, content: None if name == "rows/timeline.jsonl" else content, "does not hold the files"),
        (lambda name, content: None if name == MANIFEST else content, "does not hold the files"),
        (lambda name, content: b"" if name == "rows/corrections.jsonl" else content, "not what the manifest says"),
        (edit(MANIFEST, b'"rows": 1', b'"rows": 2'), "manifest was changed"),
        (edit(MANIFEST, b'"version": 1', b'"version": 2'), "this Muster reads version 1"),
        (edit(MANIFEST, b'"format"', b'"former"'), "not as Muster writes it"),
    ],
)
async def test_a_changed_or_partial_file_is_refused(
    bundle: Bundle, tmp_path: Path, change: Callable[[str, bytes], bytes | None], said: str
) -> None:
    with pytest.raises(DrillError, match=said) as raised:
        unpacked(tmp_path, rewrite(pack(bundle), change))
    assert "nothing was imported" in str(raised.value)


async def test_a_file_cut_short_or_of_another_kind_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    content = pack(bundle)
    for wrong in (content[: len(content) // 2], content[:-30], b"", b"no zip"):
        with pytest.raises(DrillError, match="can't be read as a zip"):
            unpacked(tmp_path, wrong)
    with pytest.raises(DrillError, match="can't be read as a zip"):
        unpack(tmp_path / "missing.zip")


def forged(bundle: Bundle, table: str, **changes: Any) -> Bundle:
    """A bundle whose manifest is right and whose rows are not: the digests are no protection against its maker."""
    rows = [json.dumps({**row, **changes}) for row in bundle.of(table)]
    return Bundle(bundle.drill_id, {**bundle.rows, table: tuple(rows)})


@pytest.mark.parametrize(
    ("table", "changes", "said"),
    [
        ("drills", {"status": "Actual"}, "status is 'Actual'"),
        ("timeline", {"status": "Actual"}, "status is 'Actual'"),
        ("assignments", {"incident_id": str(make_id(500))}, "a row of assignments is not of this drill"),
        ("incidents", {"id": str(make_id(500))}, "a row of incidents is not of this drill"),
        ("corrections", {"drill_id": str(make_id(500))}, "a row of corrections is not of this drill"),
        ("improvement_history", {"improvement_id": str(make_id(500))}, "is not of this drill"),
        ("drill_injects", {"incident_id": str(make_id(500))}, "a row of drill_injects is not of this drill"),
        ("incidents", {"phase": "open"}, "is not over"),
        ("drills", {"ended_at": None}, "is not over"),
        ("assignments", {"next_due_at": "2026-06-01T00:00:00+00:00"}, "would still fall due"),
        ("plans", {"version": 9}, "has another id or version in its text"),
        ("plans", {"document": {"id": "river-flood", "version": 1}}, "is not the one that its digest names"),
        ("timeline", {"colour": "red"}, "columns that this version of Muster doesn't know"),
        ("timeline", {"recorded_at": None}, "does not fit into this Muster"),
    ],
)
async def test_rows_that_are_not_this_drills_are_refused_even_with_right_digests(
    elsewhere: Pool, bundle: Bundle, table: str, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(DrillError, match=said):
        await import_bundle(elsewhere, forged(bundle, table, **changes))
    for each in TABLES:
        assert await elsewhere.fetchval(f"SELECT count(*) FROM {each}") == 0, each  # noqa: S608 - our own words


async def test_another_story_under_the_same_id_is_refused(pool: Pool, bundle: Bundle) -> None:
    with pytest.raises(DrillError, match="is on record here with other timeline"):
        await import_bundle(pool, forged(bundle, "timeline", reason="Nobody knows"))


async def test_rows_of_a_real_incident_are_never_touched(elsewhere: Pool, bundle: Bundle) -> None:
    await elsewhere.execute(
        "INSERT INTO incidents (id, status, phase, report, reported_at, cancelled, recorded_at)"
        " VALUES ($1, 'Actual', 'open', '{}', now(), false, now())",
        INCIDENT,
    )
    with pytest.raises(DrillError, match="has rows of incidents that are on record here"):
        await import_bundle(elsewhere, bundle)


async def test_a_plan_published_here_with_another_text_is_refused(elsewhere: Pool, bundle: Bundle) -> None:
    await elsewhere.execute("INSERT INTO plans (digest, plan, version, document) VALUES ('x', 'river-flood', 1, '{}')")
    with pytest.raises(DrillError, match="plan river-flood version 1 is published here with another text"):
        await import_bundle(elsewhere, bundle)


async def test_a_drill_that_is_not_over_stays_here(pool: Pool) -> None:
    history = History(pool)
    await history.begin()
    with pytest.raises(DrillError, match="it is still running"):
        await gather(pool, DRILL)
    await pool.execute("UPDATE incidents SET phase = 'closing'")
    await history.end()
    with pytest.raises(DrillError, match="is not closed yet"):
        await gather(pool, DRILL)


async def test_tables_are_what_a_spreadsheet_reads_and_nothing_it_runs(pool: Pool, tmp_path: Path) -> None:
    await write_reviewed(pool)
    report = await read_report(pool, DRILL)
    written = await write_tables(pool, DRILL, tmp_path / "tables")
    read = {
        path.stem: list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))
        for path in written
    }
    assert len(read["timeline"]) == len(report.timeline)
    (corrected,) = [row for row in read["timeline"] if row["corrected"] == "yes"]
    assert corrected["at"] != corrected["recorded_as"]
    assert read["corrections"][0]["note"] == f"'{ODD}"
    assert any(row["reason"] == HOSTILE for row in read["timeline"])
    turnout = next(row for row in read["segments"] if row["segment"] == "turnout")
    assert (turnout["n"], float(turnout["p50"])) == ("3", 240.0)
    assert {row["id"] for row in read["aqt_9009"]} >= {"internal-notice", "deputies"}
    assert [row["open"] for row in read["improvements"]].count("no") == 1


def muster(*arguments: str, database: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "services.cli", "drill", *arguments, "--database", database],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


async def test_the_commands_carry_a_review_from_one_muster_to_another(
    pool: Pool, database: str, postgres: str, elsewhere: Pool, tmp_path: Path
) -> None:
    await write_drill(pool)
    entry = next(each for each in (await read_report(pool, DRILL)).timeline if each.entry is Entry.COMMITTED)
    name = await elsewhere.fetchval("SELECT current_database()")
    other = database_named(postgres, name)
    drill, archive = str(DRILL), str(tmp_path / "drill.zip")

    def done(*arguments: str, at_: str = database, code: int = 0) -> "subprocess.CompletedProcess[str]":
        result = muster(*arguments, database=at_)
        assert result.returncode == code, result.stderr
        return result

    reasons = ("--reason", "Log says so", "--by", "Wang Li")
    done("correct", drill, "--entry", str(entry.id), "--occurred-at", "T+0:02:30", *reasons)
    wrong = done("correct", drill, "--entry", str(entry.id), "--occurred-at", "half past", *reasons, code=2)
    assert wrong.stderr.count("\n") == 1
    proposed = json.loads(done("improvements", "propose", drill, "--by", "P", "--due", "2020-01-01", "--json").stdout)
    assert len(proposed["new"]) == proposed["gaps"] > 0
    overdue = json.loads(done("improvements", "list", "--overdue", "--json", code=1).stdout)
    assert [item["id"] for item in overdue] == proposed["new"]
    done("improvements", "close", proposed["new"][0], "--by", "P", "--reason", "Done")
    done("export", drill, "--zip", archive, "--csv", str(tmp_path / "tables"))
    done("import", archive, at_=other)
    assert "imported" in done("list", at_=other).stdout
    here, there = (tmp_path / f"{side}.json" for side in ("here", "there"))
    done("report", drill, "--format", "json", "--out", str(here))
    done("report", drill, "--format", "json", "--out", str(there), at_=other)
    assert there.read_bytes() == here.read_bytes()
    done("report", drill, "--format", "pdf", "--lang", "zh", "--out", str(tmp_path / "zh.pdf"))
    assert (tmp_path / "zh.pdf").read_bytes().startswith(b"%PDF-")
    assert "没有" not in done("report", drill, "--lang", "zh", "--report", str(tmp_path)).stdout
    assert done("report", drill, "--format", "terminal", "--out", "x", code=2).stdout == ""
    (tmp_path / "drill.zip").write_bytes(b"PK")
    refused = done("import", archive, at_=other, code=1)
    assert refused.stderr.count("\n") == 1
