"""Each user of a secured cluster can do what the words below say, on Apache Kafka, and nothing else.

And a secured database beside it: each service works under its own user in both, over TLS in both.
"""

import asyncio
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from pydantic import SecretStr

from schemas.topics import INCIDENTS, topic_name
from schemas.vocabulary import Namespace
from services.departments import Department, Order
from services.platform.access.opening import open_access
from services.platform.access.principal import REPORT
from services.platform.embedded.apache import ApacheKafka
from services.platform.embedded.certificates import Authority
from services.platform.embedded.kafka_secured import ADMINISTRATOR
from services.platform.embedded.ports import free_ports
from services.platform.errors import RefusedError, UnreachableError
from services.platform.kafka import make_broker
from services.platform.kafka_acls import apply_acls
from services.platform.kafka_publishing import publish_all
from services.platform.kafka_security import Brokers, Security
from services.platform.postgres import connect
from services.platform.rights import role_name, roles
from services.platform.settings import Settings
from services.platform.topics import create_topics, ensure_topics
from services.playbooks.directory import load_directory
from tests.integration.fleet import REPO
from tests.integration.postgres_tls import TlsPostgres, tls_postgres
from tests.integration.secured import Cluster, Right, rights
from tests.services.support import PLAYBOOKS, Sent, publish_shipped, report, sent_report, until

pytestmark = pytest.mark.kafka

A, B = "police", "fire-rescue"
DEPARTMENTS = sorted(load_directory(PLAYBOOKS / "departments.yaml").departments)
NOBODY = "nobody"
"""A user whom no list names."""
AT_ONCE = 4
READY_WITHIN = 240.0
"""Seconds for all services to start side by side on a busy machine."""

# Said here in words of their own, so that a mistake in the topology or in what is made of it shows.
IN_BOTH = {
    "muster-{}-intake": "writes incidents, commands, epoch; reads epoch",
    "muster-{}-dispatch": "writes assignments.A, assignments.B, timeline, dead-letters, epoch;"
    " reads incidents, commands, epoch; joins dispatch",
    "muster-{}-tracking": "writes assignments.A, assignments.B, timeline, dead-letters, epoch;"
    " reads acknowledgements.A, acknowledgements.B, epoch; joins tracking",
    "muster-{}-escalation": "writes assignments.A, assignments.B, timeline, epoch; reads epoch",
    "muster-{}-outbound": "writes epoch; reads timeline, epoch; joins outbound",
    "muster-{}-console": "writes incidents, commands, acknowledgements.A, acknowledgements.B, epoch;"
    " reads epoch; sees dispatch, tracking",
    "muster-{}-admin": "creates everything",
    "department-{}-A": "reads assignments.A; writes acknowledgements.A; joins department.A",
    "department-{}-B": "reads assignments.B; writes acknowledgements.B; joins department.B",
    "feeder-{}": "writes incidents",
}
IN_ONE = {
    "muster-exercise-drills": "writes everything; reads everything but dead-letters;"
    " joins dispatch, tracking, outbound, drill-departments; sees department.A, department.B",
    "muster-exercise-canary": "writes incidents, commands, acknowledgements.A, acknowledgements.B",
    "muster-actual-canary": "reads everything",
}
TOPICS = (
    *("incidents", "commands", "timeline", "dead-letters", "epoch"),
    *("assignments.A", "assignments.B", "acknowledgements.A", "acknowledgements.B"),
)
GROUPS = ("dispatch", "tracking", "outbound", "drill-departments", "department.A", "department.B")


def on_broker(namespace: str, name: str) -> str:
    """Write a name of the words as it is on the broker."""
    head, _, who = name.partition(".")
    department = f".{A if who == 'A' else B}" if who else ""
    return f"muster.{namespace}.{head}{department}"


def said(words: str, namespace: str) -> Iterator[Right]:
    """Read what the words allow."""
    for clause in filter(None, words.split("; ")):
        verb, _, names = clause.partition(" ")
        everything, _, exception = names.partition(" but ")
        listed = [name for name in TOPICS if name != exception] if everything == "everything" else names.split(", ")
        for name in listed:
            yield verb, on_broker(namespace, name)
            if verb == "joins":  # who may join a group sees it too
                yield "sees", on_broker(namespace, name)


