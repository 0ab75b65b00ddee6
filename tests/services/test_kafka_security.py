"""How settings become a way into Kafka: what goes together, what is refused in one line, and what is never told."""

import asyncio
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
import uvloop
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512
from pydantic import SecretStr

from schemas.vocabulary import Namespace
from services.departments.kafka import KafkaTransport
from services.platform.embedded.certificates import Authority
from services.platform.embedded.errors import EmbeddedError
from services.platform.embedded.kafka_secured import ADMINISTRATOR, Secured, read_users
from services.platform.errors import ConfigurationError
from services.platform.kafka import make_broker
from services.platform.kafka_faststream import faststream_security
from services.platform.kafka_security import Brokers, Mechanism, Security
from services.platform.settings import Settings

SECRET = "correct horse battery staple"  # noqa: S105 - a test's own
LOOPBACK = "127.0.0.1:9093"
FILE = "password_file"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority's certificate, a client's certificate and key, a password."""
    folder = tmp_path_factory.mktemp("files")
    authority = Authority("test")
    issued = authority.issue("muster-actual-intake")
    (folder / "ca.pem").write_bytes(authority.certificate)
    (folder / "cert.pem").write_bytes(issued.certificate)
    (folder / "key.pem").write_bytes(issued.key)
    (folder / "password").write_text(f"{SECRET}\n")
    (folder / "empty").write_text("\n")
    return folder


def configured(**given: Any) -> Settings:
    return Settings(_env_file=None, **{f"kafka_{name}": value for name, value in given.items()})


def user(**given: Any) -> dict[str, Any]:
    return {"security": "sasl_ssl", "username": "intake", "password": SECRET} | given


def test_without_settings_it_is_a_plain_address() -> None:
    brokers = Settings(_env_file=None, kafka="a:1,b:2").brokers()
    assert brokers.options() == {"bootstrap_servers": ["a:1", "b:2"]}
    assert faststream_security(brokers) is None
    assert brokers == Brokers("a:1,b:2")


def test_the_environment_is_enough(monkeypatch: pytest.MonkeyPatch, files: Path) -> None:
    """As a department's process is set up."""
    monkeypatch.setenv("MUSTER_KAFKA", "kafka:9093")
    monkeypatch.setenv("MUSTER_KAFKA_SECURITY", "sasl_ssl")
    monkeypatch.setenv("MUSTER_KAFKA_CA", str(files / "ca.pem"))
    monkeypatch.setenv("MUSTER_KAFKA_USERNAME", "department-{namespace}-police")
    monkeypatch.setenv("MUSTER_KAFKA_PASSWORD_FILE", str(files / "password"))
    monkeypatch.setenv("MUSTER_NAMESPACE", "exercise")
    options = Settings(_env_file=None).brokers().options()
    context = options.pop("ssl_context")
    assert options == {
        "bootstrap_servers": ["kafka:9093"],
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "department-exercise-police",
        "sasl_plain_password": SECRET,
    }
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert len(context.get_ca_certs()) == 1


@pytest.mark.parametrize(
    ("mechanism", "kind"),
    [("SCRAM-SHA-512", SASLScram512), ("SCRAM-SHA-256", SASLScram256), ("PLAIN", SASLPlaintext)],
)
def test_each_mechanism_reaches_aiokafka_and_faststream(mechanism: str, kind: type[BaseSecurity]) -> None:
    brokers = configured(**user(mechanism=mechanism)).brokers()
    assert brokers.options()["sasl_mechanism"] == mechanism
    found = faststream_security(brokers)
    assert type(found) is kind
    assert found.ssl_context is brokers.tls


def test_every_client_is_made_with_it(files: Path) -> None:
    """FastStream's connection and the department's transport ask for the same protocol, user and context."""
    brokers = configured(**user(ca=files / "ca.pem")).brokers()
    for broker in (
        make_broker(brokers, client_id="test"),
        KafkaTransport(brokers, Namespace.ACTUAL, "police")._broker(),
    ):
        made = broker._connection_kwargs
        options = brokers.options()
        del options["bootstrap_servers"]
        assert {name: made.get(name) for name in options} == options


