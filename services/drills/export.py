"""A drill leaves this Muster: as a zip that another one imports, or as tables for a spreadsheet."""

import asyncio
import csv
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from services.domain.incident import Deadline
from services.drills.bundle import Bundle
from services.drills.ledger import silent
from services.drills.moments import AT_ONCE
from services.drills.reading import Record, bar_of, read_record, report_on, snapshot
from services.drills.record import DrillError, read_drill, sql
from services.drills.report import Report
from services.drills.table import as_json
from services.platform.postgres import Connection, Pool

OVER = frozenset({"closed", "joined"})
"""Phases of an incident that nothing happens to any more."""


async def gather(pool: Pool, drill_id: UUID) -> Bundle:
    """Gather a drill's rows for a zip; raises `DrillError` while it is not over."""
    drill = await read_drill(pool, drill_id)
    if drill.ended_at is None:
        raise DrillError(f"drill {drill_id}: it is still running; export it after its ENDEX")
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        bundle = await read_bundle(connection, drill_id)
    still = [row["id"] for row in bundle.of("incidents") if row["phase"] not in OVER]
    if still:
        raise DrillError(f"drill {drill_id}: its incident {still[0]} is not closed yet; export it when it is")
    return bundle


async def read_bundle(connection: Connection, drill_id: UUID) -> Bundle:
    """Read a drill's rows as they stand."""
    directory = await connection.fetchrow(sql("drill_directory"), drill_id)
    rows: dict[str, list[str]] = {}
    for row in await connection.fetch(sql("export_drill"), drill_id, directory["digest"] if directory else None):
        rows.setdefault(row["name"], []).append(row["row"])
    return Bundle(drill_id, {name: tuple(texts) for name, texts in rows.items()})


async def write_tables(pool: Pool, drill_id: UUID, folder: Path) -> list[Path]:
    """Write a drill's tables as CSV files (UTF-8 with a mark, as spreadsheets expect); gives their paths.

    Entries and assignments are all there, however many they are, and pass through a few at a time.
    """
    drill = await read_drill(pool, drill_id)
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    async with snapshot(pool) as connection:
        record = await read_record(connection, drill)
        report = await report_on(record)
        written = [
            await _stream(folder / "timeline.csv", _entries(record)),
            await _stream(folder / "assignments.csv", _assignments(record, report)),
        ]
    for name, rows in _tables(report).items():
        path = folder / f"{name}.csv"
        with _opened(path) as file:
            _write(file, rows)
        written.append(path)
    return written


async def _entries(record: Record) -> AsyncIterator[Mapping[str, Any]]:
    narrator = record.narrator
    async for row in record.timeline.all():
        moment = narrator.moment(row)
        yield {
            "id": moment.id,
            "at": moment.at,
            "recorded_as": moment.recorded_as,
            "corrected": bool(moment.corrections),
            "entry": moment.entry,
            "incident": moment.incident_id,
            "assignment": moment.assignment_id,
            "department": moment.department,
            "task": moment.detail.get("task"),
            "level": moment.detail.get("level"),
            "by": moment.by,
            "reason": moment.reason,
        }


async def _assignments(record: Record, report: Report) -> AsyncIterator[Mapping[str, Any]]:
    never = {record.ledger.ids[place] for place in silent(report.observed)}
    for begin in range(0, len(record.ledger), AT_ONCE):
        ids = record.ledger.ids[begin : begin + AT_ONCE]
        for row in await record.timeline.connection.fetch(sql("drill_orders_of"), ids):
            told = record.amended.get(row["id"]) or dict(row)
            bar = bar_of(told, record.titles, report.ended_at, never=row["id"] in never)
            yield {
                "id": bar.id,
                "department": bar.department,
                "task": bar.task,
                "role": bar.role,
                "state": bar.state,
                "issued_at": bar.issued_at,
                "delivered_at": bar.delivered_at,
                "acknowledged_at": bar.acknowledged_at,
                "committed_at": bar.committed_at,
                "declined_at": bar.declined_at,
                "started_at": bar.started_at,
                "completed_at": bar.completed_at,
                "ended_at": bar.ended_at,
                **{f"{deadline.value}_by": bar.deadlines.get(deadline) for deadline in Deadline},
                "missed": " ".join(bar.missed),
                "never_answered": bar.never_answered,
                "reason": bar.reason,
            }


def _tables(report: Report) -> dict[str, list[Mapping[str, Any]]]:
    told = as_json(report)
    items = {item.id: item for item in report.evaluation.items}
    return {
        "segments": [{"segment": name, **_flat(values)} for name, values in told["segments"].items()],
        "departments": [
            {
                "department": name,
                **{key: value for key, value in values.items() if key != "turnout"},
                **{f"turnout_{key}": value for key, value in _flat(values["turnout"]).items()},
            }
            for name, values in told["departments"].items()
        ],
        "objectives": told["objectives"],
        "aqt_9009": [
            {
                "id": item["id"],
                "title_en": item["title"].en,
                "title_zh": item["title"].zh,
                "verdict": item["verdict"],
                "held": items[item["id"]].checks.held,
                "looked_at": items[item["id"]].checks.total,
            }
            for item in told["aqt_9009"]
        ],
        "corrections": [
            {
                "entry": each.entry_id,
                "occurred_at": each.occurred_at,
                "note": each.note,
                "reason": each.reason,
                "by": each.by,
                "recorded_at": each.recorded_at,
            }
            for moment in report.corrected
            for each in moment.corrections
        ],
        "improvements": [
            {
                "id": item.id,
                "title_en": item.title.en,
                "title_zh": item.title.zh,
                "owner": item.owner,
                "due": item.due,
                "open": item.is_open,
            }
            for item in report.improvements
        ],
    }


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    flat = {key: value for key, value in values.items() if key != "upper_bounds"}
    return {**flat, **{f"upper_bound_{name}": bound for name, bound in values["upper_bounds"].items()}}


async def _stream(path: Path, rows: AsyncIterator[Mapping[str, Any]]) -> Path:
    with _opened(path) as file:
        held: list[Mapping[str, Any]] = []
        header = True
        async for row in rows:
            held.append(row)
            if len(held) == AT_ONCE:
                await asyncio.to_thread(_write, file, held, header=header)
                held, header = [], False
        _write(file, held, header=header)
    return path


def _opened(path: Path) -> IO[str]:
    return path.open("w", encoding="utf-8-sig", newline="")


def _write(file: IO[str], rows: Sequence[Mapping[str, Any]], *, header: bool = True) -> None:
    if not rows:
        return
    writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\r\n")
    if header:
        writer.writeheader()
    writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and value[:1] in _FORMULA:
        return f"'{value}"  # a spreadsheet must not take what a person wrote for a formula
    return value


_FORMULA = frozenset("=+-@\t\r")
