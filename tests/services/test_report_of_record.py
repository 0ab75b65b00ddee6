"""Real drills' reports say what they did when each entry was still read as a value, and cut only what they list.

`records/` has two drills that were run, their ENDEX and some entries' times then changed by chance, with the reports
that were made of them by reading every entry. They are as they were: nothing here writes them anew.
"""

import csv
import gzip
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import to_json
from rich.console import Console

from services.drills import evidence, findings, reading, words
from services.drills.bundle import unpack
from services.drills.export import write_tables
from services.drills.html import render
from services.drills.http_report import told
from services.drills.importing import import_bundle
from services.drills.pdf import render as render_pdf
from services.drills.reading import read_report
from services.drills.report import Report
from services.drills.table import print_report
from services.platform.postgres import Pool

RECORDS = Path(__file__).parent / "records"
FEW = 10


async def read(pool: Pool, name: str) -> tuple[Report, dict[str, Any]]:
    """Bring a drill in; give its report, and the one that was made of it before."""
    done = await import_bundle(pool, unpack(RECORDS / f"{name}.zip"))
    before = json.loads(gzip.decompress((RECORDS / f"{name}.report.json.gz").read_bytes()))
    return await read_report(pool, done.drill_id), before


def whole(report: Report) -> dict[str, Any]:
    """Give all that a report says, as JSON has it."""
    lists = {
        "bars": list(report.bars),
        "never": [bar.id for bar in report.never],
        "missed": [moment.id for moment in report.escalations],
        "obstacles_told": report.obstacles,
    }
    found: dict[str, Any] = json.loads(to_json({**told(report), **lists}))
    return found


@pytest.mark.parametrize("name", ["night-tower-fire", "two-incidents"])
async def test_a_report_says_what_it_said_when_every_entry_was_read(pool: Pool, name: str) -> None:
    report, before = await read(pool, name)
    found = whole(report)
    assert found.pop("entries") == len(before["timeline"])
    assert found.keys() == before.keys()
    assert {part: found[part] for part in found if found[part] != before[part]} == {}
    assert words.cut(report) == {}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a report list very little."""
    for module in (evidence, findings, reading, words):
        monkeypatch.setattr(module, "LISTED", FEW)


@pytest.mark.usefixtures("few")
async def test_a_list_that_is_cut_says_so_and_no_number_changes(pool: Pool, tmp_path: Path) -> None:
    report, before = await read(pool, "two-incidents")
    found = whole(report)
    judged = {**before["evidence"], **{item["id"]: item["evidence"] for item in before["aqt_9009"]}}
    assert found.pop("cut") == {
        id_: {"held": sum(each["ok"] for each in checks), "of": len(checks)}
        for id_, checks in judged.items()
        if max(sum(each["ok"] for each in checks), sum(not each["ok"] for each in checks)) > FEW
    }
    assert found["entries"] == len(before["timeline"])
    cut = {"entries", "timeline", "evidence", "aqt_9009", "bars", "missed", "never", "gaps", "strengths"}
    assert {part: found[part] for part in before.keys() - cut if found[part] != before[part]} == {}
    for part in ("strengths", "gaps"):
        assert [each["text"] for each in found[part]] == [each["text"] for each in before[part]]
    assert [item["verdict"] for item in found["aqt_9009"]] == [item["verdict"] for item in before["aqt_9009"]]
    shown = {**found["evidence"], **{item["id"]: item["evidence"] for item in found["aqt_9009"]}}
    for id_, checks in judged.items():
        for ok in (False, True):
            first = [each["at"] for each in checks if each["ok"] is ok][:FEW]
            assert [each["at"] for each in shown[id_] if each["ok"] is ok] == first
    assert found["bars"] == before["bars"][:FEW]
    assert found["missed"] == before["missed"][:FEW]
    # The timeline has the first, and what is pointed to, each entry as it was.
    ids = [each["id"] for each in found["timeline"]]
    assert ids[:FEW] == [each["id"] for each in before["timeline"]][:FEW]
    assert found["timeline"] == [each for each in before["timeline"] if each["id"] in ids]
    assert {each["entry"] for checks in shown.values() for each in checks} <= set(ids)
    assert len(ids) < len(before["timeline"])
    await it_is_said_everywhere(pool, report, before, tmp_path)


async def it_is_said_everywhere(pool: Pool, report: Report, before: dict[str, Any], folder: Path) -> None:
    """On every form in both languages; and the tables have everything."""
    page, total = render(report), len(before["timeline"])
    for said in (f"Entries 1-{FEW} of {total}", f"共 {total} 条，此处为第 1-{FEW} 条", f"Assignments 1-{FEW} of"):
        assert said in page
    assert set(re.findall(r'href="#(e-[^"]+)"', page)) <= set(re.findall(r'id="(e-[^"]+)"', page))
    assert render_pdf(report, "zh").startswith(b"%PDF-")
    for language, said in (("en", "further on that the evaluation rests on"), ("zh", "另有评估所依据的后续记录")):
        out = io.StringIO()
        print_report(report, Console(width=200, file=out), language)
        assert said in out.getvalue()
    await write_tables(pool, report.drill.id, folder)

    def ids(name: str) -> list[str]:
        with (folder / f"{name}.csv").open(encoding="utf-8-sig", newline="") as file:
            return [row["id"] for row in csv.DictReader(file)]

    assert ids("timeline") == [each["id"] for each in before["timeline"]]
    assert ids("assignments") == [each["id"] for each in before["bars"]]
