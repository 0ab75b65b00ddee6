"""An alert is read as the standard has it, and one that can't be taken is refused in one line with its line number."""

import copy
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lxml import etree

from schemas.vocabulary import Category, Certainty, MessageType, Severity, Status
from services.intake.cap import parse_cap
from services.intake.cap_error import CapError
from services.intake.cap_xml import MAX_BYTES
from services.platform.report_in import ReportIn

NOW = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
CAP_1_2 = "urn:oasis:names:tc:emergency:cap:1.2"
CAP_1_1 = "urn:oasis:names:tc:emergency:cap:1.1"
CAP_1_0 = "http://www.incident.com/cap/1.0"
DATA = Path(__file__).parents[2].parent / "shared" / "data" / "cap"

ALERT = f"""<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="{CAP_1_2}">
<identifier>A-1</identifier>
<sender>dispatch@example.org</sender>
<sent>2026-06-01T09:59:00+02:00</sent>
<status>Exercise</status>
<msgType>Alert</msgType>
<scope>Public</scope>
<restriction/>
<note/>
<info>
<language>en-GB</language>
<category>Fire</category>
<event>High-rise fire</event>
<responseType>Evacuate</responseType>
<urgency>Immediate</urgency>
<severity>Severe</severity>
<certainty>Observed</certainty>
<eventCode><valueName>SAME</valueName><value>FRW</value></eventCode>
<onset>2026-06-01T09:55:00+02:00</onset>
<expires>2026-06-01T12:00:00-00:00</expires>
<headline>Fire on the 14th floor</headline>
<parameter><valueName>storeys</valueName><value>30</value></parameter>
<parameter><valueName>empty</valueName><value></value></parameter>
<resource><resourceDesc>Plan of the building</resourceDesc><mimeType>image/png</mimeType><size>12345</size></resource>
<area>
<areaDesc>Harbour quarter</areaDesc>
<polygon>1,2 3,4 5,6 1,2</polygon>
<circle>32.9,-115.8 0.5</circle>
<geocode><valueName>FIPS6</valueName><value>006113</value></geocode>
<altitude>500</altitude>
</area>
</info>
</alert>
"""

ENUM_RESPONSES = "Shelter, Evacuate, Prepare, Execute, Avoid, Monitor, Assess, AllClear, None"
OFFSET = "write it with its offset, like 2026-05-24T16:49:00-07:00"