def expected() -> dict[str, set[Right]]:
    """Give every user's rights, of all topics and groups of both worlds."""
    found: dict[str, set[Right]] = {NOBODY: set()}
    for pattern, words in IN_BOTH.items():
        for namespace in Namespace:
            who = pattern.format(namespace.value)
            who = f"{who[:-1]}{A if who[-1] == 'A' else B}" if who[-2:] in {"-A", "-B"} else who
            found[who] = set(said(words, namespace.value))
    for who, words in IN_ONE.items():
        found[who] = set(said(words, who.split("-")[1]))
    return found


EXPECTED = expected()
TRIED = Cluster(
    tuple(on_broker(namespace, name) for namespace in Namespace for name in TOPICS),
    tuple(on_broker(namespace, name) for namespace in Namespace for name in GROUPS),
)


def environment(cluster: ApacheKafka, who: str, folder: Path) -> dict[str, str]:
    """Give the environment of a process that is this user; ``{namespace}`` in it is left to the process."""
    assert cluster.secured is not None
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")},
        "MUSTER_KAFKA": cluster.bootstrap,
        "MUSTER_KAFKA_SECURITY": "sasl_ssl",
        "MUSTER_KAFKA_CA": str(cluster.secured.ca),
        "MUSTER_KAFKA_USERNAME": who,
        "MUSTER_KAFKA_PASSWORD_FILE": str(folder / who),
        "MUSTER_LOG_LEVEL": "warning",
    }


