"""The report as pages: Chinese on any machine, nothing read as markup, the same bytes for the same record."""

import base64
import io
import os
import re
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont
from pypdf import PdfReader

from schemas.timeline import Entry
from services.drills import font, pdf
from services.drills.corrections import correct
from services.drills.html import render
from services.drills.reading import read_report
from services.drills.report import Report
from services.platform.postgres import Pool
from tests.services.drill_history import DRILL, HOSTILE, at, write_drill


@pytest.fixture
async def report(pool: Pool) -> Report:
    await write_drill(pool, title=HOSTILE)
    read = await read_report(pool, DRILL)
    entry = next(each for each in read.timeline if each.entry is Entry.COMMITTED)
    await correct(pool, DRILL, entry.id, occurred_at=at(2.5), reason="对讲机记录", by="王丽")
    return await read_report(pool, DRILL)


def text_of(content: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)


def plain(text: str) -> str:
    return re.sub(r"\s", "", text)


async def test_the_chinese_pages_are_in_chinese_with_a_font_of_their_own(report: Report) -> None:
    content = pdf.render(report, "zh")
    text = plain(text_of(content))
    for words in ("演练报告", "洪水", "可测评项目", "演练评估指南", "封闭道路", "顺利完成", "对讲机记录", "王丽"):
        assert words in text, words
    fonts = re.findall(rb"/FontName\s*/([A-Z]{6}\+[\w-]+)", content)
    assert any(b"NotoSansSC" in name for name in fonts), "embedded and cut to what is used"
    assert len(content) < 1_000_000


async def test_the_english_pages_hold_the_report_and_take_no_text_for_markup(report: Report) -> None:
    text = plain(text_of(pdf.render(report, "en")))
    assert plain(HOSTILE) in text
    for words in ("Measurable items", "Exercise evaluation guide", "Somebody closes the road soon", "Signature"):
        assert plain(words) in text, words


async def test_every_link_of_the_pages_leads_somewhere_in_them(report: Report) -> None:
    reader = PdfReader(io.BytesIO(pdf.render(report, "en")))
    pages = {page.indirect_reference.idnum for page in reader.pages if page.indirect_reference}
    links = [
        annotation.get_object()
        for page in reader.pages
        for annotation in page.get("/Annots") or ()
        if annotation.get_object()["/Subtype"] == "/Link"
    ]
    assert len(links) > 10
    for link in links:
        target = link.get("/Dest") or link["/A"]["/D"]
        if isinstance(target, str):
            assert target in reader.named_destinations
        else:
            assert target[0].idnum in pages


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_the_same_record_gives_the_same_bytes(
    report: Report, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pdf.render(report, language)
    monkeypatch.setitem(os.environ, "TZ", "Asia/Shanghai")
    assert pdf.render(report, language) == first


async def test_the_page_carries_the_chinese_type_it_needs(report: Report, tmp_path: Path) -> None:
    page = render(report, "zh")
    found = re.search(r"url\(data:font/woff;base64,([A-Za-z0-9+/=]+)\)", page)
    assert found is not None
    path = tmp_path / "cut.woff"
    path.write_bytes(base64.b64decode(found[1]))
    known = set(TTFont(path).getBestCmap())
    body = page.partition("</style>")[2]
    wanted = {ord(sign) for sign in body if "㐀" <= sign <= "鿿"}
    assert len(wanted) > 150
    assert wanted <= known


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_the_page_opens_at_the_language_asked_for(report: Report, language: str) -> None:
    page = render(report, language)
    opened = re.findall(r'<input type="radio" name="language" id="(\w+)" checked', page)
    assert opened == [language]


def test_a_text_without_chinese_needs_no_type() -> None:
    assert font.cut_to(["plain", "ASCII ≤ – ·"]) == ""
