"""Apache Kafka on loopback: three brokers lose one without losing a message, and only the listed archives run."""

import asyncio
import hashlib
import json
import shutil
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from services.platform.embedded.apache import ApacheKafka
from services.platform.embedded.errors import EmbeddedError
from services.platform.embedded.kafka_config import Ports, server_properties
from services.platform.embedded.kafka_jars import DEPLOY, DIGESTS, fetch_jars, java, verify
from services.platform.embedded.ports import require_free

REPOSITORY = Path(__file__).parents[2]
TOPIC = "muster.exercise.incidents"
PARTITION = TopicPartition(TOPIC, 0)
MESSAGES = [b"report %d" % number for number in range(20)]


@pytest.fixture(scope="module")
async def kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApacheKafka]:
    cluster = ApacheKafka(tmp_path_factory.mktemp("kafka"), brokers=3)
    await cluster.start()
    yield cluster
    await cluster.stop()


async def leader(bootstrap: str) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        [topic] = await admin.describe_topics([TOPIC])
    finally:
        await admin.close()
    return int(topic["partitions"][0]["leader"])


async def read_all(bootstrap: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, retry_backoff_ms=200)
    await consumer.start()
    try:
        consumer.assign([PARTITION])
        await consumer.seek_to_beginning(PARTITION)
        return [(await asyncio.wait_for(consumer.getone(), 60)).value for _ in range(count)]
    finally:
        await consumer.stop()


@pytest.mark.kafka
async def test_a_message_with_all_acks_survives_the_kill_9_of_its_leader(kafka: ApacheKafka) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(TOPIC, 1, 3)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        for message in MESSAGES:
            await producer.send_and_wait(TOPIC, message, key=b"incident-1")
        lost = await leader(kafka.bootstrap)
        kafka.kill(lost)
        assert not kafka.alive(lost)
        assert await read_all(kafka.bootstrap, len(MESSAGES)) == MESSAGES
        await producer.send_and_wait(TOPIC, b"afterwards", key=b"incident-1")
    finally:
        await producer.stop()
    await kafka.restart(lost)
    assert kafka.alive(lost)
    assert await read_all(kafka.bootstrap, len(MESSAGES) + 1) == [*MESSAGES, b"afterwards"]


@pytest.mark.kafka
async def test_a_wiped_broker_copies_everything_back_from_the_others(kafka: ApacheKafka) -> None:
    topic = "muster.exercise.timeline"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 3)])
        with pytest.raises(EmbeddedError, match="node 2 runs"):
            kafka.wipe(2)
        kafka.kill(2)
        kafka.wipe(2)
        await kafka.restart(2)
        async with asyncio.timeout(60):
            while True:
                [described] = await admin.describe_topics([topic])
                if len(described["partitions"][0]["isr"]) == 3:
                    break
                await asyncio.sleep(0.2)
    finally:
        await admin.close()


@pytest.mark.kafka
async def test_an_unknown_topic_is_not_created_by_asking_for_it(kafka: ApacheKafka) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, request_timeout_ms=2000)
    await producer.start()
    try:
        # aiokafka keeps asking for the topic's metadata until the request times out.
        with pytest.raises(Exception, match=r"(?i)timeout|unknown"):
            await producer.send_and_wait("muster.exercise.nowhere", b"lost")
    finally:
        await producer.stop()
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    assert "muster.exercise.nowhere" not in await admin.list_topics()
    await admin.close()


def two_in_a_row() -> int:
    """Find a port that is free with the one after it, below those the system hands out by itself."""
    for base in range(20_000, 30_000, 2):
        with suppress(EmbeddedError):
            require_free(base, base + 1)
            return base
    raise AssertionError("no two ports in a row are free")


@pytest.mark.kafka
async def test_the_command_prints_the_bootstrap_list_and_ends_cleanly_on_term(tmp_path: Path) -> None:
    base = two_in_a_row()
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.platform.embedded.apache", "--brokers", "1"),
        *("--base-port", str(base), "--data-dir", str(tmp_path / "kafka"), "--json"),
        stdout=asyncio.subprocess.PIPE,
        cwd=REPOSITORY,
    )
    assert command.stdout is not None
    line = await asyncio.wait_for(command.stdout.readline(), 90)
    assert json.loads(line) == {"kafka": f"127.0.0.1:{base}"}
    command.send_signal(signal.SIGTERM)
    await command.communicate()
    assert command.returncode == 0