# What is changed in the alert above, into what, and the one line that follows.
FAULTS = [
    ("<identifier>A-1</identifier>", "", "line 2: <alert> has no <identifier>; add it (CAP 1.2, 3.2.1)"),
    ("A-1", "", "line 3: <identifier> is empty; say what it stands for (CAP 1.2, 3.2.1)"),
    ("A-1", "A 1", "line 3: <identifier> is 'A 1'; leave out spaces, commas, < and & (CAP 1.2, 3.2.1)"),
    ("A-1", "A&amp;1", "line 3: <identifier> is 'A&1'; leave out spaces, commas, < and & (CAP 1.2, 3.2.1)"),
    ("A-1", "x" * 501, "line 3: <identifier> has 501 characters; shorten it to 500 (CAP 1.2, 3.2.1)"),
    ("dispatch@", "a,b@", "line 4: <sender> is 'a,b@example.org'; leave out spaces, commas, < and & (CAP 1.2, 3.2.1)"),
    (
        "T09:59:00+02:00",
        "T09:59:00Z",
        f"line 5: <sent> holds the time '2026-06-01T09:59:00Z'; {OFFSET} (CAP 1.2, 3.2.1)",
    ),
    (
        "T09:59:00+02:00",
        "T09:59:00",
        f"line 5: <sent> holds the time '2026-06-01T09:59:00'; {OFFSET} (CAP 1.2, 3.2.1)",
    ),
    (
        "2026-06-01T09:59",
        "2026-02-30T09:59",
        f"line 5: <sent> holds the time '2026-02-30T09:59:00+02:00'; {OFFSET} (CAP 1.2, 3.2.1)",
    ),
    (
        "2026-06-01T09:59",
        "0001-01-01T00:00",
        "line 5: <sent> holds the year 1; stay within 1900 and 2200 (CAP 1.2, 3.2.1)",
    ),
    (
        "2026-06-01T09:59",
        "9999-12-31T23:59",
        "line 5: <sent> holds the year 9999; stay within 1900 and 2200 (CAP 1.2, 3.2.1)",
    ),
    (
        "<status>Exercise</status>",
        "",
        "line 2: <alert> has no <status>; add it, one of Actual, Exercise, System, Test, Draft (CAP 1.2, 3.2.1)",
    ),
    (
        "Exercise",
        "exercise",
        "line 6: <status> says 'exercise'; write one of Actual, Exercise, System, Test, Draft (CAP 1.2, 3.2.1)",
    ),
    (
        "Exercise",
        "System",
        (
            "line 6: <status> is System, which is about the alerting system itself;"
            " Muster takes Actual, Exercise and Test (CAP 1.2, 3.2.1)"
        ),
    ),
    (
        "Exercise",
        "Draft",
        (
            "line 6: <status> is Draft, which is not meant to be acted on;"
            " Muster takes Actual, Exercise and Test (CAP 1.2, 3.2.1)"
        ),
    ),
    (
        "<msgType>Alert",
        "<msgType>Alarm",
        "line 7: <msgType> says 'Alarm'; write one of Alert, Update, Cancel, Ack, Error (CAP 1.2, 3.2.1)",
    ),
    *(
        (
            "<msgType>Alert",
            f"<msgType>{kind}",
            (
                f"line 2: <references> must name the alerts that this {kind} is about;"
                " write sender,identifier,sent of each (CAP 1.2, 3.2.1)"
            ),
        )
        for kind in ("Update", "Cancel", "Ack", "Error")
    ),
    (
        "<msgType>Alert</msgType>",
        "<msgType>Ack</msgType><references>a,b,2026-06-01T09:59:00+02:00</references>",
        (
            "line 7: <msgType> is Ack, which answers an alert and reports no incident;"
            " Muster takes Alert, Update and Cancel (CAP 1.2, 3.2.1)"
        ),
    ),
    (
        "<msgType>Alert</msgType>",
        "<msgType>Error</msgType><references>a,b,2026-06-01T09:59:00+02:00</references>",
        (
            "line 7: <msgType> is Error, which refuses an alert and reports no incident;"
            " Muster takes Alert, Update and Cancel (CAP 1.2, 3.2.1)"
        ),
    ),
    (
        "<note/>",
        "<references>a,b</references>",
        "line 10: <references> holds 'a,b'; write sender,identifier,sent with spaces between (CAP 1.2, 3.2.1)",
    ),
    (
        "<note/>",
        "<references>a,b,noon</references>",
        f"line 10: <references> holds the time 'noon'; {OFFSET} (CAP 1.2, 3.2.1)",
    ),
    (
        "<scope>Public</scope>",
        "",
        "line 2: <alert> has no <scope>; add it, one of Public, Restricted, Private (CAP 1.2, 3.2.1)",
    ),
    ("Public", "Restricted", "line 8: <scope> is Restricted, and there is no <restriction>; add it (CAP 1.2, 3.2.1)"),
    ("Public", "Private", "line 8: <scope> is Private, and there is no <addresses>; add it (CAP 1.2, 3.2.1)"),
    ("<note/>", "<note/><note/>", "line 10: <note> stands in <alert> 2 times; give it once (CAP 1.2, 3.2.1)"),
    (
        "<note/>",
        "<mood/>",
        "line 10: <mood> is no element of <alert> in CAP 1.2; correct its name or remove it (CAP 1.2, 3.2.1)",
    ),
    ("<note/>", "<note><b/></note>", "line 10: <note> holds other elements; write text only (CAP 1.2, 3.2.1)"),
    ("en-GB", "English!", "line 12: <language> is 'English!'; write a code like en-US (RFC 3066) (CAP 1.2, 3.2.2)"),
    (
        "<category>Fire</category>",
        "",
        (
            "line 11: <info> has no <category>; add it, one of Geo, Met, Safety, Security, Rescue, Fire, Health, Env,"
            " Transport, Infra, CBRNE, Other (CAP 1.2, 3.2.2)"
        ),
    ),
    (
        "<category>Fire",
        "<category>Flames",
        (
            "line 13: <category> says 'Flames'; write one of Geo, Met, Safety, Security, Rescue, Fire, Health, Env,"
            " Transport, Infra, CBRNE, Other (CAP 1.2, 3.2.2)"
        ),
    ),
    ("<event>High-rise fire</event>", "", "line 11: <info> has no <event>; add it (CAP 1.2, 3.2.2)"),
    ("High-rise fire", " ", "line 14: <event> is empty; say what it stands for (CAP 1.2, 3.2.2)"),
    (
        "Evacuate",
        "Run",
        f"line 15: <responseType> says 'Run'; write one of {ENUM_RESPONSES} (CAP 1.2, 3.2.2)",
    ),
    (
        "<urgency>Immediate</urgency>",
        "",
        "line 11: <info> has no <urgency>; add it, one of Immediate, Expected, Future, Past, Unknown (CAP 1.2, 3.2.2)",
    ),
    (
        "<severity>Severe",
        "<severity>Bad",
        "line 17: <severity> says 'Bad'; write one of Extreme, Severe, Moderate, Minor, Unknown (CAP 1.2, 3.2.2)",
    ),
    (
        "<certainty>Observed",
        "<certainty>Very Likely",
        (
            "line 18: <certainty> says 'Very Likely'; write one of Observed, Likely, Possible, Unlikely, Unknown"
            " (CAP 1.2, 3.2.2)"
        ),
    ),
    (
        "<valueName>SAME</valueName>",
        "",
        "line 19: <eventCode> has no <valueName>; add it (CAP 1.2, 3.2.2)",
    ),
    ("<value>30</value>", "", "line 23: <parameter> has no <value>; add it (CAP 1.2, 3.2.2)"),
    ("T09:55:00+02:00", "", f"line 20: <onset> holds the time '2026-06-01'; {OFFSET} (CAP 1.2, 3.2.2)"),
    ("T12:00:00-00:00", "T12:00", f"line 21: <expires> holds the time '2026-06-01T12:00'; {OFFSET} (CAP 1.2, 3.2.2)"),
    ("<mimeType>image/png</mimeType>", "", "line 25: <resource> has no <mimeType>; add it (CAP 1.2, 3.2.3)"),
    ("12345", "12 kB", "line 25: <size> is '12 kB'; write a whole number of bytes (CAP 1.2, 3.2.3)"),
    ("<areaDesc>Harbour quarter</areaDesc>", "", "line 26: <area> has no <areaDesc>; add it (CAP 1.2, 3.2.4)"),
    ("5,6 1,2", "1,2", "line 28: <polygon> has 3 points; give at least 4 (CAP 1.2, 3.2.4)"),
    ("5,6 1,2", "5,6 1,3", "line 28: <polygon> begins at 1,2 and ends at 1,3; end where it begins (CAP 1.2, 3.2.4)"),
    (
        "3,4 5,6",
        "3 4 5,6",
        "line 28: <polygon> holds '3'; write each point as latitude,longitude in degrees (CAP 1.2, 3.2.4)",
    ),
    (
        "3,4 5,6",
        "91,4 5,6",
        (
            "line 28: <polygon> holds '91,4';"
            " keep the latitude within 90 degrees, the longitude within 180 (CAP 1.2, 3.2.4)"
        ),
    ),
    (
        "3,4 5,6",
        "3,nan 5,6",
        "line 28: <polygon> holds '3,nan'; write each point as latitude,longitude in degrees (CAP 1.2, 3.2.4)",
    ),
    (
        "32.9,-115.8 0.5",
        "32.9,-115.8",
        "line 29: <circle> is '32.9,-115.8'; write a point, a space and a radius in km (CAP 1.2, 3.2.4)",
    ),
    (
        "-115.8 0.5",
        "-115.8 -1",
        "line 29: <circle> has the radius '-1'; write kilometres, 0 or more (CAP 1.2, 3.2.4)",
    ),
    ("FIPS6", "", "line 30: <valueName> is empty; say what it stands for (CAP 1.2, 3.2.4)"),
    (
        "<altitude>500",
        "<altitude>high",
        "line 31: <altitude> is 'high'; write feet above sea level as a number (CAP 1.2, 3.2.4)",
    ),
]

