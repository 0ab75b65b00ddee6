"""The console's stream to many readers: from a report to its entries at the last reader, beside a single reader."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import httpx

from schemas.vocabulary import Role
from services.bench import contenders
from services.bench.contenders import Contender
from services.bench.figures import Row, figure, percentile, quotients
from services.bench.material import sent_report
from services.bench.plan import Plan
from services.bench.stage import PATIENCE, BenchError, Stage
from services.platform.access.opening import open_access
from services.platform.embedded.ports import free_ports

TURNS = 3
EVENTS = 20
PAUSE = 0.15
MARK = b"incident_reported"


async def run(stage: Stage, plan: Plan) -> list[Row]:
    """Follow the stream with one reader, then with many, in turns."""
    muster = await contenders.muster(stage, "dispatch")
    (port,) = free_ports(1)
    muster.processes.append(await stage.muster("console", muster.database, MUSTER_HTTP_PORT=str(port)))
    access = await open_access(muster.database)
    now = access.now()
    _, token = await access.tokens.issue(
        "bench", scopes=[Role.DUTY_OFFICER.value], by="bench", now=now, expires_at=now + timedelta(hours=1)
    )
    await access.close()
    await _ready(port)
    async with _followed(port, token, 1) as arrivals:
        await _tell(stage, muster, 1, arrivals)  # dispatch has joined its group
    took: dict[int, list[float]] = {1: [], plan.readers: []}
    for _ in range(TURNS):
        for readers, values in took.items():
            async with _followed(port, token, readers) as arrivals:
                values.append(percentile(await _tell(stage, muster, readers, arrivals), 0.99) * 1000)
    rows = [
        Row("stream", f"stream.{readers}", f"report to the stream of the last of {readers}, p99", figure(values, "ms"))
        for readers, values in took.items()
    ]
    growth = quotients(took[plan.readers], took[1])
    title = f"report to the stream, p99, {plan.readers} readers of one"
    rows.append(Row("stream", "stream.growth", title, growth, of="one reader"))
    return rows


async def _tell(stage: Stage, muster: Contender, readers: int, arrivals: "asyncio.Queue[float]") -> list[float]:
    loop = asyncio.get_running_loop()
    took = []
    for _ in range(EVENTS):
        begun = loop.time()
        await stage.send_all([(muster.topics.incidents, *sent_report())])
        last = begun
        for _ in range(readers):
            try:
                last = max(last, await asyncio.wait_for(arrivals.get(), PATIENCE))
            except TimeoutError:
                raise BenchError("a reader of the stream was not told") from None
        took.append(last - begun)
        await asyncio.sleep(PAUSE)
    return took


@asynccontextmanager
async def _followed(port: int, token: str, readers: int) -> "AsyncIterator[asyncio.Queue[float]]":
    arrivals: asyncio.Queue[float] = asyncio.Queue()
    connected = asyncio.Semaphore(0)

    async def follow() -> None:
        loop = asyncio.get_running_loop()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        request = f"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n\r\n"
        writer.write(request.encode())
        if b" 200 " not in await reader.readline():
            raise BenchError("the console refuses its stream")
        connected.release()
        try:
            async for line in reader:
                if MARK in line:
                    arrivals.put_nowait(loop.time())
        finally:
            writer.close()

    following = [asyncio.create_task(follow()) for _ in range(readers)]
    for _ in range(readers):
        await asyncio.wait_for(connected.acquire(), PATIENCE)
    await asyncio.sleep(1)
    try:
        yield arrivals
    finally:
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)


async def _ready(port: int) -> None:
    async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(PATIENCE):
        while True:
            with suppress(httpx.TransportError):
                if (await client.get(f"http://127.0.0.1:{port}/health/ready")).status_code == 200:
                    return
            await asyncio.sleep(0.1)
