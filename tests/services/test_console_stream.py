"""The stream: each entry once, in its incident's order, however transactions commit and connections break."""

import asyncio
import random
import socket
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest
from uuid_utils.compat import uuid7

from schemas.vocabulary import Namespace, Role
from services.console import live, stream
from services.console.live import Hub
from services.console.stream import add_stream
from services.console.stream_place import Place, PlaceError, Snapshot, read_place
from services.platform.postgres import Pool, connect
from services.platform.rights import role_name
from tests.services.console_world import Door, api, person
from tests.services.live_world import Event, Reader, follow, hold, listened, make_hub, served, write
from tests.services.support import publish_shipped

OFFICER = person("officer", Role.DUTY_OFFICER)
POLICE = person("police", Role.DEPARTMENT, departments=["police"])
WRITERS = 6
INCIDENTS = 5
ROUNDS = 25


@pytest.fixture
async def hub(pool: Pool) -> Hub:
    await publish_shipped(pool)
    return make_hub(pool)


@pytest.fixture
async def url(hub: Hub) -> AsyncIterator[str]:
    app = api(Door(OFFICER, POLICE))
    add_stream(app, hub)
    async with served(app, hub) as base:
        yield f"{base}/v1/stream"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(cookies={"as": "officer"}, timeout=60, limits=limits, trust_env=False) as client:
        yield client


async def some(events: AsyncGenerator[Event, None], count: int, kind: str = "entry") -> list[Event]:
    """Take so many events of a kind."""
    found: list[Event] = []
    async with asyncio.timeout(60), aclosing(events):
        async for event in events:
            if event.kind == kind:
                found.append(event)
            if len(found) == count:
                break
    return found


async def test_every_entry_comes_once_and_in_order_however_commits_and_connections_go(
    url: str, client: httpx.AsyncClient, database: str
) -> None:
    """Writers take their transaction's number before they wait for the incident, commit late, and some give up."""
    chance = random.Random(7)
    writing = await connect(database, size=WRITERS)
    incidents = [uuid7() for _ in range(INCIDENTS)]
    written: defaultdict[UUID, int] = defaultdict(int)

    async def writer(number: int) -> None:
        luck = random.Random(number)
        for _ in range(ROUNDS):
            incident = luck.choice(incidents)
            async with writing.acquire() as connection:
                transaction = connection.transaction()
                await transaction.start()
                if luck.random() < 0.7:
                    await connection.execute("SELECT pg_current_xact_id()")
                await asyncio.sleep(luck.uniform(0, 0.03))
                await hold(connection, incident)
                entries = luck.choice((1, 1, 2, 5))
                await write(connection, incident, written[incident], entries)
                await asyncio.sleep(luck.choice((0, 0, 0.01, 0.15)))
                if luck.random() < 0.15:
                    await transaction.rollback()
                else:
                    # Nobody else can write to this incident before the commit, so the count is true by then.
                    written[incident] += entries
                    await transaction.commit()

    done = asyncio.Event()

    def enough(reader: Reader) -> bool:
        mine = sum(
            count
            for incident, count in written.items()
            if reader.params.get("incident", str(incident)) == str(incident)
        )
        return done.is_set() and len(reader.entries) >= mine

    everything = [Reader(client, url, random.Random(chance.random())) for _ in range(8)]
    one = [Reader(client, url, random.Random(chance.random()), {"incident": str(each)}) for each in incidents[:2]]
    first = await some(follow(client, url), 1, "alive")
    for reader in (*everything, *one):
        reader.last = first[0].id
    reading = [asyncio.create_task(reader.read(enough)) for reader in (*everything, *one)]
    await asyncio.gather(*(writer(number) for number in range(WRITERS)))
    done.set()
    async with asyncio.timeout(60):
        await asyncio.gather(*reading)
    await writing.close()
    for reader in (*everything, *one):
        wanted = {str(each): written[each] for each in incidents}
        if "incident" in reader.params:
            wanted = {name: count for name, count in wanted.items() if name == reader.params["incident"]}
        got: defaultdict[str, list[int]] = defaultdict(list)
        for entry in reader.entries:
            got[entry["incident_id"]].append(entry["detail"]["n"])
        assert got == {name: list(range(count)) for name, count in wanted.items() if count}
        assert reader.connections > 3
    assert sum(written.values()) > 150


async def test_an_entry_that_commits_late_is_not_passed_over(
    url: str, client: httpx.AsyncClient, pool: Pool, hub: Hub
) -> None:
    """What was written first and committed last comes last, and doesn't keep back what others commit meanwhile."""
    early, late = uuid7(), uuid7()
    following = asyncio.create_task(some(follow(client, url), 2))
    await listened(hub)
    async with pool.acquire() as slow, pool.acquire() as quick:
        async with slow.transaction():
            await write(slow, late, 0, 1)
            async with quick.transaction():
                await write(quick, early, 0, 1)
            await asyncio.sleep(0.5)
            assert not following.done()
        found = await following
    assert [event.data["incident_id"] for event in found] == [str(early), str(late)]