NAMESPACES = f"send an <alert> in one of {CAP_1_2}, {CAP_1_1}, {CAP_1_0}"

MALFORMED = [
    (b"", "line 1: <alert> is missing, the document is empty; send one CAP alert"),
    (b" \n", "line 1: <alert> is missing, the document is empty; send one CAP alert"),
    (b"x" * (MAX_BYTES + 1), "line 1: <alert> has 1000001 bytes; send at most 1000000"),
    (
        b"<?xml version='1.0' encoding='utf-7'?><alert/>",
        "line 1: <alert> declares the encoding 'utf-7', which is not read here; send UTF-8",
    ),
    (
        b"<?xml version='1.0'?>\n<alert>\xe9</alert>",
        "line 2: <alert> is not in the encoding it declares (utf-8); declare the one it is written in, or send UTF-8",
    ),
    (
        b"<alert>\n\xed\xa0\x80</alert>",
        "line 2: <alert> is not in the encoding it declares (utf-8); declare the one it is written in, or send UTF-8",
    ),
    (b"<alert>\n\n\0</alert>", "line 3: <alert> holds a NUL character; remove it; XML has no such character"),
]


def read(text: str | bytes) -> ReportIn:
    return parse_cap(text.encode() if isinstance(text, str) else text, reported_at=NOW)


