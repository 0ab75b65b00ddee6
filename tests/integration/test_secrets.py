"""Secrets stay where they belong: a real flow with ten of them, and then they are looked for everywhere else.

Services run as processes of their own at the most talkative level, against a secured Kafka and a real PostgreSQL.
"""

import asyncio
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg
import httpx
import pytest

from services.platform.embedded.apache import ApacheKafka
from services.platform.embedded.ports import free_ports
from services.platform.embedded.postgres import EmbeddedPostgres
from services.platform.webhooks import key_of, sign
from tests.services.oidc_provider import FakeProvider, running_provider
from tests.services.support import PLAYBOOKS, until
from tests.services.test_outbound import pager

pytestmark = pytest.mark.kafka
REPO = PLAYBOOKS.parent
SERVICES = ("console", "dispatch", "outbound")
ODD = {"categories": ["Other"], "event": "Something odd", "severity": "Minor", "reported_by": "test"}
"""What no plan answers, so that the duty officer is told outside."""


@dataclass
class Stage:
    """The processes, what was said to whom, and the secrets by name."""

    base: str
    folder: Path
    environment: dict[str, str]
    secrets: dict[str, str]
    said: dict[str, str] = field(default_factory=dict)
    """What was answered, by what was asked; answers that tell a secret on purpose are not here."""

    async def muster(self, *arguments: str) -> Any:
        """Run a command; what it prints for the operator is its answer, what it says besides goes to the logs."""
        with (self.folder / "commands.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "services.cli", *arguments),
                cwd=REPO,
                env=self.environment,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
            out, _ = await process.communicate()
        assert process.returncode == 0, (self.folder / "commands.log").read_text()[-2_000:]
        return json.loads(out) if out.startswith((b"{", b"[")) else out.decode()


@asynccontextmanager
async def staged(folder: Path) -> AsyncIterator[tuple[Stage, FakeProvider]]:
    async with AsyncExitStack() as stack:
        postgres = EmbeddedPostgres(folder / "postgres")
        dsn = await postgres.start()
        stack.push_async_callback(postgres.stop)
        # The administrator's is the only user that needs no lists; its password is as good as any other's.
        kafka = ApacheKafka(folder / "kafka", brokers=1, users={})
        await kafka.start()
        stack.push_async_callback(kafka.stop)
        user = kafka.user()
        assert user.password is not None
        provider = await stack.enter_async_context(running_provider())
        officer = await stack.enter_async_context(pager())
        hook = secrets.token_urlsafe(16)
        told = {
            "database password": unquote(urlsplit(dsn).password or ""),
            "Kafka password": user.password.get_secret_value(),
            "OIDC client secret": secrets.token_urlsafe(24),
            "webhook secret": secrets.token_urlsafe(24),
            "webhook address's own": hook,
            "feed's secret": secrets.token_urlsafe(24),
            "user's password": f"P-{secrets.token_urlsafe(18)}",
        }
        files = {
            "MUSTER_DATABASE_FILE": dsn,
            "MUSTER_KAFKA_PASSWORD_FILE": told["Kafka password"],
            "MUSTER_OIDC_CLIENT_SECRET_FILE": told["OIDC client secret"],
            "MUSTER_WEBHOOK_SECRET_FILE": told["webhook secret"],
            "MUSTER_FEEDS_FILE": json.dumps({"actual": {"weather": told["feed's secret"]}}),
        }
        (folder / "secrets").mkdir(mode=0o700)
        for name, text in files.items():
            (folder / "secrets" / name).write_text(f"{text}\n")
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")},
            **{name: str(folder / "secrets" / name) for name in files},
            "MUSTER_KAFKA": user.bootstrap,
            "MUSTER_KAFKA_SECURITY": "sasl_ssl",
            "MUSTER_KAFKA_CA": str(user.ca),
            "MUSTER_KAFKA_USERNAME": str(user.username),
            "MUSTER_OIDC_ISSUER": provider.issuer,
            "MUSTER_OIDC_CLIENT_ID": "muster",
            "MUSTER_OIDC_ROLES": '{"er-duty": "duty_officer"}',
            "MUSTER_WEBHOOK_URL": officer.url.replace("hidden", hook),
            "MUSTER_LOG_LEVEL": "debug",
            "PYTHONUNBUFFERED": "1",
        }
        ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
        stage = Stage(f"http://127.0.0.1:{ports['console']}", folder, environment, told)
        for command in (("migrate",), ("plan", "publish"), ("topics", "--create")):
            await stage.muster(*command)
        for service, port in ports.items():
            log = stack.enter_context((folder / f"{service}.log").open("ab"))
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "services.cli", "serve", service, "--port", str(port)),
                *(() if service == "console" else ("--namespace", "actual")),
                cwd=REPO,
                env=environment,
                stdout=log,
                stderr=log,
            )
            stack.push_async_callback(ended, process)
        for port in ports.values():
            await until(lambda port=port: ready(port), seconds=120)  # type: ignore[misc]
        yield stage, provider
        stage.said["pager"] = str([body for _, body in officer.calls])
        assert officer.calls, "the duty officer was told"


