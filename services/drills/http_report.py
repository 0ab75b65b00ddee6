"""A drill's report over HTTP: as JSON, as one HTML page, as PDF; and its way out and in as a zip."""

import asyncio
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import FastAPI, Query, Request, Response
from pydantic import BaseModel, ConfigDict, TypeAdapter
from pydantic_core import to_json
from starlette.requests import ClientDisconnect

from schemas.base import Time
from services.drills.bundle import pack, unpack
from services.drills.export import gather
from services.drills.figures import entry
from services.drills.html import render
from services.drills.http_models import EntryPage, ImportedView
from services.drills.http_shared import (
    READ,
    STORED,
    WRITE,
    Backstage,
    Cursor,
    DrillId,
    Planner,
    Reader,
    S,
    known,
    once,
    refusals,
)
from services.drills.importing import import_bundle
from services.drills.moments import Narrator, Place, open_timeline
from services.drills.reading import read_report, read_words, snapshot
from services.drills.record import DrillError
from services.drills.report import LISTED, Moment, Report
from services.drills.table import as_json
from services.platform.access.limits import LARGEST
from services.platform.cursor import bad_cursor, read_cursor, write_cursor
from services.platform.problem import ProblemError

ZIP = "application/zip"
_MOMENT: TypeAdapter[datetime] = TypeAdapter(Time)
LARGEST_UNPACKED = 256 << 20
"""Bytes that a zip may unpack to."""
HTML_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; font-src data:"
"""A report is one file with its style in it, and runs nothing."""
_AT_ONCE = asyncio.Semaphore(2)
"""Reports that are set at the same time: each takes a processor for a second or more."""

Language = Annotated[Literal["en", "zh"], Query(description="The language it is written in, or opens at.")]


class DrillReport(BaseModel):
    """A drill's report. Spans are seconds of the scenario, ``"never"``, or null for too few observations.

    Beside what is named here it holds the numbers by segment and by department, the measurable items, strengths,
    gaps, improvement items, and the timeline: its first entries, and those further on that the rest points to, of
    ``entries`` in all. ``cut`` says of how many observations a verdict was reached where not all are listed.
    """

    model_config = ConfigDict(extra="allow")

    id: UUID
    drill: str
    version: int
    status: str
    simulated: bool
    started_at: datetime
    ended_at: datetime | None
    ending: str | None
    real_incidents: int | None


def add_reports(app: FastAPI, backstage: Backstage) -> None:
    """Add the report in its forms, and the export."""

    @app.get("/v1/drills/{drill_id}/report", operation_id="report_drill", response_model=DrillReport, responses=READ)
    async def report(drill_id: DrillId, caller: Reader) -> Response:
        """Read a drill's report; while it runs, so far."""
        del caller
        found = await _read(backstage, drill_id)
        content = await asyncio.to_thread(lambda: to_json(told(found)))
        return Response(content, media_type="application/json", headers={"Cache-Control": "no-store"})

    @app.get("/v1/drills/{drill_id}/report.html", operation_id="report_drill_html", response_class=Response,
             responses=READ | _file("text/html", "One page in both languages."))  # fmt: skip
    async def html(drill_id: DrillId, caller: Reader, language: Language = "en") -> Response:
        """Read a drill's report as one HTML page that needs nothing else."""
        del caller
        found = await _read(backstage, drill_id)
        async with _AT_ONCE:
            page = await asyncio.to_thread(render, found, language)
        headers = {"Content-Security-Policy": HTML_POLICY, "Cache-Control": "no-store"}
        return Response(page, media_type="text/html; charset=utf-8", headers=headers)

    @app.get("/v1/drills/{drill_id}/report.pdf", operation_id="report_drill_pdf", response_class=Response,
             responses=READ | _file("application/pdf", "For printing and signing."))  # fmt: skip
    async def pdf(drill_id: DrillId, caller: Reader, language: Language = "en") -> Response:
        """Read a drill's report as PDF, in one language."""
        del caller
        found = await _read(backstage, drill_id)
        async with _AT_ONCE:
            with refusals(S.INTERNAL_SERVER_ERROR):
                content = await asyncio.to_thread(_pdf, found, language)
        return Response(content, media_type="application/pdf", headers=_named(f"{_name(found)}-{language}.pdf"))

    @app.get("/v1/drills/{drill_id}/export", operation_id="export_drill", response_class=Response,
             responses=WRITE | _file(ZIP, "What another Muster can import."))  # fmt: skip
    async def export(drill_id: DrillId, caller: Reader) -> Response:
        """Take everything about a drill out as a zip that another Muster can import; after its end."""
        del caller
        drill = await known(backstage.pool, drill_id)
        with refusals():
            bundle = await gather(backstage.pool, drill_id)
        content = await asyncio.to_thread(pack, bundle)
        name = f"{drill.document.id}-{drill.started_at:%Y%m%d-%H%M%S}.zip"
        return Response(content, media_type=ZIP, headers=_named(name))