async def muster(environment: Mapping[str, str], *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.cli", *arguments),
        cwd=REPO,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, said = await process.communicate()
    print(arguments[:2], said.decode()[-2_000:])
    assert process.returncode == 0, said.decode()
    return out.decode()


@pytest.fixture(scope="module")
def passwords(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file for each user."""
    folder = tmp_path_factory.mktemp("passwords")
    for who in EXPECTED:
        (folder / who).write_text(f"{secrets.token_urlsafe(12)}\n")
    return folder


@pytest.fixture(scope="module")
async def cluster(passwords: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApacheKafka]:
    """A secured broker whose lists the command has applied, and whose topics each world's administrator has made."""
    users = {who: SecretStr((passwords / who).read_text().strip()) for who in EXPECTED}
    cluster = ApacheKafka(tmp_path_factory.mktemp("kafka"), users=users)
    await cluster.start()
    try:
        password = cluster.user().password
        assert password is not None
        (passwords / ADMINISTRATOR).write_text(password.get_secret_value())
        done = await muster(environment(cluster, ADMINISTRATOR, passwords), "topics", "acls", "--apply", "--json")
        assert len(json.loads(done)["added"]) > 100
        both = environment(cluster, "muster-{namespace}-admin", passwords)
        assert json.loads(await muster(both, "topics", "--create", "--json"))["created"]
        yield cluster
    finally:
        await cluster.stop()


async def test_everybody_can_do_what_the_words_say_and_nothing_else(cluster: ApacheKafka) -> None:
    """Each user tries to write, read and create every topic and to join every group, in both worlds."""
    producer = AIOKafkaProducer(**cluster.user().options(), acks="all")
    await producer.start()
    for topic in TRIED.topics:  # something to be read
        await producer.send_and_wait(topic, b"0123456789abcdef", partition=0)
    await producer.stop()
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(who: str) -> set[Right]:
        async with slots:
            return await rights(cluster.user(who), TRIED)

    found = dict(zip(EXPECTED, await asyncio.gather(*map(one, EXPECTED)), strict=True))
    wrong = {
        who: {"may and should not": sorted(found[who] - may), "should and may not": sorted(may - found[who])}
        for who, may in EXPECTED.items()
        if found[who] != may
    }
    assert not wrong, json.dumps(wrong, indent=2)
    assert sum(map(len, found.values())) > 100


async def test_nobody_but_the_administrator_changes_the_lists(cluster: ApacheKafka) -> None:
    for who in ("muster-actual-admin", "muster-actual-dispatch", f"department-actual-{A}", NOBODY):
        with pytest.raises(RefusedError, match="ClusterAuthorizationFailedError"):
            await apply_acls(cluster.user(who), [], list(Namespace), prune=True)


async def test_users_of_one_world_make_nothing_in_the_other(cluster: ApacheKafka) -> None:
    """An administrator is refused, and a service that is set up for the wrong world is told so."""
    with pytest.raises(UnreachableError, match=r"topic muster\.actual\.\S+: the broker refuses to make it: TopicAuth"):
        await create_topics(cluster.user("muster-exercise-admin"), Namespace.ACTUAL, [A], replication=1)
    with pytest.raises(UnreachableError, match=r"muster\.exercise\.epoch: is not there for muster-actual-dispatch"):
        await ensure_topics(cluster.user("muster-actual-dispatch"), Namespace.EXERCISE, [A], replication=1)
    assert await ensure_topics(cluster.user("muster-actual-dispatch"), Namespace.ACTUAL, [A], replication=1) == []


async def test_who_is_not_let_in_learns_nothing_and_tells_nothing(
    cluster: ApacheKafka, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A wrong password, an unknown user, no TLS, no user, and a broker whose certificate is somebody else's."""
    right = cluster.user("muster-actual-intake")
    wrong = SecretStr("wrong-password")
    other = tmp_path / "other.pem"
    other.write_bytes(Authority("somebody else").certificate)
    strangers = {
        "wrong password": Brokers(
            right.bootstrap, Security.SASL_SSL, right.ca, username=right.username, password=wrong
        ),
        "unknown user": Brokers(right.bootstrap, Security.SASL_SSL, right.ca, username="stranger", password=wrong),
        "no TLS": Brokers(right.bootstrap, Security.SASL_PLAINTEXT, username=right.username, password=right.password),
        "nothing at all": Brokers(right.bootstrap),
        "TLS but no user": Brokers(right.bootstrap, Security.SSL, right.ca),
        "another broker's certificate": Brokers(
            right.bootstrap, Security.SASL_SSL, other, username=right.username, password=right.password
        ),
    }
    for what, stranger in strangers.items():
        client = AIOKafkaClient(**stranger.options(), request_timeout_ms=5_000)
        try:
            with pytest.raises(KafkaError):
                await client.bootstrap()
            print("not let in with", what)
        finally:
            await client.close()
        with pytest.raises(UnreachableError, match="MUSTER_KAFKA") as told:
            await create_topics(stranger, Namespace.ACTUAL, [A], replication=1)
        for password in (right.password, wrong):
            assert password is not None
            assert password.get_secret_value() not in f"{told.value} {stranger!r} {caplog.text}"


@pytest.fixture(scope="module")
async def postgres_server(passwords: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TlsPostgres]:
    """A database with TLS whose tables, roles and passwords the command has made."""
    async with tls_postgres(tmp_path_factory.mktemp("tls")) as server:
        for role in roles():
            if role.logs_in:
                (passwords / role.name).write_text(f"{secrets.token_urlsafe(12)}/@:\n")
        owner = {"PATH": os.environ["PATH"], "MUSTER_DATABASE": server.owner}
        done = json.loads(await muster(owner, "roles", "--apply", "--passwords", str(passwords), "--json"))
        assert done == {
            "roles": sorted(role.name for role in roles()),
            "passwords": sorted(role.name for role in roles() if role.logs_in),
        }
        yield server


def role_in(server: TlsPostgres, who: str, passwords: Path) -> dict[str, str]:
    """Give the environment of a process that is this user in the database."""
    return {
        "MUSTER_DATABASE": f"postgresql://{who}@localhost:{server.port}/muster",
        "MUSTER_DATABASE_CA": str(server.ca),
        "MUSTER_DATABASE_PASSWORD_FILE": str(passwords / who),
    }


async def test_the_database_proves_who_it_is_and_takes_nobody_without_tls(
    postgres_server: TlsPostgres, passwords: Path, tmp_path: Path
) -> None:
    """A role's session is encrypted; another authority, another name, no TLS, no or a wrong password are refused."""
    who = role_name(Namespace.ACTUAL, "intake")

    def configured(**given: Any) -> Settings:
        here = role_in(postgres_server, who, passwords)
        return Settings(_env_file=None, **{name[7:].lower(): value for name, value in here.items()} | given)

    own = await connect(configured().postgres(), size=1)
    row = await own.fetchrow("SELECT current_user::text, ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    assert row is not None
    assert (row[0], row[1], row[2][:5]) == (who, True, "TLSv1")
    await own.close()
    other = tmp_path / "other.pem"
    other.write_bytes(Authority("somebody else").certificate)
    right = configured()
    empty = tmp_path / "wrong"
    empty.write_text("wrong")
    for what, wrong, complaint in (
        ("another authority", configured(database_ca=other), "certificate verify failed"),
        ("another name", configured(database=right.database.replace("localhost", "127.0.0.1")), "mismatch"),
        ("no TLS", configured(database=f"{right.database}?sslmode=disable", database_ca=None), "no encryption"),
        ("a wrong password", configured(database_password_file=empty), "password authentication failed"),
    ):
        with pytest.raises(UnreachableError, match=complaint) as told:
            await connect(wrong.postgres(), size=1)
        assert (passwords / who).read_text().strip() not in str(told.value), what


@asynccontextmanager
async def serving(
    cluster: ApacheKafka, server: TlsPostgres, passwords: Path, folder: Path
) -> AsyncIterator[Mapping[str, str]]:
    """Run each service as its own user, the console in both worlds; gives where each listens."""
    services = ("intake", "dispatch", "tracking", "escalation", "outbound", "console")
    ports = dict(zip(services, free_ports(len(services)), strict=True))
    at = {service: f"http://127.0.0.1:{port}" for service, port in ports.items()}
    async with AsyncExitStack() as stack:
        for service, port in ports.items():
            world = "{namespace}" if service == "console" else "actual"
            own = environment(cluster, f"muster-{world}-{service}", passwords)
            own |= role_in(server, role_name(Namespace.ACTUAL, service).replace("actual", world), passwords)
            options = () if service == "console" else ("--namespace", "actual")
            log = stack.enter_context((folder / f"{service}.log").open("wb"))
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "services.cli", "serve", service, "--port", str(port), *options),
                cwd=REPO,
                env=own,
                stdout=log,
                stderr=log,
            )
            stack.push_async_callback(process.wait)
            stack.callback(process.terminate)
        stack.callback(lambda: [print(path.name, path.read_text()[-2_000:]) for path in folder.glob("*.log")])
        async with httpx.AsyncClient(timeout=5) as client:
            for service, base in at.items():

                async def ready(base: str = base) -> bool:
                    try:
                        return (await client.get(f"{base}/health/ready")).status_code == 200
                    except httpx.HTTPError:
                        return False

                await until(ready, READY_WITHIN)
                print(service, "is ready")
        yield at


async def test_an_incident_goes_the_whole_way_with_everybody_under_their_own_credentials(
    cluster: ApacheKafka, postgres_server: TlsPostgres, passwords: Path, tmp_path: Path
) -> None:
    """Reported to intake and by a feeder, ordered, committed to over Kafka and from the console; junk is set aside."""
    pool = await connect(postgres_server.owner, size=2)
    await publish_shipped(pool)
    access = await open_access(postgres_server.owner, size=1)
    now = access.now()
    soon = now + timedelta(hours=1)
    tokens = {
        name: (await access.tokens.issue(name, scopes=scopes, departments=of, by="test", now=now, expires_at=soon))[1]
        for name, scopes, of in (
            ("feed", [REPORT], []),
            ("crew", ["department"], [B]),
            ("auditor", ["auditor"], []),
            ("officer", ["duty_officer"], []),
        )
    }
    await access.close()

    def bearer(name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {tokens[name]}"}

    own = cluster.user(f"department-actual-{A}")
    department = Department(A, namespace=Namespace.ACTUAL, kafka=own, journal=tmp_path / "journal")

    @department.on_order
    async def commit(order: Order) -> None:
        await order.commit(read_back="understood")

    async def committed(who: str) -> object:
        return await pool.fetchval(
            "SELECT bool_or(committed_at IS NOT NULL) FROM assignments WHERE department = $1", who
        )

    async with serving(cluster, postgres_server, passwords, tmp_path) as at, httpx.AsyncClient(timeout=10) as http:
        listening = asyncio.create_task(department.run())
        told = report()
        body = told.model_dump(mode="json", exclude={"incident_id", "reported_at"}, exclude_none=True)
        answer = await http.post(f"{at['intake']}/v1/incidents", json=body, headers=bearer("feed"))
        assert answer.status_code == 202, answer.text
        await until(lambda: committed(A), 60)

        inbox = environment(cluster, "department-{namespace}-" + B, passwords)
        arguments = ("department", "inbox", B, "--namespace", "actual", "--journal", str(tmp_path / B), "--json")
        seen = json.loads(await muster(inbox, *arguments))
        assert seen["caught_up"]
        order = seen["orders"][0]["assignment_id"]
        answer = await http.post(
            f"{at['console']}/v1/assignments/{order}/answers",
            json={"answer": "commit", "read_back": "understood"},
            headers=bearer("crew"),
        )
        assert answer.status_code == 202, answer.text
        await until(lambda: committed(B), 60)

        feed = make_broker(cluster.user("feeder-actual"), client_id="feed")
        await feed.connect()
        direct = report()
        junk: Sent = (topic_name(INCIDENTS, Namespace.ACTUAL), b"junk", b"not a report", [])
        assert await publish_all(feed, [sent_report(direct), junk]) == [None, None]
        await feed.stop()
        await until(
            lambda: pool.fetchval("SELECT true FROM assignments WHERE incident_id = $1", direct.incident_id), 60
        )
        # Beside the junk there is whatever the other tests have written.
        await until(lambda: announced(cluster, b"not a report"), 60)

        command = {"action": "close", "status": "Actual", "reason": "over", "by": "Somebody else"}
        path = f"{at['console']}/v1/incidents/{direct.incident_id}/commands"
        assert (await http.post(path, json=command, headers=bearer("auditor"))).status_code == 403
        assert (await http.post(path, json=command, headers=bearer("officer"))).status_code == 202
        await until(lambda: pool.fetchval("SELECT true FROM timeline WHERE by = $1", "officer"), 60)
        assert not await pool.fetchval("SELECT true FROM timeline WHERE by = $1", command["by"])

        operations = (await http.get(f"{at['console']}/v1/operations", headers=bearer("auditor"))).json()
        assert {lag["group"]: lag["behind"] is not None for lag in operations["consumers"]} == {
            "dispatch": True,
            "tracking": True,
        }
        assert (await http.get(f"{at['console']}/exercise/health/ready")).status_code == 200
        await until(lambda: pool.fetchval("SELECT bool_and(published_at IS NOT NULL) FROM outbox"), 60)
        department.stop()
        await listening
    await pool.close()
    check_logs(tmp_path, passwords)


def check_logs(folder: Path, passwords: Path) -> None:
    """Look for passwords in what the processes have logged, and for anything that they were refused."""
    logs = "".join(path.read_text(errors="replace") for path in folder.glob("*.log"))
    assert not [who.name for who in passwords.iterdir() if who.read_text().strip() in logs]
    assert "AuthorizationFailed" not in logs, logs[-3_000:]
    assert "permission denied" not in logs, logs[-3_000:]
    assert "row-level security" not in logs, logs[-3_000:]


async def announced(cluster: ApacheKafka, value: bytes) -> bool:
    """Say whether a message was announced on the topic of dead letters."""
    partition = TopicPartition("muster.actual.dead-letters", 0)
    consumer = AIOKafkaConsumer(**cluster.user().options(), enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        found = await consumer.getmany(timeout_ms=1_000)
        return value in [record.value for records in found.values() for record in records]
    finally:
        await consumer.stop()