async def test_a_hundred_streams_are_all_told(url: str, client: httpx.AsyncClient, pool: Pool, hub: Hub) -> None:
    incident = uuid7()
    following = [asyncio.create_task(some(follow(client, url), 3)) for _ in range(100)]
    await listened(hub, 100)
    for number in range(3):
        async with pool.acquire() as connection, connection.transaction():
            await write(connection, incident, number, 1)
    for found in await asyncio.gather(*following):
        assert [event.data["detail"]["n"] for event in found] == [0, 1, 2]


async def test_a_long_backlog_comes_whole_and_in_order(url: str, client: httpx.AsyncClient, pool: Pool) -> None:
    """More than is read at once, from an id in the middle of what was committed together."""
    incident = uuid7()
    alive = await some(follow(client, url), 1, "alive")
    async with pool.acquire() as connection, connection.transaction():
        await write(connection, incident, 0, 1_700)
    found = await some(follow(client, url, params={"after": alive[0].id or ""}), 700)
    rest = await some(follow(client, url, headers={"Last-Event-ID": found[-1].id or ""}), 1_000)
    assert [event.data["detail"]["n"] for event in found + rest] == list(range(1_700))


async def test_a_department_sees_its_own_entries_and_no_others(url: str, pool: Pool, hub: Hub) -> None:
    incident = uuid7()
    async with httpx.AsyncClient(cookies={"as": "police"}, timeout=60, trust_env=False) as client:
        refused = await client.get(url, params={"department": "fire-rescue"})
        assert refused.status_code == 403
        begin = await some(follow(client, url), 1, "alive")
        following = asyncio.create_task(some(follow(client, url), 2))
        await listened(hub)
        async with pool.acquire() as connection, connection.transaction():
            for number, department in enumerate((None, "fire-rescue", "police")):
                await write(connection, incident, number, 1, department=department)
            await write(connection, incident, 3, 1, department="fire-rescue", told=["hospital", "police"])
        for found in (await following, await some(follow(client, url, params={"after": begin[0].id or ""}), 2)):
            assert [event.data["detail"]["n"] for event in found] == [2, 3], (
                "its own, and what it was told of another's"
            )


async def test_staff_may_ask_for_one_department(url: str, client: httpx.AsyncClient, pool: Pool, hub: Hub) -> None:
    following = asyncio.create_task(some(follow(client, url, params={"department": "police"}), 1))
    await listened(hub)
    async with pool.acquire() as connection, connection.transaction():
        for department in (None, "fire-rescue", "police"):
            await write(connection, uuid7(), 0, 1, department=department)
    assert [event.data["department"] for event in await following] == ["police"]


async def test_a_world_hears_nothing_of_the_other(pool: Pool, database: str) -> None:
    """Each namespace's hub reads with its own role, and its own entries only."""
    await publish_shipped(pool)
    heard: dict[Namespace, list[Event]] = {}
    apps = {}
    pools = {namespace: await connect(database, size=2, role=role_name(namespace)) for namespace in Namespace}
    for namespace, own in pools.items():
        hub = make_hub(own, namespace)
        app = api(Door(OFFICER))
        add_stream(app, hub)
        apps[namespace] = (app, hub)
    async with (
        served(*apps[Namespace.ACTUAL]) as actual,
        served(*apps[Namespace.EXERCISE]) as exercise,
        httpx.AsyncClient(cookies={"as": "officer"}, timeout=60, trust_env=False) as client,
    ):
        urls = {Namespace.ACTUAL: actual, Namespace.EXERCISE: exercise}
        tasks = {name: asyncio.create_task(some(follow(client, f"{at}/v1/stream"), 1)) for name, at in urls.items()}
        for _, hub in apps.values():
            await listened(hub)
        for status in ("Exercise", "Actual"):
            async with pool.acquire() as connection, connection.transaction():
                await write(connection, uuid7(), 0, 1, status=status)
        heard = {name: await task for name, task in tasks.items()}
    for own in pools.values():
        await own.close()
    assert [event.data["status"] for event in heard[Namespace.ACTUAL]] == ["Actual"]
    assert [event.data["status"] for event in heard[Namespace.EXERCISE]] == ["Exercise"]


async def test_it_says_that_it_lives_and_when_it_is(
    url: str, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "ALIVE_EVERY", 0.2)
    found = await some(follow(client, url), 4, "alive")
    times = [event.data["now"] for event in found]
    assert times == sorted(set(times))
    assert all(event.id for event in found)


