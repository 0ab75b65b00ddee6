"""PostgreSQL 18 started by Muster itself, for one machine: its own data folder, port and password."""

import asyncio
import os
import secrets
import shutil
import signal
import time
from pathlib import Path

import asyncpg

from services.platform.embedded.errors import EmbeddedError
from services.platform.embedded.folder import FolderLock, released_on_error
from services.platform.embedded.ports import free_ports, require_free
from services.platform.embedded.postgres_install import account_for, programs_for
from services.platform.embedded.postgres_leftovers import stop_leftovers
from services.platform.embedded.process import Account, ChildProcess, last_words, run_to_end

MAJOR_VERSION = "18"
ROLE = DATABASE = "muster"
MAKES_ROLES = f"""ALTER ROLE {ROLE} CREATEROLE;

GRANT muster_actual, muster_exercise TO {ROLE} WITH ADMIN TRUE;"""
"""For data folders of earlier versions, in which these two roles are the superuser's."""
START_SECONDS = 60.0
STOP_SECONDS = 20.0
POLL_SECONDS = 0.02

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "min_wal_size": "64MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""What spares a machine the waiting for its disk; a crash of the machine, not of the server, may ruin the data."""
INITDB = (
    *("--username=postgres", "--auth=reject", "--no-instructions", "--encoding=UTF8", "--locale=C"),
    *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
)
HBA = "host all all 127.0.0.1/32 scram-sha-256\n"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


