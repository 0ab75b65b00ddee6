"""``python -m tests.bench.board``: what the board costs with 10 and with 200 open incidents, watched by 100 browsers.

Two consoles side by side on one machine, each a process of its own: one with 10 open incidents of 10 orders each, one
with 200. Both are followed by as many streams as a board page opens. Asked in turn, so that whatever else the machine
does falls on both:

- GET /: from the request to its last byte, signed in, the page as a duty officer gets it;
- DOMContentLoaded: the same page in Chromium, styles, scripts and fonts from its cache as on every visit but the first;
- an acknowledgement: from the commit of what tracking decided about it to its event on each of the 100 streams, the
  new row's HTML included.

A timing counts as a ratio within one run. Held to: 200 incidents cost at most twice what 10 do; every stream is told.
"""

import argparse
import asyncio
import json
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import httpx
from playwright.async_api import Browser, async_playwright
from uuid_utils.compat import uuid7

from schemas.envelope import ACKNOWLEDGEMENT, INCIDENT
from schemas.vocabulary import Answer, Category, Namespace, Role, Severity
from services.console.board_api import add_board_api
from services.console.live import Hub
from services.console.pages.board import add_board
from services.console.site import add_console, add_static
from services.console.stream import add_stream
from services.domain.decision import Answered, Reported
from services.platform.access.headers import Headers
from services.platform.access.settings import AccessSettings
from services.platform.clock import SystemClock
from services.platform.decider import Decider, Incoming
from services.platform.embedded.ports import free_ports
from services.platform.embedded.postgres import EmbeddedPostgres
from services.platform.http import serve
from services.platform.kafka import Origin
from services.platform.migrations import migrate
from services.platform.postgres import Pool, connect
from services.platform.published import PublishedPlaybook
from services.platform.rights import role_name
from services.playbooks.stored import directory_from, plan_from
from tests.browser.visit import chromium
from tests.services.console_world import Door, api, person
from tests.services.support import answer, publish_shipped, report

FEW, MANY, ORDERS = 10, 200, 10
STREAMS = 100
VISITS = 30
PAGES = 15
ACKNOWLEDGEMENTS = 50
ARRIVES_WITHIN = 10.0
WHO = "as=Chen"
HERE = Origin("bench", 0, 0, None)
KINDS = (
    {"categories": (Category.INFRA,), "event": "Gas explosion", "headline": "Gas explosion in a restaurant"},
    {"categories": (Category.MET,), "event": "Flood", "headline": "Water rises in the old town"},
)
"""Reports that the shipped plans answer with ten orders each, at moderate severity."""


async def serve_board(dsn: str, port: int) -> None:
    """Serve one console until killed."""
    pool = await connect(dsn, role=role_name(Namespace.ACTUAL))
    hub = Hub(pool, Namespace.ACTUAL, PublishedPlaybook(pool, plan_from, directory_from))
    door = Door(person("Chen", Role.DUTY_OFFICER))
    app = api(door)
    add_stream(app, hub)
    add_board_api(app, hub)
    add_static(app)
    roots = {"actual": "", "shared": ""}
    add_console(app, Namespace.ACTUAL, door, [lambda site: add_board(site, hub)], roots)
    async with asyncio.TaskGroup() as group:
        group.create_task(hub.follow())
        group.create_task(serve(Headers(app, AccessSettings()), "127.0.0.1", port))