def fault(text: str | bytes) -> CapError:
    with pytest.raises(CapError) as caught:
        read(text)
    message = str(caught.value)
    assert message.isprintable(), "one line that is safe to print"
    assert len(message) < 400
    return caught.value


def test_everything_in_an_alert_that_muster_uses_is_taken_over() -> None:
    report = read(ALERT)
    assert report.status is Status.EXERCISE
    assert report.message_type is MessageType.ALERT
    assert report.categories == (Category.FIRE,)
    assert report.event == "High-rise fire"
    assert report.severity is Severity.SEVERE
    assert report.certainty is Certainty.OBSERVED
    assert report.language == "en-GB"
    assert report.occurred_at == datetime(2026, 6, 1, 7, 55, tzinfo=UTC)
    assert report.expires_at == datetime(2026, 6, 1, 12, 0, tzinfo=UTC), "-00:00 means UTC"
    assert report.event_codes == {"SAME": ("FRW",)}
    assert report.parameters == {"storeys": "30"}, "a number stays text, an empty value says nothing"
    assert report.areas[0].geocodes == {"FIPS6": ("006113",)}
    assert report.areas[0].polygons == ("1,2 3,4 5,6 1,2",)
    assert report.areas[0].circles == ("32.9,-115.8 0.5",)
    assert report.reported_by == "dispatch@example.org"
    assert report.reported_at == NOW
    assert report.alert is not None
    assert (report.alert.sender, report.alert.identifier) == ("dispatch@example.org", "A-1")
    assert report.alert.sent == datetime(2026, 6, 1, 7, 59, tzinfo=UTC)


@pytest.mark.parametrize(("old", "new", "line"), FAULTS, ids=[f"{n}" for n in range(len(FAULTS))])
def test_a_fault_is_told_in_one_line_with_its_place_and_its_mend(old: str, new: str, line: str) -> None:
    assert ALERT.count(old) >= 1
    error = fault(ALERT.replace(old, new, 1))
    assert str(error) == line
    assert not error.malformed


@pytest.mark.parametrize(("data", "line"), MALFORMED)
def test_what_is_no_readable_xml_is_refused_in_one_line(data: bytes, line: str) -> None:
    error = fault(data)
    assert str(error) == line
    assert error.malformed


def test_xml_that_breaks_off_is_refused_at_its_line() -> None:
    error = fault(ALERT[: ALERT.index("</urgency>")])
    assert str(error).startswith("line 16: <alert> is not well-formed XML: ")
    assert str(error).endswith("; correct it there")


@pytest.mark.parametrize("reference", ["&#0;", "&#xD800;", "&#x8;", "&undeclared;"])
def test_references_to_what_is_no_character_are_refused(reference: str) -> None:
    assert str(fault(ALERT.replace("A-1", reference))).startswith("line 3: <alert> is not well-formed XML: ")


