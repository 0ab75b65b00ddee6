"""The front door on a real socket: TLS, proxies that may speak for others, and bounds on rate, size and time."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Request

from schemas.vocabulary import Role
from services.platform import connections
from services.platform.access import limits
from services.platform.access.guard import everyone
from services.platform.access.headers import Headers
from services.platform.access.lockout import ADDRESS_FAILURES
from services.platform.access.rates import Rate, network_of
from services.platform.access.settings import AccessSettings, read_access
from services.platform.embedded.certificates import Authority
from services.platform.embedded.ports import free_ports
from services.platform.errors import ConfigurationError
from services.platform.http import add_health, serve
from services.platform.postgres import Pool
from tests.services.access_support import PASSWORD, Site, site_on

ELSEWHERE = "203.0.113.9"
FORGED = {"X-Forwarded-For": ELSEWHERE, "X-Forwarded-Proto": "https"}


@asynccontextmanager
async def front(pool: Pool, **given: Any) -> AsyncIterator[tuple[Site, str]]:
    """Serve a site on a socket of its own; gives it with its address."""
    settings = AccessSettings(**given)
    (port,) = free_ports(1)
    async with site_on(pool, settings) as site:

        @site.app.post("/v1/echo", dependencies=[everyone()])
        async def echo(request: Request) -> int:
            return len(await request.body())

        @site.app.get("/v1/sleep", dependencies=[everyone()])
        async def sleep() -> None:
            await asyncio.sleep(60)

        async def ready() -> dict[str, bool]:
            return {"started": True}

        add_health(site.app, lambda: True, ready)
        tls = settings.tls()
        app = Headers(site.app, settings)
        task = asyncio.create_task(
            serve(app, "127.0.0.1", port, tls=tls, proxies=settings.proxies, connections=settings.connections)
        )
        for _ in range(200):
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                await writer.wait_closed()
                break
            await asyncio.sleep(0.02)
        try:
            yield site, f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def problem(answer: httpx.Response, status: int, *, again: bool = False) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["content-security-policy"]
    assert ("retry-after" in answer.headers) is again
    return str(answer.json()["detail"])


@asynccontextmanager
async def raw(base: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(base.rpartition(":")[2]))
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def is_closed(reader: asyncio.StreamReader, seconds: float = 5) -> bool:
    with suppress(ConnectionError):
        return await asyncio.wait_for(reader.read(), seconds) == b""
    return True


def certificate(folder: Path) -> tuple[Path, Path, ssl.SSLContext]:
    authority = Authority("Muster's tests")
    made = authority.issue("muster")
    cert, key = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(made.certificate)
    key.write_bytes(made.key)
    return cert, key, ssl.create_default_context(cadata=authority.certificate.decode())


async def test_it_speaks_tls_by_itself_and_only_what_is_safe_of_it(pool: Pool, tmp_path: Path) -> None:
    cert, key, trusting = certificate(tmp_path)
    async with front(pool, tls_cert=cert, tls_key=key) as (site, base):
        await site.add("officer")
        async with httpx.AsyncClient(base_url=base, verify=trusting) as client:
            answer = await client.post("/v1/session", json={"login": "officer", "password": PASSWORD})
            assert answer.status_code == 200
            assert answer.headers["set-cookie"].startswith("__Host-muster_session=")
            assert answer.headers["strict-transport-security"]
        with pytest.raises(httpx.HTTPError):
            await httpx.AsyncClient().get(base.replace("https", "http"))
        with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
            await httpx.AsyncClient().get(base)
        async with raw(base) as (reader, _):
            assert await asyncio.wait_for(reader.read(100), 0.2) == b"" if reader.at_eof() else True
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.load_verify_locations(cadata=trusting.get_ca_certs(binary_form=True)[0])
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(httpx.ConnectError):
            await httpx.AsyncClient(verify=old).get(base)


def test_certificates_that_can_not_be_used_are_told_of_before_anything_starts(tmp_path: Path) -> None:
    cert, key, _ = certificate(tmp_path)
    (tmp_path / "none.pem").write_text("no key")
    for given, why in (
        ({"tls_cert": cert}, "go together"),
        ({"tls_cert": cert, "tls_key": tmp_path / "missing.pem"}, "No such file"),
        ({"tls_cert": cert, "tls_key": tmp_path / "none.pem"}, "can't be used"),
        ({"proxies": ("proxy.example.org",)}, "no address or network of a proxy"),
        ({"proxies": ("*",)}, "no address or network of a proxy"),
    ):
        with pytest.raises(ConfigurationError, match=why):
            read_access(**given)
    assert read_access(tls_cert=cert, tls_key=key).tls() is not None


@pytest.mark.parametrize("proxies", [("127.0.0.1",), ("127.0.0.0/8",), ("192.0.2.1",), ()], ids=str)
async def test_forwarded_headers_are_believed_from_the_proxies_that_are_named(
    pool: Pool, proxies: tuple[str, ...]
) -> None:
    """What the audit, the lock-out and the cookie go by is what a named proxy says, and nobody else."""
    believed = proxies[:1] not in {(), ("192.0.2.1",)}
    async with front(pool, proxies=proxies) as (site, base), httpx.AsyncClient(base_url=base) as client:
        await site.add("officer")
        sign_in = {"login": "officer", "password": PASSWORD}
        answer = await client.post("/v1/session", json=sign_in, headers=FORGED)
        assert answer.status_code == 200
        assert answer.headers["set-cookie"].startswith("__Host-" if believed else "muster_session=")
        assert ("secure" in answer.headers["set-cookie"].lower()) is believed
        assert ("strict-transport-security" in answer.headers) is believed
        assert [entry.address for entry in await site.access.audit.list()] == [ELSEWHERE if believed else "127.0.0.1"]
        held = await pool.fetchval("SELECT address FROM sessions")
        assert held == (ELSEWHERE if believed else "127.0.0.1")
        # Somebody who says to be elsewhere each time is locked out all the same, unless a proxy vouches for it.
        codes = []
        for turn in range(ADDRESS_FAILURES + 1):
            attempt = {"login": f"nobody-{turn}", "password": PASSWORD}
            codes.append((await client.post("/v1/session", json=attempt, headers=FORGED | _from(turn))).status_code)
        assert codes[-1] == (401 if believed else 429)


def _from(turn: int) -> dict[str, str]:
    # A client may send a chain of its own; the proxy's is what it adds at the end.
    return {"X-Forwarded-For": f"192.0.2.{turn}, 198.51.100.{turn}"}


async def test_of_a_chain_only_what_the_proxy_added_is_believed(pool: Pool) -> None:
    async with front(pool, proxies=("127.0.0.1",)) as (site, base), httpx.AsyncClient(base_url=base) as client:
        for chain in (f"10.0.0.1, {ELSEWHERE}", f"127.0.0.1, {ELSEWHERE}", f"{ELSEWHERE}, 127.0.0.1", ELSEWHERE):
            headers = {"X-Forwarded-For": chain}
            await client.post("/v1/session", json={"login": "x", "password": PASSWORD}, headers=headers)
        assert {entry.address for entry in await site.access.audit.list()} == {ELSEWHERE}


async def test_a_head_that_does_not_come_ends_the_connection(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_WITHIN", 0.3)
    async with front(pool) as (_, base):
        async with raw(base) as (silent, _):
            assert await is_closed(silent)
        async with raw(base) as (reader, writer):
            for _ in range(20):
                writer.write(b"GET /health/live HTTP/1.1\r\n" if _ == 0 else b"X-Slow: 1\r\n")
                await asyncio.sleep(0.05)
                if reader.at_eof():
                    break
            assert await is_closed(reader), "a line now and then is no progress"
        async with raw(base) as (reader, writer):
            for _ in range(2):
                writer.write(b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
            writer.write(b"GET /health")
            assert await is_closed(reader), "nor is the second request's"


async def test_whoever_is_silent_gives_way_to_those_who_ask(pool: Pool) -> None:
    async with front(pool, connections=4) as (_, base):
        silent = [await asyncio.open_connection("127.0.0.1", int(base.rpartition(":")[2])) for _ in range(12)]
        async with httpx.AsyncClient(base_url=base) as client:
            assert (await client.get("/health/live")).status_code == 200
        await asyncio.sleep(0.1)
        closed = [await is_closed(reader, 0.2) for reader, _ in silent[:8]]
        assert closed == [True] * 8, "the longest waiting first"
        for _, writer in silent:
            writer.close()


async def test_a_body_is_refused_before_it_is_read(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_WITHIN", 0.4)
    async with front(pool) as (_, base):
        async with raw(base) as (reader, writer):
            writer.write(f"POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: {limits.LARGEST + 1}\r\n\r\n".encode())
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 413")
        async with raw(base) as (reader, writer):
            writer.write(b"POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 408"), head
            assert b"connection: close" in head.lower()
        async with raw(base) as (reader, writer):
            writer.write(b"POST /v1/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            with suppress(ConnectionError):
                for _ in range(limits.LARGEST // 65_536 + 1):
                    writer.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
                    await writer.drain()
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 413"), "one that tells no length"
        async with httpx.AsyncClient(base_url=base) as client:
            assert (await client.post("/v1/echo", content=b"x" * 70_000)).json() == 70_000


async def test_bodies_that_come_at_once_are_held_only_so_far(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HELD", 300_000)
    async with front(pool) as (site, base), raw(base) as (_, held), httpx.AsyncClient(base_url=base) as client:
        head = b"POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 290000\r\n\r\n"
        held.write(head + b"x" * 280_000)
        await held.drain()
        await asyncio.sleep(0.2)
        detail = problem(await client.post("/v1/echo", content=b"x" * 70_000), 429, again=True)
        assert "at once" in detail
        held.write(b"x" * 10_000)
        await asyncio.sleep(0.2)
        assert (await client.post("/v1/echo", content=b"x" * 70_000)).status_code == 200
        del site


async def test_an_answer_that_does_not_come_is_given_up(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ANSWER_WITHIN", 0.3)
    async with front(pool) as (_, base), httpx.AsyncClient(base_url=base) as client:
        assert "no answer" in problem(await client.get("/v1/sleep"), 503, again=True)
        assert (await client.get("/v1/ticks")).text == "data: 1\n\ndata: 2\n\n"


async def test_an_address_that_asks_too_often_waits_and_health_is_always_told(pool: Pool) -> None:
    async with (
        front(pool, address_rate=2, proxies=("127.0.0.1",)) as (_, base),
        httpx.AsyncClient(base_url=base) as client,
    ):
        answers = [await client.get("/v1/ticks") for _ in range(25)]
        passed = [answer.status_code for answer in answers].count(200)
        assert 20 <= passed < 25
        assert "too often" in problem(answers[-1], 429, again=True)
        assert (await client.get("/exercise/v1/ticks")).status_code == 404, "the other world has a share of its own"
        assert (await client.get("/health/ready")).status_code == 200
        other = await client.get("/v1/ticks", headers={"X-Forwarded-For": ELSEWHERE})
        assert other.status_code == 200, "what one does is not laid at another's door"


async def test_a_token_that_asks_too_often_waits_alone_and_does_not_fill_the_audit(pool: Pool) -> None:
    async with front(pool, principal_rate=2) as (site, base), httpx.AsyncClient(base_url=base) as client:
        greedy, modest = [{"Authorization": f"Bearer {await site.token(Role.DUTY_OFFICER)}"} for _ in range(2)]
        answers = [await client.post("/v1/deeds", headers=greedy) for _ in range(25)]
        assert [answer.status_code for answer in answers].count(200) >= 20
        assert "too often" in problem(answers[-1], 429, again=True)
        assert (await client.post("/v1/deeds", headers=modest)).status_code == 200
        assert [entry.outcome for entry in await site.access.audit.list() if entry.action == "refused"] == []


def test_callers_are_remembered_only_so_far() -> None:
    """A flood from a hundred thousand addresses takes no more memory than ten thousand."""
    rate = Rate(1.0)
    for number in range(100_000):
        assert rate.take(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", now=0.0) == 0.0
    assert len(rate) == 10_000
    waits = [rate.take("one", now=1.0) for _ in range(12)]
    assert waits == [0.0] * 10 + [1.0] * 2, "a refusal counts nothing"
    assert rate.take("one", now=2.0) == 0.0
    assert Rate(0.01).take("slow", now=0.0) == 0.0, "one may always pass"


def test_a_site_with_ipv6_is_one_caller() -> None:
    assert network_of("2001:db8:1:2:3::4") == network_of("2001:db8:1:2:ffff::1") == "2001:db8:1:2::"
    assert network_of("::ffff:192.0.2.7") == network_of("192.0.2.7") == "192.0.2.7"
    assert network_of("unknown") == "unknown"
