"""Fuzzes the other files that commands read: reports as JSON, dispatch records as CSV, exported drills, form values.

The commands' own functions are called, on real files.
"""

import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import typer
from hypothesis import strategies as st
from pydantic_core import to_json

from schemas.envelope import INCIDENT, ContractError, read_message, write_value
from services.cli import output, reports
from services.drills.bundle import FORMAT, MANIFEST, TABLES, VERSION, Bundle, pack, unpack
from services.drills.dispatch_columns import GROUPINGS, choose_columns
from services.drills.dispatch_file import open_records
from services.drills.dispatch_records import read_records
from services.drills.importing import check_bundle
from services.platform.errors import MusterError
from services.platform.outbox import envelope_of
from services.platform.report_in import ReportIn
from services.platform.strict_json import MalformedError, read_object
from services.playbooks.explain import explain
from tests.contract.golden import golden_parts
from tests.contract.test_cap import ALERT
from tests.fuzz.harness import Entry, Target
from tests.fuzz.messages import INCIDENT_ID, playbook
from tests.fuzz.shapes import escaped, nearly, spoilt, written

NOW = datetime(2026, 6, 1, 8, tzinfo=UTC)
RECORDS = Path(__file__).parents[3] / "shared" / "data" / "boone-county-ems-2016.csv"
DRILL_ID = "01900000-0000-7000-8000-0000000000aa"
HEADER = "CallTime,FirstDispatchTime,FirstEnroute,FirstArrive,LastClear,Agency,Nature"
ROWS = (
    "2016-01-01 00:00:10,2016-01-01 00:01:10,2016-01-01 00:02:00,2016-01-01 00:09:00,2016-01-01 01:00:00,A,Fall",
    "2016-01-01T00:00:10Z,2016-01-01T00:01:10+08:00,,,2016-01-01 01:00:00,B,\"Fall, bad\"",
    "2016-01-01 00:05:10,2016-01-01 00:04:10,NULL,n/a,-,A,Fire",
)  # fmt: skip