async def test_nobody_follows_without_being_known(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(url)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


async def test_an_id_of_another_database_is_answered_with_a_reset(url: str, client: httpx.AsyncClient) -> None:
    """A browser that comes back after the database was replaced must not be refused for good, nor wait in vain."""
    for unknown in ("900000000:900000000:", "something else"):
        found = await some(follow(client, url, headers={"Last-Event-ID": unknown}), 1, "reset")
        assert read_place(found[0].id or "")
    refused = await client.get(url, params={"after": "something else"})
    assert refused.status_code == 422


async def test_a_reader_too_slow_is_let_go_and_misses_nothing(
    url: str, client: httpx.AsyncClient, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its queue is bounded, the others are not kept waiting, and it takes up where it stopped."""
    monkeypatch.setattr(live, "HELD_AT_MOST", 400)
    monkeypatch.setattr(stream, "TAKEN_WITHIN", 1.0)
    incident, total = uuid7(), 3_000
    last = (await some(follow(client, url), 1, "alive"))[0].id or ""
    reader, writer = await slow_connection(url, last)
    quick = asyncio.create_task(all_of(client, url, last, total))
    for begin in range(0, total, 40):
        async with pool.acquire() as connection, connection.transaction():
            await write(connection, incident, begin, 40, note="x" * 4_000)
    assert [event.data["detail"]["n"] for event in await quick] == list(range(total))
    await asyncio.sleep(1.5)
    # Only now is read what the connection holds: less than all, as its reader was let go meanwhile.
    async with asyncio.timeout(60):
        text = (await reader.read(-1)).decode()
    writer.close()
    await writer.wait_closed()
    got = 0
    for block in text.split("\r\n\r\n", 1)[1].replace("\r\n", "").split("\n\n")[:-1]:
        if "event: entry" in block:
            got += 1
            last = block.rsplit("id: ", 1)[1]
    assert 0 < got < total
    rest = await all_of(client, url, last, total - got)
    assert [event.data["detail"]["n"] for event in rest] == list(range(got, total))


async def all_of(client: httpx.AsyncClient, url: str, last: str, count: int) -> list[Event]:
    """Take so many entries, connecting again as a browser does."""
    found: list[Event] = []
    while len(found) < count:
        found += await some(follow(client, url, headers={"Last-Event-ID": last}), count - len(found))
        last = found[-1].id or "" if found else last
    return found


async def slow_connection(url: str, last: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Ask for a stream and read nothing of it; the connection holds little."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
    connection.setblocking(False)
    parts = urlsplit(url)
    await asyncio.get_running_loop().sock_connect(connection, (parts.hostname, parts.port))
    reader, writer = await asyncio.open_connection(sock=connection, limit=4_096)
    writer.write(
        f"GET {parts.path} HTTP/1.1\r\nHost: console\r\nCookie: as=officer\r\nLast-Event-ID: {last}\r\n\r\n".encode()
    )
    return reader, writer


async def test_open_streams_do_not_hold_up_a_stop(hub: Hub) -> None:
    app = api(Door(OFFICER))
    add_stream(app, hub)
    async with httpx.AsyncClient(cookies={"as": "officer"}, timeout=60, trust_env=False) as client:
        async with served(app, hub) as base:
            readers = [asyncio.create_task(some(follow(client, f"{base}/v1/stream"), 9_999)) for _ in range(20)]
            await listened(hub, 20)
            begun = asyncio.get_running_loop().time()
        took = asyncio.get_running_loop().time() - begun
        assert await asyncio.gather(*readers) == [[]] * 20
    assert took < 4


@pytest.mark.parametrize(
    "text",
    ["", "1", "5:3:", "3:5:9", "3:5:4,4", "3:9:7,5", "0:1:", "1:2:~", "1:2:~1:3:", "1:2:~1:3:~x", "9" * 30 + ":1:",
     "1:2:\n", "1:99999999999999999999:", "1:2:~1:3:~9999999999999999999", "１:２:"],
)  # fmt: skip
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(PlaceError):
        read_place(text)


@pytest.mark.parametrize("text", ["1:1:", "3:9:3,5,7", "3:9:3~4:12:4,11~77"])
def test_a_place_is_read_as_it_was_written(text: str) -> None:
    assert str(read_place(text)) == text


def test_a_snapshot_covers_those_before_it() -> None:
    before, after = Snapshot("3:9:3,5"), Snapshot("5:12:5,10")
    assert after.covers(before)
    assert not before.covers(after)
    assert before.covers(Snapshot("3:9:3,5"))
    assert not Snapshot("3:12:3,7").covers(before)
    assert [number for number in range(1, 14) if after.sees(number)] == [1, 2, 3, 4, 6, 7, 8, 9, 11]
    assert Place(before, after, 3).latest == after
