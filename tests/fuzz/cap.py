"""Fuzzes CAP: entity and expansion attacks, schema-valid nonsense, wrong encodings, signatures whole and garbled."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from schemas.envelope import INCIDENT, read_message, write_value
from services.intake.cap import parse_cap
from services.intake.cap_error import CapError
from services.intake.cap_grammar import VERSIONS
from services.platform.outbox import envelope_of
from services.playbooks.conditions import variables
from tests.contract.test_cap import ALERT
from tests.fuzz.harness import Entry, Target
from tests.fuzz.shapes import NASTY, spoilt

DATA = Path(__file__).parents[3] / "shared" / "data" / "cap"
NOW = datetime(2026, 6, 1, 8, tzinfo=UTC)

SIGNATURE = b"""<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo>
<CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>
<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/><Reference URI=""><Transforms>
<Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/></Transforms>
<DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><DigestValue>aGVsbG8=</DigestValue></Reference>
</SignedInfo><SignatureValue>bm90IGEgc2lnbmF0dXJl</SignatureValue><KeyInfo><X509Data><X509Certificate>AAAA
</X509Certificate></X509Data></KeyInfo></Signature>"""
GARBLED = (
    SIGNATURE.replace(b"</SignatureValue>", b"</Signature>"),
    SIGNATURE[: len(SIGNATURE) // 2],
    SIGNATURE.replace(b"SignedInfo", b"alert xmlns='urn:oasis:names:tc:emergency:cap:1.2'"),
    SIGNATURE * 30,
    b"<Signature xmlns='http://www.w3.org/2000/09/xmldsig#'>" * 40,
)
ATTACKS = (
    b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>',
    b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    b'<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:9/x.dtd"> %p;]>',
    b'<!DOCTYPE a PUBLIC "-//x//y" "http://127.0.0.1:9/x.dtd">',
    b'<?xml-stylesheet href="file:///etc/passwd"?>',
    b"&x;", b"&#0;", b"&#xD800;", b"&#x10FFFF;", b"&lt;" * 300, b"<![CDATA[", b"<!-- --" * 30, b"<a>" * 300,
    b"<a b='1' b='2'/>",
    b'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd" parse="text"/>',
    b" xmlns:a='u'" * 50, b"<info>", b"</info>", b"<area><areaDesc>x</areaDesc></area>",
    b"<polygon>" + b"1,1 " * 3_000 + b"</polygon>",
    b"<parameter><valueName>a</valueName><value>1</value></parameter>" * 100,
)  # fmt: skip
ENCODINGS = (
    "utf-16",
    "utf-16-le",
    "utf-32",
    "utf-7",
    "gb18030",
    "big5",
    "iso8859-1",
    "cp1252",
    "shift_jis",
    "cp037",
    "idna",
    "rot13",
)


@contextmanager
def opened() -> Iterator[Target]:
    """Make the target: what is taken becomes a message that its reader takes."""

    def take(data: bytes) -> str | None:
        try:
            report = parse_cap(data, reported_at=NOW)
        except CapError as error:
            return str(error)
        told = report.report(uuid7(), NOW)
        envelope = envelope_of(uuid7(), INCIDENT, "test", told.incident_id, NOW, told.status)
        value = write_value(told)
        if len(value) <= 1_000_000:  # else intake refuses it, which the HTTP entry sees
            read_message(envelope.headers(), value, INCIDENT)
        variables(told, None)
        return None

    yield take


@cache
def seeds() -> list[bytes]:
    """Give real alerts where there are some, one of our own for each version, each signed, and each attack."""
    own = ALERT.encode()
    real = [path.read_bytes() for path in sorted(DATA.glob("*.cap"))] if DATA.is_dir() else []
    first = next(iter(VERSIONS)).encode()
    versions = [own.replace(first, version.encode()) for version in VERSIONS]
    signed = [own.replace(b"</alert>", each + b"</alert>") for each in (SIGNATURE, *GARBLED)]
    attacked = [each + own for each in ATTACKS] + [own.replace(b"</alert>", each + b"</alert>") for each in ATTACKS]
    encoded = [_encoded(own, name) for name in ENCODINGS]
    return [own, *real, *versions, *signed, *attacked, *encoded]


def _encoded(document: bytes, name: str) -> bytes:
    text = f'<?xml version="1.0" encoding="{name}"?>' + document.decode().partition("?>")[2]
    try:
        return text.encode(name)
    except (LookupError, UnicodeError):
        return text.encode()


@st.composite
def _nonsense(draw: st.DrawFn) -> bytes:
    """Make an alert out of the grammar's own elements and words, in any number, with odd texts."""
    namespace, version = draw(st.sampled_from(sorted(VERSIONS.items())))
    odd = [str(each)[:3_000] for each in NASTY if isinstance(each, str | int | float)]

    def element(name: str, depth: int) -> str:
        if (
            name in version.tables
            and depth < 5
            and not (version.text_pairs and name in ("eventCode", "parameter", "geocode"))
        ):
            return f"<{name}>{inside(name, depth + 1)}</{name}>"
        words = version.words.get(name)
        likely = (
            [*words]
            if words
            else ["2026-06-01T08:00:00+00:00", "38.47,-120.14 38.34,-119.95 38.52,-119.74 38.47,-120.14", "x=y"]
        )
        text = draw(st.sampled_from(likely * 4 + odd)) if draw(st.integers(0, 3)) else likely[0]
        return f"<{name}>{_escape(text)}</{name}>"

    def inside(kind: str, depth: int) -> str:
        parts = []
        for name, often in version.tables[kind].items():
            times = draw(
                st.sampled_from((1, 1, 1, 1, 1, 0, 2) if often in "1+" else (0, 0, 1, 2) if depth < 3 else (0, 1))
            )
            parts += [element(name, depth) for _ in range(times)]
        return "".join(parts)

    return f'<alert xmlns="{namespace}">{inside("alert", 0)}</alert>'.encode("utf-8", "surrogatepass")


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def shaped() -> st.SearchStrategy[bytes]:
    """Make alerts: nonsense that the schema takes, spoilt ones, attacked ones, ones in another encoding."""
    pieces = (*ATTACKS, SIGNATURE, *GARBLED)
    ours = [each for each in seeds() if len(each) < 20_000]
    return st.one_of(
        _nonsense(),
        spoilt(ours, pieces),
        st.tuples(spoilt(ours[:1]), st.sampled_from(ENCODINGS)).map(lambda both: _again(*both)),
    )


def _again(document: bytes, name: str) -> bytes:
    return _encoded(document.decode("utf-8", "replace").encode(), name)


def entries() -> list[Entry]:
    """Give the one entry."""
    version = VERSIONS[next(iter(VERSIONS))]
    words = {name for table in version.tables.values() for name in table} | {
        word for each in version.words.values() for word in each
    }
    extra = ("<!DOCTYPE", "<!ENTITY", "SYSTEM", "<![CDATA[", "xmlns=", *VERSIONS, "2026-06-01T08:00:00-00:00")
    return [Entry("cap", opened, seeds, shaped, (290_000, 2_000), (*sorted(words), *extra))]