class _Refusals:
    """Stands where the terminal stands: a command's refusal is kept instead of printed."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def print(self, text: str, **_: Any) -> None:
        self.said.append(text.removeprefix("muster: "))


def _file(suffix: str, use: Callable[[Path], None]) -> Callable[[], AbstractContextManager[Target]]:
    """Make the target of what a command does with a file."""

    @contextmanager
    def opened() -> Iterator[Target]:
        heard = _Refusals()
        before, output.aside = output.aside, heard  # type: ignore[assignment]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"file{suffix}"

            def take(data: bytes) -> str | None:
                heard.said.clear()
                path.write_bytes(data)
                try:
                    use(path)
                except typer.Exit:
                    return heard.said[0]
                except MusterError as error:
                    return str(error)
                return None

            yield take
        output.aside = before

    return opened


def use_report(path: Path) -> None:
    """Do what ``muster plan explain`` does with a report, and then what an intake does with the same bytes."""
    report = reports.read_report(path, NOW)
    explain(report, playbook(), NOW)
    to_json(report)


@contextmanager
def body() -> Iterator[Target]:
    """Make the target of a JSON body: read as ``POST /v1/incidents`` reads it; what is taken, its reader takes."""

    def take(data: bytes) -> str | None:
        from pydantic import ValidationError
        from uuid_utils.compat import uuid7

        from schemas.envelope import explain as told

        try:
            report = ReportIn.model_validate(read_object(data)).report(INCIDENT_ID, NOW)
        except MalformedError as error:
            return str(error)
        except ValidationError as error:
            return told(error)
        envelope = envelope_of(uuid7(), INCIDENT, "test", INCIDENT_ID, NOW, report.status)
        try:
            read_message(envelope.headers(), write_value(report), INCIDENT)
        except ContractError as error:
            return str(error)
        return None

    yield take


def use_records(path: Path) -> None:
    """Do what ``muster drill models segments`` does with dispatch records."""
    with open_records(path) as source:
        columns = choose_columns(source.name, source.columns, {})
        by = next((role for role in GROUPINGS if role in columns.names), None)
        records = read_records(source, columns, by=by)
    for spans in records.whole.values():
        spans.summary()


def use_bundle(path: Path) -> None:
    """Do what ``muster drill import`` does with a file before it asks the database."""
    check_bundle(unpack(path, 1 << 24))


@cache
def rows() -> dict[str, list[dict[str, Any]]]:
    """Give the rows of a small drill that is over."""
    drill = {
        "id": DRILL_ID, "status": "Exercise", "incident_ids": [str(INCIDENT_ID)],
        "ended_at": "2026-06-01T09:00:00+00:00",
        "started_at": "2026-06-01T08:00:00+00:00", "name": "x",
    }  # fmt: skip
    of_incident = {"incident_id": str(INCIDENT_ID), "status": "Exercise"}
    return {
        "drills": [drill],
        "incidents": [{"id": str(INCIDENT_ID), "status": "Exercise", "phase": "closed"}],
        "activations": [{**of_incident, "id": "1", "next_due_at": None}],
        "assignments": [{**of_incident, "id": "2", "next_due_at": None}],
        "timeline": [{**of_incident, "entry_id": "3", "entry": "incident_closed"}],
        "drill_injects": [
            {"drill_id": DRILL_ID, "status": "Exercise", "event_id": "9", "incident_id": str(INCIDENT_ID)}
        ],
        "inbox": [{"event_id": "9", "status": "Exercise"}],
        "improvements": [{"id": "5", "drill_id": DRILL_ID, "status": "Exercise"}],
        "improvement_history": [{"improvement_id": "5", "status": "Exercise"}],
    }


def packed(found: Any) -> bytes:
    """Pack rows as an export does, digests and all, whatever they are."""
    from uuid import UUID

    texts = {
        table: tuple(json.dumps(row).replace("\n", "") for row in (each if isinstance(each, list) else [each]))
        for table, each in found.items()
        if table in TABLES
    }
    return pack(Bundle(UUID(DRILL_ID), texts))


@cache
def _bundles() -> list[bytes]:
    whole = packed(rows())
    return [whole, b"", b"PK", whole[:400], whole[:-30], *(_zip(each) for each in _ODD_ZIPS)]


_ODD_ZIPS: tuple[tuple[tuple[str, bytes, int], ...], ...] = (
    ((MANIFEST, b"{}", zipfile.ZIP_STORED),),
    ((MANIFEST, b"[" * 50_000, zipfile.ZIP_DEFLATED),),
    ((MANIFEST, b"0" * (1 << 22), zipfile.ZIP_DEFLATED),),
    ((MANIFEST, b"{}", zipfile.ZIP_LZMA), ("rows/drills.jsonl", b"", zipfile.ZIP_BZIP2)),
    (("../../etc/passwd", b"x", zipfile.ZIP_STORED),),
    (
        (
            MANIFEST,
            json.dumps({"format": FORMAT, "version": VERSION, "drill": DRILL_ID, "files": []}).encode(),
            zipfile.ZIP_STORED,
        ),
    ),
)


def _zip(entries: tuple[tuple[str, bytes, int], ...]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data, how in entries:
            archive.writestr(zipfile.ZipInfo(name), data, how)
        have = {name for name, _, _ in entries}
        for table in TABLES:
            if f"rows/{table}.jsonl" not in have and MANIFEST in have:
                archive.writestr(zipfile.ZipInfo(f"rows/{table}.jsonl"), b"", zipfile.ZIP_STORED)
    return out.getvalue()


@cache
def _reports() -> list[dict[str, Any]]:
    found = [golden_parts(name)[1] for name in ("incident", "incident-least", "incident-cancel")]
    return [
        {key: value for key, value in each.items() if key != "incident_id"} | {"reported_by": "x"} for each in found
    ]


def _tables() -> st.SearchStrategy[bytes]:
    cell = st.sampled_from((
        "", "NULL", "-", "2016-01-01 00:00:10", "2016-01-01T00:00:10Z", "9999-12-31 23:59:59",
        "0001-01-01T00:00:00+14:00", '"', '""', '"a,b"', '"\n"',
        "1/1/2016", "x" * 300, "é", "\0", "\ud800", "=1+1", "2016-02-30 00:00:00", "inf", "24:00",
        "2016-01-01 24:00:00", "20160101T000010", "'",
    ))  # fmt: skip
    row = st.lists(cell, min_size=5, max_size=8).map(",".join) | st.sampled_from(ROWS)
    parted = st.tuples(
        st.lists(row, max_size=8), st.sampled_from(",;\t|"), st.sampled_from(("\n", "\r\n", "\r", "\n\n"))
    )
    tables = parted.map(
        lambda each: each[2].join([HEADER, *each[0]]).replace(",", each[1]).encode("utf-8", "surrogatepass")
    )
    return tables | spoilt(_csvs())


@cache
def _csvs() -> list[bytes]:
    real = [RECORDS.read_bytes()[:6_000]] if RECORDS.is_file() else []
    own = "\n".join([HEADER, *ROWS]).encode()
    odd = (
        b"a,b\n",
        b"\n",
        b"PK\x03\x04",
        b"\xff\xfea\0,\0b\0",
        b'a,b\n"',
        b"x" * 100_000,
        HEADER.encode() + b"\n" + b'"' * 200_000,
        own[:150] * 50,
    )
    return [own, *real, *odd]


def entries() -> list[Entry]:
    """Give an entry for each kind of file, and one for a report's JSON as HTTP reads it."""
    words = tuple(sorted({name for each in _reports() for name in each}))
    trees = st.one_of(
        nearly(_reports()).map(written), nearly(_reports()).map(escaped), spoilt([escaped(each) for each in _reports()])
    )
    seeds = [escaped(each) for each in _reports()] + [
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"NaN",
        b'{"status": NaN}',
        b"9" * 10_000,
        b"\xff\xfe{}",
    ]
    return [
        Entry("json-report", body, lambda: seeds, lambda: trees, (60_000, 2_000), words),
        Entry("cli-report", _file(".json", use_report), lambda: seeds, lambda: trees, (8_000, 1_000), words),
        Entry("cli-cap", _file(".cap", use_report), lambda: [ALERT.encode()], lambda: spoilt([ALERT.encode()]),
        (6_000, 500)),
        Entry("cli-csv", _file(".csv", use_records), _csvs, _tables, (15_000, 1_500), (HEADER, *ROWS)),
        Entry(
            "cli-bundle", _file(".zip", use_bundle), _bundles,
            lambda: st.one_of(nearly([rows()]).map(packed), spoilt(_bundles()[:1])), (8_000, 1_500), (MANIFEST,
            *TABLES),
        ),
    ]  # fmt: skip