@pytest.mark.kafka
async def test_a_fetched_archive_that_differs_from_the_list_is_refused_and_not_kept(tmp_path: Path) -> None:
    deploy = tmp_path / "deploy"
    shutil.copytree(DEPLOY, deploy)
    first, *rest = (DEPLOY / DIGESTS).read_text().splitlines(keepends=True)
    (deploy / DIGESTS).write_text("0" * 64 + first[64:] + "".join(rest))
    with pytest.raises(EmbeddedError, match=f"{first.split()[1]} has sha256 {first[:64]}, not 0000"):
        await fetch_jars(deploy=deploy, cache=tmp_path / "cache")
    assert list((tmp_path / "cache").glob("kafka-*")) == []


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"a.jar": b"one", "b.jar": b"changed"}, "b.jar has sha256"),
        ({"a.jar": b"one"}, "b.jar is listed"),
        ({"a.jar": b"one", "b.jar": b"two", "c.jar": b"three"}, "c.jar is there and not listed"),
    ],
    ids=["a changed archive", "a missing archive", "an unlisted archive"],
)
def test_archives_must_be_exactly_the_listed_ones(tmp_path: Path, files: dict[str, bytes], complaint: str) -> None:
    listed = tmp_path / DIGESTS
    wanted = {"a.jar": b"one", "b.jar": b"two"}
    listed.write_text("".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in wanted.items()))
    folder = tmp_path / "jars"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    with pytest.raises(EmbeddedError, match=complaint):
        verify(folder, listed)


async def test_an_archive_that_was_changed_after_the_fetch_is_refused(tmp_path: Path) -> None:
    cache = tmp_path / "kafka-1"
    cache.mkdir()
    (tmp_path / "pom.xml").write_text("<kafka.version>1</kafka.version>")
    for folder in (tmp_path, cache):
        (folder / DIGESTS).write_text(f"{hashlib.sha256(b'one').hexdigest()}  a.jar\n")
    (cache / "a.jar").write_bytes(b"one")
    assert await fetch_jars(deploy=tmp_path, cache=tmp_path) == cache
    (cache / "a.jar").write_bytes(b"changed")
    with pytest.raises(EmbeddedError, match=r"a\.jar has sha256"):
        await fetch_jars(deploy=tmp_path, cache=tmp_path)


def test_a_folder_of_another_size_of_cluster_is_refused(tmp_path: Path) -> None:
    (tmp_path / "node-1" / "data").mkdir(parents=True)
    with pytest.raises(EmbeddedError, match="holds a cluster of 1 nodes, not 3"):
        ApacheKafka(tmp_path, brokers=3)._check_size()


def test_a_cluster_id_never_looks_like_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = iter([uuid.UUID(bytes=b"\xf8" * 16), uuid.UUID(bytes=b"\x01" * 16)])
    monkeypatch.setattr(uuid, "uuid4", lambda: next(made))
    cluster = ApacheKafka(tmp_path)
    assert cluster._cluster_id() == cluster._cluster_id() == "AQEBAQEBAQEBAQEBAQEBAQ"


async def test_missing_java_is_one_line_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    with pytest.raises(EmbeddedError, match=r"^Apache Kafka needs Java 17 and /nowhere/bin/java is missing: install"):
        await java()


@pytest.mark.parametrize(("brokers", "copies", "in_sync"), [(1, 1, 1), (2, 2, 1), (3, 3, 2), (5, 3, 2)])
def test_a_cluster_keeps_up_to_three_copies_and_waits_for_two(brokers: int, copies: int, in_sync: int) -> None:
    ports = [Ports(9000 + node, 9100 + node) for node in range(brokers)]
    lines = server_properties(1, ports, Path("/data")).splitlines()
    assert f"default.replication.factor={copies}" in lines
    assert f"min.insync.replicas={in_sync}" in lines