async def ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 30)
        except TimeoutError:
            process.kill()
            await process.wait()


async def ready(port: int) -> bool:
    async with httpx.AsyncClient() as client:
        try:
            return (await client.get(f"http://127.0.0.1:{port}/health/ready")).status_code == 200
        except httpx.HTTPError:
            return False


async def sign_in_and_report(stage: Stage, client: httpx.AsyncClient) -> None:
    """A person comes in with a one-time password, changes it, types it wrongly and where it doesn't belong."""
    told = stage.secrets
    added = await stage.muster("user", "add", "li.wei", "--role", "duty_officer", "--role", "administrator", "--json")
    told["one-time password"] = added["one_time_password"]
    begun = await client.post("/v1/session", json={"login": "li.wei", "password": told["one-time password"]})
    change = {"current": told["one-time password"], "new": told["user's password"]}
    headers = {"X-CSRF-Token": begun.json()["csrf"]}
    changed = await client.post("/v1/session/password", json=change, headers=headers)
    assert changed.status_code == 200, changed.text
    told["session cookie"] = client.cookies["muster_session"]
    told["CSRF token"] = changed.json()["csrf"]
    headers = {"X-CSRF-Token": told["CSRF token"]}
    async with httpx.AsyncClient(base_url=stage.base) as stranger:
        for login, password in (
            ("li.wei", told["one-time password"]),
            (told["user's password"], "whatever it is"),
            ("li.wei", told["user's password"] + "!"),
        ):
            answer = await stranger.post("/v1/session", json={"login": login, "password": password})
            stage.said[f"sign-in {len(stage.said)}"] = answer.text
            assert answer.status_code == 401
        bad = await stranger.post("/v1/session", content=b'{"login": "' + told["user's password"].encode())
        stage.said["broken sign-in"] = bad.text
    issued = await client.post(
        "/v1/tokens",
        json={"name": "desk", "scopes": ["report"], "expires_at": "2099-01-01T00:00:00Z"},
        headers=headers,
    )
    stage.said["a token for too long"] = issued.text
    soon = datetime.now(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
    lives = {"name": "desk", "scopes": ["report"], "expires_at": soon.replace(soon[:4], str(int(soon[:4]) + 1), 1)}
    issued = await client.post("/v1/tokens", json=lives, headers=headers)
    assert issued.status_code == 201, issued.text
    told["API token"] = issued.json()["token"].split("_", 2)[-1]  # the secret may hold one itself
    bearer = {"Authorization": f"Bearer {issued.json()['token']}"}
    async with httpx.AsyncClient(base_url=stage.base) as desk:
        taken = await desk.post(
            "/v1/incidents", json={**ODD, "status": "Actual", "message_type": "Alert"}, headers=bearer
        )
        assert taken.status_code == 202, taken.text
        for name, path, given in (
            ("wrong scope", "/v1/audit", bearer),
            ("half a token", "/v1/incidents", {"Authorization": bearer["Authorization"][:-3]}),
            ("another scheme", "/v1/incidents", {"Authorization": f"Basic {told['API token']}"}),
        ):
            stage.said[name] = (await desk.get(path, headers=given)).text
        stage.said["bad report"] = (await desk.post("/v1/incidents", json={"status": "x"}, headers=bearer)).text


async def call_as_a_feed(stage: Stage) -> None:
    body = json.dumps({**ODD, "status": "Actual", "message_type": "Alert"}).encode()
    headers = {"Content-Type": "application/json"}
    async with httpx.AsyncClient(base_url=stage.base) as feed:
        for key, code in ((stage.secrets["feed's secret"], 202), ("not it", 401)):
            signed = sign(key_of(key), f"msg-{code}", datetime.now(UTC), body)
            answer = await feed.post("/v1/feeds/weather", content=body, headers={**headers, **signed})
            assert answer.status_code == code, answer.text
            stage.said[f"feed {code}"] = answer.text


async def come_from_the_provider(stage: Stage, provider: FakeProvider) -> None:
    async with httpx.AsyncClient(base_url=stage.base) as browser:
        sent = await browser.get("/v1/session/oidc")
        assert sent.status_code == 303, sent.text
        back = await browser.get("/v1/session/oidc/callback", params=provider.approve(sent.headers["location"]))
        assert back.headers["location"] == "/", back.text
        assert provider.credentials is not None
        stage.secrets["session cookie of OIDC"] = browser.cookies["muster_session"]
        again = await browser.get("/v1/session/oidc/callback", params={"code": "x", "state": "y"})
        stage.said["a second callback"] = again.text


async def read_everything(stage: Stage, client: httpx.AsyncClient) -> None:
    """Ask for whatever tells something, as an administrator who may see all of it."""
    incidents = (await client.get("/v1/incidents")).json()["items"]
    paths = [f"/v1/incidents/{each.get('incident_id') or each.get('id')}" for each in incidents]
    reports = [f"{path}/{name}" for path in paths for name in ("timeline", "timeline.csv", "reports", "curves")]
    shared = ("/v1/incidents", "/v1/people", "/v1/tokens", "/v1/audit", "/v1/departments", "/metrics", "/openapi.json")
    pages = ("/", "/people", "/people/tokens", "/people/audit", "/operations", "/v1/dead-letters", "/health/ready")
    for path in (*shared, *pages, *paths, *reports, *(f"{path[3:]}" for path in paths)):
        answer = await client.get(path)
        assert answer.status_code in {200, 404}, (path, answer.text)
        # The page holds the token against forgery, for the browser that asked; nobody else's.
        stage.said[path] = answer.text.replace(stage.secrets["CSRF token"], "")
    stage.said["commands"] = str([await stage.muster("token", "list"), await stage.muster("user", "list")])


async def in_tables(database: str, secret: str) -> list[str]:
    """Look for a secret in every column of every table, in bytes as well as in text."""
    connection = await asyncpg.connect(database)
    try:
        tables = await connection.fetch(
            "SELECT quote_ident(relname) AS name FROM pg_class WHERE relkind IN ('r', 'p')"
            " AND relnamespace = 'public'::regnamespace"
        )
        found = []
        for table in tables:
            # The CSRF token stands in its session's row; what it protects is guarded by the cookie, which is not there.
            without = "- 'csrf'" if table["name"] == "sessions" else ""
            text = f"SELECT EXISTS (SELECT FROM {table['name']} AS t WHERE"  # noqa: S608 - the catalogue's own names
            whole = f" position($1 in (to_jsonb(t) {without})::text) > 0 OR position($2 in t::text) > 0)"
            if await connection.fetchval(text + whole, secret, secret.encode().hex()):
                found.append(table["name"])
        return found
    finally:
        await connection.close()


def written(folder: Path) -> dict[str, bytes]:
    """Read all logs, and all that is on topics."""
    logs = {path.name: path.read_bytes() for path in folder.glob("*.log")}
    logs["postgres.log"] = (folder / "postgres" / "postgres.log").read_bytes()
    topics = [path for path in (folder / "kafka").rglob("*.log") if "muster." in path.parent.name]
    assert len(topics) > 10
    assert b"accepted" in logs["console.log"], "what is there is found"
    return logs | {str(path.relative_to(folder)): path.read_bytes() for path in topics}


async def test_secrets_are_nowhere_but_where_they_belong(tmp_path: Path) -> None:
    async with staged(tmp_path) as (stage, provider):
        async with httpx.AsyncClient(base_url=stage.base, timeout=30) as client:
            await sign_in_and_report(stage, client)
            await call_as_a_feed(stage)
            await come_from_the_provider(stage, provider)
            database = (tmp_path / "secrets" / "MUSTER_DATABASE_FILE").read_text().strip()

            async def told() -> bool:
                connection = await asyncpg.connect(database)
                try:
                    sql = "SELECT count(*) >= 2 FROM outbound_calls WHERE outcome = 'sent'"
                    return bool(await connection.fetchval(sql))
                finally:
                    await connection.close()

            await until(told, seconds=60)
            await read_everything(stage, client)
        assert len(stage.secrets) == 12
        tables = {name: await in_tables(database, secret) for name, secret in stage.secrets.items()}
        assert await in_tables(database, "Something odd"), "what is there is found"
    logs = written(tmp_path)
    leaks = [f"{name}: table {table}" for name, found in tables.items() for table in found]
    for name, secret in stage.secrets.items():
        assert len(secret) >= 16, name
        leaks += [f"{name}: {log}" for log, text in logs.items() if secret.encode() in text]
        leaks += [f"{name}: answer to {asked}" for asked, text in stage.said.items() if secret in text]
    print(f"\n{len(stage.secrets)} secrets, {len(logs)} logs and topics, {len(stage.said)} answers: {len(leaks)} leaks")
    assert leaks == [], "\n".join(leaks)