@pytest.mark.parametrize("root", ["<alert/>", "<alert xmlns='urn:x'/>", f"<info xmlns='{CAP_1_2}'/>", "<html/>"])
def test_other_documents_are_told_what_an_alert_is(root: str) -> None:
    assert str(fault(root)).endswith(f" is no CAP alert; {NAMESPACES}")


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE alert [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE alert [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>',
        '<!DOCTYPE alert SYSTEM "http://127.0.0.1:9/evil.dtd">',
        "<!-- first --><?then this?>\n<!-- >< --> <!DOCTYPE alert>",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_no_doctype_is_read_wherever_it_stands(doctype: str, encoding: str) -> None:
    text = ALERT.replace("UTF-8", encoding).replace("?>\n", f"?>\n{doctype}\n", 1).replace("A-1", "&x;&c;")
    error = fault(text.encode(encoding))
    assert str(error).endswith("<alert> comes with a DOCTYPE; remove it; an alert needs none")
    assert error.malformed


def test_the_word_doctype_may_be_part_of_a_text() -> None:
    report = read(
        ALERT.replace("Fire on the 14th floor", "<![CDATA[<!DOCTYPE x>]]>").replace("<note/>", "<!-- <!DOCTYPE -->")
    )
    assert report.headline == "<!DOCTYPE x>"


def test_a_long_prolog_is_read_in_one_pass() -> None:
    fault(b"<!-- -->" * 100_000 + b"<alert")
    fault(b"<?x ?>" * 100_000 + b"<!-- ")


def test_nesting_is_bounded() -> None:
    deep = "<x xmlns=''>" * 40 + "</x>" * 40
    assert str(fault(ALERT.replace("<note/>", deep))).endswith("nests deeper than 32 elements; flatten it")
    assert fault(ALERT.replace("<note/>", "<x>" * 5_000)).malformed


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gb18030", "iso-8859-1"])
def test_an_alert_is_read_in_the_encoding_it_declares(encoding: str) -> None:
    title = "Feuer im 14. Stock: Höhe" if encoding == "iso-8859-1" else "高层建筑火灾"
    declared = {"utf-8-sig": "utf-8", "utf-16-le": "utf-16"}.get(encoding, encoding)
    text = ALERT.replace("UTF-8", declared).replace("Fire on the 14th floor", title)
    assert read(text.encode(encoding)).headline == title


def test_the_first_block_in_english_is_taken_else_the_first() -> None:
    english = ALERT[ALERT.index("<info>") : ALERT.index("</alert>")]
    chinese = (
        english.replace("en-GB", "zh-CN").replace("Fire on the 14th floor", "高层建筑火灾").replace("storeys", "层")
    )
    both = ALERT.replace("<info>", chinese + "<info>", 1)
    assert (read(both).language, read(both).parameters) == ("en-GB", {"storeys": "30"})
    assert read(ALERT.replace(english, chinese)).headline == "高层建筑火灾"
    unnamed = english.replace("<language>en-GB</language>", "")
    assert read(ALERT.replace(english, chinese + unnamed)).language == "en-US", "what is meant where none is given"


def test_a_fault_in_a_block_that_is_not_taken_is_told_too() -> None:
    second = ALERT[ALERT.index("<info>") : ALERT.index("</alert>")].replace("<event>High-rise fire</event>", "")
    assert "has no <event>" in str(fault(ALERT.replace("</alert>", second + "</alert>")))


def test_what_an_alert_is_silent_about_stays_unset() -> None:
    start, end = ALERT.index("<info>"), ALERT.index("</alert>")
    report = read(ALERT[:start] + ALERT[end:])
    assert report.model_fields_set == {"status", "message_type", "reported_by", "reported_at", "alert"}


def test_the_order_of_elements_does_not_matter_and_foreign_ones_are_passed_over() -> None:
    moved = ALERT.replace("<scope>Public</scope>\n", "").replace(
        "</alert>", "<scope>Public</scope><a xmlns='u:v'/></alert>"
    )
    assert read(moved) == read(ALERT)


def test_several_values_of_one_name_are_all_kept() -> None:
    more = "<parameter><valueName>storeys</valueName><value>31</value></parameter>"
    report = read(ALERT.replace("<area>", more + "<area>"))
    assert report.parameters == {"storeys": "30, 31"}


def test_a_reference_finds_the_alerts_an_update_is_about() -> None:
    references = "<references>a@b.c,X-1,2026-06-01T09:00:00+00:00\n d@e.f,X-2,2026-06-01T09:30:00+01:00</references>"
    report = read(ALERT.replace("<msgType>Alert", "<msgType>Update").replace("<note/>", references))
    assert [reference.identifier for reference in report.references] == ["X-1", "X-2"]
    assert report.message_type is MessageType.UPDATE


def test_version_1_1_knows_fewer_words() -> None:
    older = ALERT.replace(CAP_1_2, CAP_1_1)
    assert read(older) == read(ALERT)
    assert "says 'AllClear'" in str(fault(older.replace("Evacuate", "AllClear")))


def test_version_1_0_is_read_with_its_own_rules() -> None:
    older = (
        ALERT.replace(CAP_1_2, CAP_1_0)
        .replace("<responseType>Evacuate</responseType>\n", "")
        .replace("<scope>Public</scope>\n", "<password>secret</password>\n")
        .replace("<category>Fire</category>\n", "")
        .replace("Observed", "Very Likely")
        .replace("2026-06-01T09:59:00+02:00", "2026-06-01T07:59:00.5Z")
        .replace("<valueName>SAME</valueName><value>FRW</value>", "SAME=FRW")
        .replace("<valueName>storeys</valueName><value>30</value>", "storeys=30")
        .replace("<valueName>empty</valueName><value></value>", "empty=")
        .replace("<valueName>FIPS6</valueName><value>006113</value>", "FIPS6=006113")
    )
    report = read(older)
    assert report.certainty is Certainty.LIKELY
    assert report.categories == ()
    assert report.event_codes == {"SAME": ("FRW",)}
    assert report.parameters == {"storeys": "30"}
    assert report.areas[0].geocodes == {"FIPS6": ("006113",)}
    assert "secret" not in report.model_dump_json()
    assert str(fault(older.replace("SAME=FRW", "FRW"))).endswith("has no name; write name=value (CAP 1.0, 3.2.2)")
    assert "says 'CBRNE'" in str(fault(older.replace("<event>", "<category>CBRNE</category><event>")))
    assert "says 'Observed'" in str(fault(older.replace("Very Likely", "Observed")))
    assert "says 'Draft'" in str(fault(older.replace("Exercise", "Draft")))


def real(name: str) -> bytes:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is absent: the real alerts are not part of this repository")
    return path.read_bytes()


@pytest.mark.parametrize("name", ["weather", "earthquake", "canada", "amber", "no_optional_fields"])
def test_real_alerts_are_read(name: str) -> None:
    report = read(real(f"{name}.cap"))
    assert report.status is Status.ACTUAL
    assert report.alert is not None


def test_a_real_alert_says_what_its_sender_measured() -> None:
    report = read(real("earthquake.cap"))
    assert report.parameters["Magnitude"] == "6.3"
    assert report.alert is not None
    assert report.alert.sender == "http://earthquake.usgs.gov/research/monitoring/anss/neic/"
    assert report.areas[0].circles == ("-16.053,-173.274 0.0",)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "invalid",
            "line 2: <alert> has no <scope>; add it, one of Public, Restricted, Private (CAP 1.2, 3.2.1)",
        ),
        (
            "canada_errors",
            (
                "line 12: <references> must name the alerts that this Update is about;"
                " write sender,identifier,sent of each (CAP 1.2, 3.2.1)"
            ),
        ),
    ],
)
def test_real_faulty_alerts_are_refused(name: str, line: str) -> None:
    assert str(fault(real(f"{name}.cap"))) == line