def add_timeline(app: FastAPI, backstage: Backstage) -> None:
    """Add the timeline by the page: a report lists its first entries only."""

    @app.get("/v1/drills/{drill_id}/timeline", operation_id="drill_timeline", response_model=EntryPage, responses=READ)
    async def timeline(
        drill_id: DrillId,
        caller: Reader,
        department: Annotated[str | None, Query(max_length=200, pattern=STORED)] = None,
        limit: Annotated[int, Query(ge=1, le=LISTED)] = LISTED,
        cursor: Cursor = None,
    ) -> Response:
        """Read what was recorded of a drill, as it happened and with its corrections; of one department or of all."""
        del caller
        after = None if cursor is None else _place(cursor)
        drill = await known(backstage.pool, drill_id)
        async with snapshot(backstage.pool) as connection:
            line = await open_timeline(connection, drill)
            rows = await line.page(limit + 1, department=department, after=after)
            narrator = Narrator(await read_words(line), line.corrections)
        items = [entry_told(narrator.moment(row)) for row in rows[:limit]]
        last = rows[limit - 1] if len(rows) > limit else None
        where = last and (last["at"].isoformat(), last["recorded_at"].isoformat(), str(last["entry_id"]))
        following = write_cursor(*where) if where else None
        content = to_json({"items": items, "next": following})
        return Response(content, media_type="application/json", headers={"Cache-Control": "no-store"})


def _place(cursor: str) -> Place:
    at, recorded_at, id_ = read_cursor(cursor, 3)
    try:
        return Place(_MOMENT.validate_python(at), _MOMENT.validate_python(recorded_at), UUID(id_))
    except ValueError:
        raise bad_cursor() from None


def add_import(app: FastAPI, backstage: Backstage) -> None:
    """Add the import; before the paths with a drill's id."""
    body = {"requestBody": {"required": True, "content": {ZIP: {"schema": {"type": "string", "format": "binary"}}}}}

    @app.post("/v1/drills/import", operation_id="import_drill", response_model=ImportedView, responses=WRITE,
              openapi_extra=body)  # fmt: skip
    async def import_drill(request: Request, caller: Planner) -> Response:
        """Bring a drill in from another Muster's zip, with its ids; a changed or incomplete file is refused."""
        with _kept() as path:
            sent = _Sent(digest=await _receive(request, path))

            async def act() -> ImportedView:
                with refusals(S.UNPROCESSABLE_ENTITY):
                    try:
                        bundle = await asyncio.to_thread(unpack, path, LARGEST_UNPACKED)
                    except DrillError as error:
                        raise DrillError(str(error).removeprefix(f"{path}: ")) from None
                    done = await import_bundle(backstage.pool, bundle)
                return ImportedView(id=done.drill_id, new=done.new, rows=done.rows, digest=bundle.digest)

            return await once(backstage, request, caller, sent, act)


def told(report: Report) -> dict[str, object]:
    """Give the report as it is sent, with the words that a reader of it needs."""
    told = as_json(report)
    rules = {row.rule.id: row.rule for row in report.objectives}
    return {
        **told,
        "title": report.drill.document.title,
        "purpose": report.drill.document.purpose,
        "duration": report.duration.total_seconds(),
        "names": {row.id: row.title for row in report.departments},
        "objectives": [
            {**each, "title": rules[each["id"]].title, "criterion": rules[each["id"]].criterion}
            for each in told["objectives"]
        ],
        "timeline": [entry_told(moment) for moment in report.timeline],
    }


def entry_told(moment: Moment) -> dict[str, Any]:
    """Give one entry as it is sent, with what its task is called."""
    return entry(moment) if moment.task is None else {**entry(moment), "task_title": moment.task}


async def _read(backstage: Backstage, drill_id: UUID) -> Report:
    await known(backstage.pool, drill_id)
    return await read_report(backstage.pool, drill_id)


def _pdf(report: Report, language: str) -> bytes:
    from services.drills import pdf  # the typesetter takes longer to import than most requests take

    return pdf.render(report, language)


def _name(report: Report) -> str:
    return f"{report.drill.document.id}-{report.drill.started_at:%Y%m%d-%H%M%S}"


def _named(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}


def _file(media_type: str, description: str) -> dict[int | str, dict[str, object]]:
    schema = {"type": "string"} if media_type.startswith("text/") else {"type": "string", "format": "binary"}
    return {200: {"description": description, "content": {media_type: {"schema": schema}}}}


@contextmanager
def _kept() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="muster-import-") as folder:
        yield Path(folder) / "drill.zip"


class _Sent(BaseModel):
    digest: str


async def _receive(request: Request, path: Path) -> str:
    """Keep a body in a file and give its digest; raises `ProblemError` for another media type, and beyond `LARGEST`."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != ZIP:
        raise ProblemError(S.UNSUPPORTED_MEDIA_TYPE, f"Content-Type: send {ZIP}", headers={"Accept": ZIP})
    size, digest = 0, hashlib.sha256()
    with path.open("wb") as file:
        try:
            async for chunk in request.stream():
                size += len(chunk)
                if size > LARGEST:
                    detail = f"the zip has more than {LARGEST >> 20} MiB; use `muster drill import`"
                    raise ProblemError(S.REQUEST_ENTITY_TOO_LARGE, detail, headers={"Connection": "close"})
                digest.update(chunk)
                file.write(chunk)
        except ClientDisconnect:
            raise ProblemError(S.BAD_REQUEST, "the body ended early; send it again") from None
    if not size:
        raise ProblemError(S.BAD_REQUEST, "the body is empty; send one zip", kind="malformed")
    return digest.hexdigest()