def test_each_world_has_a_user_of_its_own(tmp_path: Path) -> None:
    for namespace in Namespace:
        (tmp_path / f"{namespace}.secret").write_text(f"for {namespace}")
    settings = configured(
        security="sasl_ssl", username="muster-{namespace}-console", password_file=tmp_path / "{namespace}.secret"
    )
    assert settings.worlds == tuple(Namespace)
    for namespace in Namespace:
        brokers = settings.brokers(namespace)
        assert brokers.username == f"muster-{namespace}-console"
        assert brokers.password == SecretStr(f"for {namespace}")
    assert settings.brokers() == settings.brokers(Namespace.ACTUAL)


def test_a_user_of_one_world_reaches_one_world(files: Path) -> None:
    assert configured(**user()).worlds == (Namespace.ACTUAL,)
    certified = configured(security="ssl", cert=files / "cert.pem", key=files / "key.pem")
    assert certified.worlds == (Namespace.ACTUAL,)
    assert configured(security="ssl", cert="/certs/{namespace}.pem").worlds == tuple(Namespace)
    assert Settings(_env_file=None).worlds == tuple(Namespace)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"username": "intake"}, "MUSTER_KAFKA_USERNAME: MUSTER_KAFKA_SECURITY=plaintext makes no use of it"),
        ({"password": SECRET}, "MUSTER_KAFKA_PASSWORD: MUSTER_KAFKA_SECURITY=plaintext makes no use of it"),
        ({"ca": "ca.pem"}, "MUSTER_KAFKA_CA: MUSTER_KAFKA_SECURITY=plaintext makes no use of it"),
        (
            {"security": "ssl", "password": SECRET},
            "MUSTER_KAFKA_PASSWORD: MUSTER_KAFKA_SECURITY=ssl makes no use of it",
        ),
        (user(username=None), "MUSTER_KAFKA_USERNAME: is needed with MUSTER_KAFKA_SECURITY=sasl_ssl"),
        (user(password=None), "MUSTER_KAFKA_PASSWORD: is needed with MUSTER_KAFKA_SECURITY=sasl_ssl"),
        (user(password=""), "MUSTER_KAFKA_PASSWORD: is needed with MUSTER_KAFKA_SECURITY=sasl_ssl"),
        (user(**{FILE: "empty"}), "MUSTER_KAFKA_PASSWORD_FILE: MUSTER_KAFKA_PASSWORD is given too"),
        (user(password=None, **{FILE: "FILES/empty"}), "MUSTER_KAFKA_PASSWORD: is needed"),
        (user(password=None, **{FILE: "FILES/none"}), "none: No such file or directory"),
        (user(ca="FILES/none"), "MUSTER_KAFKA_CA: .*none: can't be used: No such file or directory"),
        (user(ca="FILES/password"), "MUSTER_KAFKA_CA: .*password: can't be used: "),
        (user(cert="FILES/cert.pem"), "MUSTER_KAFKA_CERT: .*cert.pem: can't be used: "),
        (user(key="FILES/key.pem"), "MUSTER_KAFKA_CERT: is needed with MUSTER_KAFKA_KEY"),
        (user(security="sasl_plaintext"), "sasl_plaintext is for this machine only; use sasl_ssl for kafka"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(given: dict[str, Any], complaint: str, files: Path) -> None:
    placed = {
        name: value.replace("FILES", str(files)) if isinstance(value, str) else value for name, value in given.items()
    }
    settings = configured(**placed).model_copy(update={"kafka": "kafka:9093"})
    with pytest.raises(ConfigurationError, match=complaint) as told:
        settings.brokers()
    assert "\n" not in str(told.value)
    assert SECRET not in str(told.value)


@pytest.mark.parametrize("host", ["127.0.0.1:9093", "localhost:9093", "[::1]:9093", "127.0.0.2:1,127.0.0.1:2"])
def test_a_password_in_the_clear_stays_on_this_machine(host: str) -> None:
    assert Brokers(host, Security.SASL_PLAINTEXT, username="a", password=SecretStr("b")).options()
    with pytest.raises(ConfigurationError, match="use sasl_ssl for 192"):
        Brokers(f"{host},192.0.2.1:9093", Security.SASL_PLAINTEXT, username="a", password=SecretStr("b"))


def test_an_unknown_word_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="kafka_security"):
        configured(security="tls")
    assert {each.value for each in Mechanism} == {"SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"}


