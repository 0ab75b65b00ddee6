"""What Apache Kafka lets through as a batch, and what Muster's readers make of it."""

import asyncio
import struct
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder

from schemas.envelope import ACKNOWLEDGEMENT
from schemas.vocabulary import Namespace
from services.platform.embedded.apache import ApacheKafka
from services.platform.kafka import STEADY, Record, Unreadable, consume, make_broker
from services.platform.topics import create_topics
from tests.fuzz.batches import CODECS, batch_of, records_of

TOPIC = "muster.exercise.acknowledgements.police"
MOST_MEMORY = 150
"""MiB that a process may take on to read the bombs; they would be three times 200 MiB and 17."""
BOMB = 200 << 20


@pytest.fixture(scope="module")
async def kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    cluster = ApacheKafka(tmp_path_factory.mktemp("kafka"))
    await cluster.start()
    await create_topics(cluster.bootstrap, Namespace.EXERCISE, ["police"], replication=1)
    yield cluster.bootstrap
    await cluster.stop()


@pytest.fixture
async def producer(kafka: str) -> AsyncIterator[AIOKafkaProducer]:
    made = AIOKafkaProducer(bootstrap_servers=kafka)
    await made.start()
    yield made
    await made.stop()


async def send(producer: AIOKafkaProducer, batch: bytes) -> None:
    """Send a batch as it is; raises `KafkaError` when the broker refuses it."""
    builder = BatchBuilder(1 << 20, 0)
    builder.append(timestamp=1, key=b"k", value=b"v")
    builder.close()
    builder._buffer = bytearray(batch)
    await asyncio.wait_for(await producer.send_batch(builder, TOPIC, partition=0), 30)


def bomb(codec: int) -> bytes:
    """Make a batch of one record whose value is 200 MiB of zeros; snappy's, which packs less, is 17 MiB."""
    size = BOMB if codec != 2 else 17 << 20
    return batch_of(CODECS[codec](records_of([bytes(size)], [])), codec, 1, first=0)


def peak() -> int:
    """Give the most memory this process has had since `forget`, in MiB."""
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) >> 10


def forget() -> None:
    """Begin anew with the peak."""
    Path("/proc/self/clear_refs").write_text("5")


@pytest.mark.kafka
async def test_every_codec_is_read_and_what_expands_without_measure_is_set_aside_and_passed(
    kafka: str, producer: AIOKafkaProducer
) -> None:
    batches = []
    for codec in (0, 1, 2, 3, 4):
        batches.append(batch_of(CODECS[codec](records_of([b"a", b"b"], [])), codec, 2, first=0))
        batches += [bomb(codec)] if codec else []
    for batch in batches:
        await send(producer, batch)
    found: list[Record] = []
    read = asyncio.Event()

    async def handle(records: Sequence[Record]) -> None:
        found.extend(records)
        if len(found) == 14:
            read.set()

    broker = make_broker(kafka, client_id="test")
    consume(broker, handle, expected=ACKNOWLEDGEMENT, group="test", topics=(TOPIC,), pace=STEADY)
    forget()
    before = peak()
    await broker.start()
    try:
        await asyncio.wait_for(read.wait(), 60)
    finally:
        await broker.stop()
    assert peak() - before < MOST_MEMORY
    assert all(isinstance(each, Unreadable) for each in found)
    # What has another key may be handled beside it.
    for key in {each.raw.key for each in found}:
        offsets = [each.origin.offset for each in found if each.raw.key == key]
        assert offsets == sorted(offsets)
    found.sort(key=lambda each: each.origin.offset)
    assert [each.origin.offset for each in found] == list(range(14))
    bombs = found[4::3]
    assert [(each.raw.value or b"")[61:] for each in bombs] == [each[61:] for each in batches[2::2]], (
        "kept as they came"
    )
    assert all("that can't be opened within 16777216 bytes" in each.reason for each in bombs)  # type: ignore[union-attr]
    values = [each.raw.value for each in found if each not in bombs]
    assert values == [b"a", b"b"] * 5


@pytest.mark.kafka
@pytest.mark.parametrize("codec", [0, 1, 4], ids=["plain", "gzip", "zstd"])
async def test_a_broker_takes_no_batch_whose_records_break_off(producer: AIOKafkaProducer, codec: int) -> None:
    """What aiokafka's readers would look beyond the end of never comes to them."""
    whole = records_of([b"x"], [("abc", b"v")])
    long = whole.replace(b"\x06abc", b"\x7eabc")
    broken = {
        "a header's name is longer than the batch": long,
        "a header's value is longer than the batch": whole.replace(b"\x02v", b"\x7ev"),
        "more headers than there are": whole.replace(b"\x02\x06abc", b"\x04\x06abc"),
        "a key longer than the batch": whole.replace(b"\x06key", b"\x7ekey"),
        "cut": whole[:-1],
        "bytes behind": whole + b"\0",
        "a header's name of a negative length": whole.replace(b"\x06abc", b"\x05abc"),
    }
    for what, records in broken.items():
        assert records != whole, what
        with pytest.raises(KafkaError):
            await send(producer, batch_of(CODECS[codec](records), codec, 1, first=0))
    for count in (2, 0):
        with pytest.raises((KafkaError, struct.error)):
            await send(producer, batch_of(CODECS[codec](whole), codec, count, first=0))
    await send(producer, batch_of(CODECS[codec](whole), codec, 1, first=0))