UNUSED = {"web", "uri"}
"""Elements that Muster doesn't read and so doesn't check beyond their place; the schema wants a URI there."""


def changed(root: etree._Element) -> Iterator[tuple[str, etree._Element]]:
    """Give copies of an alert with one element removed, repeated, renamed or made to say something else."""
    for index, element in enumerate(root.iter("*")):
        name = etree.QName(element).localname
        if element is root or name in UNUSED:
            continue
        for change in ("removed", "repeated", "renamed", "nonsense", "nested"):
            mutant = copy.deepcopy(root)
            victim = list(mutant.iter("*"))[index]
            parent = victim.getparent()
            assert parent is not None
            if change == "removed":
                parent.remove(victim)
            elif change == "repeated":
                parent.insert(parent.index(victim), copy.deepcopy(victim))
            elif change == "renamed":
                victim.tag = f"{{{CAP_1_2}}}unheard-of"
            elif change == "nonsense" and not len(victim):
                victim.text = "x y!"
            elif change == "nested" and not len(victim):
                victim.append(etree.Element(f"{{{CAP_1_2}}}event"))
            yield f"{name} {change}", mutant


@pytest.mark.parametrize("name", ["amber.cap", "canada.cap", "alert"])
def test_whatever_the_standards_own_schema_refuses_is_refused_here(name: str) -> None:
    schema = etree.XMLSchema(etree.fromstring(real("cap12.xsd")))
    root = etree.fromstring(ALERT.encode() if name == "alert" else real(name))
    assert schema.validate(root)
    read(etree.tostring(root))
    refused = 0
    for what, mutant in changed(root):
        if schema.validate(mutant):
            continue
        refused += 1
        try:
            read(etree.tostring(mutant))
        except CapError:
            continue
        pytest.fail(f"{what}: the schema refuses it, and it was read")
    assert refused > 50