class EmbeddedPostgres:
    """A PostgreSQL server on loopback whose data stays in `data_dir` from one run to the next.

    `data_dir` gets `cluster/`, `password` (0600), `postgres.log` and `lock`; no permission outside it changes. The
    role `muster` owns the database `muster`, may create databases and roles, and is no superuser (the superuser can't
    log in at all). Without `port` a free one is taken at the first start and kept by this object. Data that nobody
    will miss, such as a test's, need not be `durable`.
    """

    def __init__(self, data_dir: Path, *, port: int | None = None, durable: bool = True) -> None:
        self.data_dir = data_dir.absolute()
        self.port = port
        self._settings = SETTINGS if durable else SETTINGS | FORGETFUL
        self._cluster = self.data_dir / "cluster"
        self._lock = FolderLock(self.data_dir)
        self._server: ChildProcess | None = None

    @property
    def alive(self) -> bool:
        """Whether the server runs."""
        return self._server is not None and self._server.alive

    @property
    def pid(self) -> int | None:
        """The server's process id, or None before the first start."""
        return None if self._server is None else self._server.pid

    @property
    def processes(self) -> list[ChildProcess]:
        """What runs, for whoever has to notice its end; empty before the first start."""
        return [] if self._server is None else [self._server]

    async def start(self) -> str:
        """Start the server, making the data folder, role and database when absent, and return its DSN.

        A second of work on an empty folder, a fifth of that later. What an earlier run left running in this folder
        is ended first. Raises `EmbeddedError`.
        """
        if self._server is not None:
            if self._server.alive:
                return self._dsn(DATABASE)
            await self._server.wait()
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with released_on_error(self._lock):
            account = account_for(self._cluster)
            programs = await programs_for(account)
            if self._cluster.exists():
                self._check_version()
                await stop_leftovers(self._cluster)
            else:
                await self._create(programs, account)
            if not await self._run(programs, account):
                await self._server.stop(STOP_SECONDS)  # type: ignore[union-attr] # it runs
                await as_superuser(MAKES_ROLES, programs, self._cluster, account)
                await self._run(programs, account)
        return self._dsn(DATABASE)

    async def stop(self) -> None:
        """Shut the server down (connections are closed, a checkpoint is written); safe to call twice."""
        if self._server is not None:
            await self._server.stop(STOP_SECONDS)
        self._lock.release()

    def kill(self) -> None:
        """`kill -9` the server, as a crash would; `start` recovers the data."""
        if self._server is not None:
            self._server.kill()

    async def _run(self, programs: Path, account: Account | None) -> bool:
        """Start the server; gives whether the owner may make roles, which in folders of earlier versions it may not."""
        self.port = self.port or free_ports(1)[0]
        require_free(self.port)
        settings = [f"--{name}={value}" for name, value in {**self._settings, "port": str(self.port)}.items()]
        self._server = ChildProcess(
            "postgres",
            [programs / "postgres", "-D", _folder_argument(self._cluster, account), *settings],
            log_file=self.data_dir / "postgres.log",
            cwd=self._cluster,
            env=ENVIRONMENT,
            account=account,
            # INT is PostgreSQL's fast shutdown; TERM would wait for clients to leave.
            stop_signal=signal.SIGINT,
            orphan_signal=signal.SIGINT,
        )
        await self._server.start()
        try:
            return await self._ensure_database(self._server, time.monotonic() + START_SECONDS)
        except BaseException:
            await self._server.stop()
            raise

    async def _ensure_database(self, server: ChildProcess, deadline: float) -> bool:
        while True:
            try:
                connection = await asyncpg.connect(self._dsn("postgres"), ssl=False)
                break
            except asyncpg.InvalidPasswordError:
                secret = self.data_dir / "password"
                raise EmbeddedError(f"{secret} is not the password of {self._cluster}: put the old one back") from None
            except (OSError, asyncpg.PostgresError):
                pass  # not listening yet, or still recovering
            server.check(deadline, f"accept connections on port {self.port}")
            await asyncio.sleep(POLL_SECONDS)
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f"CREATE DATABASE {DATABASE}")
            return bool(await connection.fetchval("SELECT rolcreaterole FROM pg_roles WHERE rolname = current_user"))
        finally:
            await connection.close()

    async def _create(self, programs: Path, account: Account | None) -> None:
        # Made beside its final place and renamed when complete, so that an interrupted start leaves no half cluster.
        fresh = self.data_dir / "cluster.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if account is not None:
            os.chown(fresh, account.uid, account.gid)
        folder = _folder_argument(fresh, account)
        await _run_program([programs / "initdb", "-D", folder, *INITDB], fresh, account)
        (fresh / "pg_hba.conf").write_text(HBA)
        await as_superuser(
            f"CREATE ROLE {ROLE} LOGIN CREATEDB CREATEROLE PASSWORD '{self._password()}';", programs, fresh, account
        )
        fresh.rename(self._cluster)

    def _check_version(self) -> None:
        found = (self._cluster / "PG_VERSION").read_text().strip()
        if found != MAJOR_VERSION:
            raise EmbeddedError(
                f"{self._cluster} holds data of PostgreSQL {found} and the server is {MAJOR_VERSION}: "
                "move the folder away, or dump it with the old server and restore"
            )

    def _password(self) -> str:
        path = self.data_dir / "password"
        if not path.exists():
            if self._cluster.exists():
                raise EmbeddedError(f"{path} is missing and {self._cluster} needs it: put it back, or remove both")
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(fd, "w") as file:
                file.write(secrets.token_urlsafe(24))
        return path.read_text().strip()

    def _dsn(self, database: str) -> str:
        return f"postgresql://{ROLE}:{self._password()}@127.0.0.1:{self.port}/{database}"


def _folder_argument(folder: Path, account: Account | None) -> Path:
    # The launcher enters the folder as root and then becomes `account`, which may be unable to walk the path to it
    # (below /root, say) but stays inside. That saves opening the parent folders to everybody.
    return folder if account is None else Path("/proc/self/cwd")


async def as_superuser(sql: str, programs: Path, cluster: Path, account: Account | None) -> None:
    """Run statements in a cluster whose server is down, an empty line between them.

    In single-user mode, so that the superuser never needs a password, or a way in over the network.
    """
    argv: list[str | Path] = [programs / "postgres", "--single", "-j", "-D", _folder_argument(cluster, account)]
    await _run_program([*argv, "postgres"], cluster, account, stdin=f"{sql}\n\n".encode())


async def _run_program(argv: list[str | Path], cwd: Path, account: Account | None, *, stdin: bytes = b"") -> None:
    code, printed = await run_to_end(argv, cwd=cwd, env=ENVIRONMENT, account=account, stdin=stdin)
    if code != 0 or "ERROR:" in printed or "FATAL:" in printed:
        raise EmbeddedError(f"{Path(argv[0]).name} could not make {cwd} (exit code {code}): {last_words(printed)}")