@dataclass
class Console:
    """One console under test: its database, its address, and what was measured."""

    incidents: int
    port: int
    pool: Pool
    decider: Decider
    told: "asyncio.Queue[tuple[int, float, bytes]]" = field(default_factory=asyncio.Queue)
    served: list[float] = field(default_factory=list)
    shown: list[float] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    missing: int = 0

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def furnish(self) -> None:
        """Open the incidents; let a part of the orders be received, a part committed."""
        reported = datetime.now(UTC) - timedelta(minutes=1)
        for begin in range(0, self.incidents, 20):
            some = range(begin, min(begin + 20, self.incidents))
            reports = [
                report(severity=Severity.MODERATE, reported_at=reported, **KINDS[number % len(KINDS)])
                for number in some
            ]
            await self.decider.decide([Incoming(Reported(uuid7(), each), INCIDENT, HERE) for each in reports])
        rows = await self.pool.fetch("SELECT * FROM assignments ORDER BY issued_at, id")
        assert len(rows) == self.incidents * ORDERS, len(rows)
        for kind, part in ((Answer.DELIVER, rows[::2]), (Answer.COMMIT, rows[::4])):
            for begin in range(0, len(part), 50):
                await self.answer(kind, part[begin : begin + 50])

    async def answer(self, kind: Answer, rows: Sequence[asyncpg.Record]) -> None:
        """Decide departments' answers as tracking does."""
        said = [Answered(uuid7(), answer(row, kind)) for row in rows]
        await self.decider.decide([Incoming(each, ACKNOWLEDGEMENT, HERE) for each in said])

    async def follow(self, number: int) -> None:
        """Follow the board as one browser does, and note when each part of the stream arrives."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"GET /live/board HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nCookie: {WHO}\r\n\r\n".encode())
        try:
            while part := await reader.read(1 << 20):
                self.told.put_nowait((number, time.perf_counter(), part))
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def acknowledge(self, row: asyncpg.Record) -> None:
        """Let one department commit, and wait until every stream has told of it."""
        await self.quiet()
        mark = f'"id": "{row["incident_id"]}"'.encode()
        await self.answer(Answer.COMMIT, [row])
        committed = time.perf_counter()
        waiting = set(range(STREAMS))
        texts: dict[int, bytes] = {}
        with suppress(TimeoutError):
            async with asyncio.timeout(ARRIVES_WITHIN):
                while waiting:
                    number, at, part = await self.told.get()
                    texts[number] = texts.get(number, b"") + part
                    if number in waiting and mark in texts[number]:
                        waiting.discard(number)
                        self.arrivals.append(max(at - committed, 0.0))
        self.missing += len(waiting)

    async def on_view(self) -> list[asyncpg.Record]:
        """Choose unanswered orders of the incidents that the page shows."""
        async with httpx.AsyncClient(trust_env=False) as client:
            found = await client.get(f"{self.base}/v1/board", headers={"Cookie": WHO})
        return await self.pool.fetch(
            "SELECT * FROM assignments WHERE incident_id = ANY ($1::uuid[]) AND state IN ('issued', 'delivered')"
            " ORDER BY random() LIMIT $2",
            [row["id"] for row in found.json()["items"]],
            ACKNOWLEDGEMENTS,
        )

    async def quiet(self) -> None:
        """Take what the streams have told until now."""
        await asyncio.sleep(0.25)
        while not self.told.empty():
            self.told.get_nowait()

    async def visit(self, client: httpx.AsyncClient) -> None:
        """Get the page as a browser does."""
        begun = time.perf_counter()
        found = await client.get(f"{self.base}/", headers={"Cookie": WHO, "Accept": "text/html"})
        self.served.append(time.perf_counter() - begun)
        assert found.status_code == 200
        assert found.text.count("data-id=") == min(self.incidents, 24)

    async def show(self, browser: Browser) -> None:
        """Open the page in Chromium; its files are in the cache after the first visit."""
        context = await browser.new_context(viewport={"width": 1440, "height": 900})
        name, _, value = WHO.partition("=")
        await context.add_cookies([{"name": name, "value": value, "url": self.base}])
        page = await context.new_page()
        for visit in range(PAGES + 1):
            await page.goto(f"{self.base}/", wait_until="domcontentloaded")
            took = await page.evaluate(
                "(([entry]) => entry.domContentLoadedEventEnd - entry.startTime)"
                "(performance.getEntriesByType('navigation'))"
            )
            if visit:
                self.shown.append(took / 1000)
        await context.close()


@asynccontextmanager
async def console(server: str, incidents: int) -> AsyncIterator[Console]:
    """Make a database with so many incidents and serve its board from a process of its own."""
    name = f"board_{secrets.token_hex(4)}"
    admin = await asyncpg.connect(server)
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    dsn = f"{server.rsplit('/', 1)[0]}/{name}"
    pool = await connect(dsn, size=4)
    await migrate(pool)
    await publish_shipped(pool)
    playbook = PublishedPlaybook(pool, plan_from, directory_from)
    decider = Decider(pool, playbook, SystemClock(), Namespace.ACTUAL, "bench")
    (port,) = free_ports(1)
    made = Console(incidents, port, pool, decider)
    await made.furnish()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.board", "--serve", dsn, "--port", str(port)
    )
    try:
        async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(60):
            while True:
                with suppress(httpx.TransportError):
                    found = await client.get(f"{made.base}/v1/board", headers={"Cookie": WHO})
                    if found.status_code == 200:
                        break
                await asyncio.sleep(0.1)
        yield made
    finally:
        process.terminate()
        await process.wait()
        await pool.close()


async def measure() -> dict[str, object]:
    """Run all of it and give the figures, in seconds."""
    async with AsyncExitStack() as stack:
        server = EmbeddedPostgres(Path(stack.enter_context(tempfile.TemporaryDirectory())) / "postgres")
        dsn = await server.start()
        stack.push_async_callback(server.stop)
        few = await stack.enter_async_context(console(dsn, FEW))
        many = await stack.enter_async_context(console(dsn, MANY))
        following = [asyncio.create_task(each.follow(number)) for each in (few, many) for number in range(STREAMS)]
        await asyncio.sleep(3)
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            for _ in range(VISITS):
                for each in (few, many):
                    await each.visit(client)
        playwright = await stack.enter_async_context(async_playwright())
        browser = await chromium(playwright)
        for _ in range(2):
            for each in (few, many):
                await each.show(browser)
        await browser.close()
        for each in (few, many):
            for row in await each.on_view():
                await each.acknowledge(row)
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)
        return figures(few, many)


def figures(few: Console, many: Console) -> dict[str, object]:
    """Sum up what was measured."""

    def of(each: Console) -> dict[str, object]:
        arrivals = sorted(each.arrivals)
        return {
            "incidents": each.incidents,
            "orders": each.incidents * ORDERS,
            "streams": STREAMS,
            "get_p50": statistics.median(each.served),
            "shown_p50": statistics.median(each.shown),
            "told": len(arrivals),
            "missing": each.missing,
            "told_p50": statistics.median(arrivals),
            "told_p99": arrivals[int(len(arrivals) * 0.99)],
            "told_max": arrivals[-1],
        }

    return {
        "few": of(few),
        "many": of(many),
        "get_ratio": statistics.median(many.served) / statistics.median(few.served),
        "shown_ratio": statistics.median(many.shown) / statistics.median(few.shown),
    }


def table(found: dict[str, object]) -> str:
    """Write the figures for people."""
    few, many = found["few"], found["many"]
    assert isinstance(few, dict)
    assert isinstance(many, dict)
    lines = [f"{'':34}{few['incidents']:>10} incidents{many['incidents']:>6} incidents     ratio"]
    for name, key, ratio in (
        ("GET / p50, ms", "get_p50", "get_ratio"),
        ("DOMContentLoaded p50, ms", "shown_p50", "shown_ratio"),
    ):
        lines.append(f"{name:34}{few[key] * 1000:>20.1f}{many[key] * 1000:>16.1f}{found[ratio]:>10.2f}")
    for name, key in (("p50", "told_p50"), ("p99", "told_p99"), ("max", "told_max")):
        title = f"answer on {STREAMS} streams, {name}, ms"
        lines.append(f"{title:34}{few[key] * 1000:>20.1f}{many[key] * 1000:>16.1f}")
    sides = [f"{each['told']} / {each['missing']}" for each in (few, many)]
    lines.append(f"{'events told / missing':34}{sides[0]:>20}{sides[1]:>16}")
    return "\n".join(lines)


def main() -> None:
    """Run the measurement, or serve a console for it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--serve", metavar="DSN", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve_board(given.serve, given.port))
        return
    found = asyncio.run(measure())
    print(json.dumps(found) if given.json else table(found))
    many = found["many"]
    assert isinstance(many, dict)
    if many["missing"]:
        sys.exit("some streams were not told")


if __name__ == "__main__":
    main()