def test_nothing_that_is_printed_tells_the_password(files: Path) -> None:
    settings = configured(**user())
    brokers = settings.brokers()
    printed = f"{settings!r} {settings} {brokers!r} {brokers} {brokers.advice()} {settings.model_dump_json()}"
    assert SECRET not in printed
    assert SECRET not in repr(configured(**user(password=None, password_file=files / "password")).brokers())


async def test_a_clients_certificate_is_shown_to_a_server_that_asks(files: Path) -> None:
    """The other side takes it for its name, and the client checks the other side's certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(files / "ca.pem"))
    context.load_cert_chain(files / "cert.pem", files / "key.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    seen: list[Any] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer.get_extra_info("peercert")["subject"])
        await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    brokers = Brokers(
        f"127.0.0.1:{port}", Security.SSL, files / "ca.pem", cert=files / "cert.pem", key=files / "key.pem"
    )
    assert isinstance(faststream_security(brokers), BaseSecurity)
    async with server:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=brokers.tls)
        writer.close()
        await writer.wait_closed()
        stranger = Brokers(f"127.0.0.1:{port}", Security.SSL)  # trusts what the system trusts
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("127.0.0.1", port, ssl=stranger.tls)
    assert seen == [((("commonName", "muster-actual-intake"),),)]


async def closed(port: int, context: ssl.SSLContext | None) -> float:
    """Connect, say something, close, and give how long (s) closing took."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.write(b"hello")
    await writer.drain()
    loop = asyncio.get_running_loop()
    begun = loop.time()
    writer.close()
    await writer.wait_closed()
    return loop.time() - begun


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
async def test_closing_does_not_wait_for_a_broker_that_says_no_goodbye(files: Path, run: Any) -> None:
    """A broker reads nothing more from a connection while it has a request of it in hand."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files / "cert.pem", files / "key.pem")
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with context.wrap_socket(connection, server_side=True) as wrapped:
                assert wrapped.recv(5) == b"hello"
                done.wait(20)

        serving = asyncio.create_task(asyncio.to_thread(serve))
        port = listening.getsockname()[1]
        tls = Brokers(f"127.0.0.1:{port}", Security.SSL, files / "ca.pem").tls
        took = await asyncio.to_thread(lambda: run(closed(port, tls)))
        done.set()
        await serving
    assert took < 5


def test_users_are_read_from_lines_and_a_bad_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text("# who may in\npolice=a=b\n\nfire = c \n")
    assert read_users(path) == {"police": SecretStr("a=b"), "fire": SecretStr(" c ")}
    path.write_text("police=a\nfire\n")
    with pytest.raises(EmbeddedError, match=r"users, line 2: write name=password"):
        read_users(path)
    with pytest.raises(EmbeddedError, match="No such file"):
        read_users(tmp_path / "none")


def test_a_secured_cluster_keeps_its_secrets_to_its_owner(tmp_path: Path) -> None:
    """Files with a key or a password are for their owner only, and nodes are formatted with salted passwords."""
    secured = Secured(tmp_path / "secured", {"police": SecretStr(SECRET)})
    secured.prepare()
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "secured").iterdir()}
    assert modes.pop("ca.pem") & 0o022 == 0
    assert modes == {"node.pem": 0o600, ADMINISTRATOR: 0o600}
    assert SECRET not in " ".join(secured.format_options())
    before = secured.user(ADMINISTRATOR, LOOPBACK).password
    secured.prepare()
    assert secured.user(ADMINISTRATOR, LOOPBACK).password == before
    with pytest.raises(EmbeddedError, match="name yours otherwise"):
        Secured(tmp_path, {ADMINISTRATOR: SecretStr("mine")})
