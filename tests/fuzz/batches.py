"""Fuzzes what a fetch brings: batches of records, plain and compressed, before there is a message to look at.

An input is how its batch is compressed, whether it is already, and how many records it says it has, one byte each;
then the records. Around them goes a head with a right checksum. Plain records that break off aren't given to aiokafka,
which would look beyond their end: a broker takes none (`tests/integration/test_kafka_batches.py`).
"""

import struct
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count as counted

from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from hypothesis import strategies as st

from services.platform.kafka_batches import UnreadableBatchError, UnreadBatch, checked
from services.platform.kafka_records import GuardedRecords
from tests.fuzz.harness import Entry, LostError, Target
from tests.fuzz.shapes import spoilt

FIRST = 40
"""Offset of the batch's first record."""
STAMP = 1_780_000_000_000
_HEAD = 61


CODECS: dict[int, Callable[[bytes], bytes]] = {
    0: bytes,
    1: gzip_encode,
    2: snappy_encode,
    3: lz4_encode,
    4: zstd_encode,
    5: bytes,
}
"""How producers compress, by number; there is no fifth way."""


def batch_of(records: bytes, codec: int, count: int, first: int = FIRST) -> bytes:
    """Put a head with a right checksum before a batch's records, as they are."""
    rest = struct.pack(">hiqqqhii", codec, count - 1, STAMP, STAMP, -1, -1, -1, count) + records
    return struct.pack(">qiibI", first, len(rest) + 9, -1, 2, calc_crc32c(rest)) + rest


def records_of(values: list[bytes | None], headers: list[tuple[str, bytes | None]]) -> bytes:
    """Write values as a batch's records, uncompressed and without a head."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 30)
    for place, value in enumerate(values):
        builder.append(place, timestamp=STAMP, key=b"key", value=value, headers=headers)
    return bytes(builder.build())[_HEAD:]


def _is_whole(batch: bytes) -> bool:
    try:
        deque(checked(batch, counted()), maxlen=0)
    except (CorruptRecordException, UnreadableBatchError):
        return False
    return True


def take(data: bytes) -> str | None:
    """Read the batch that an input stands for; each of its records is there, or the whole batch is, with a reason."""
    codec, done, count = (data[:3] + b"\0\0\1")[:3]
    codec, count = codec % len(CODECS), max(count, 1)
    batch = batch_of(data[3:] if done % 2 else CODECS[codec](data[3:]), codec, count)
    if not codec and not _is_whole(batch):
        return "broker: takes no such batch"
    fetch = GuardedRecords(batch)
    read = fetch.next_batch()
    if not read.validate_crc():
        raise LostError("the head is wrong")
    found = list(read)
    offsets = [each.offset for each in found]
    if not isinstance(found[-1].value, UnreadBatch):
        if len(found) != count or fetch.has_next():
            raise LostError(f"{len(found)} of {count} records")
        return None
    if found[-1].value != batch or offsets[-1] != FIRST + count - 1:
        raise LostError("the batch is not there as it came")
    return found[-1].value.reason


@contextmanager
def opened() -> Iterator[Target]:
    """Give the one target."""
    yield take


def seeds() -> list[bytes]:
    """Give batches of each codec that are whole, odd, cut, or expand without measure."""
    small = records_of([b'{"a": 1}', None, b""], [("ce_id", b"x"), ("none", None)])
    odd = records_of([b"x"], [("b\x7f\x7f", b"")]).replace(b"b\x7f\x7f", b"b\xff\xfe")
    many = records_of([b"x" * 40] * 200, [])
    swarm = records_of([b"x"], [("", b"")] * 20_000)
    found = [bytes((codec, 0, 3)) + small for codec in CODECS]
    found += [bytes((codec, 0, 1)) + odd for codec in CODECS]
    found += [bytes((codec, 0, 200)) + many for codec in CODECS]
    found += [bytes((codec, 0, 1)) + swarm for codec in CODECS]
    for codec in (1, 2, 3, 4):
        packed = CODECS[codec](small)
        bomb = CODECS[codec](bytes(20 << 20))
        found += [bytes((codec, 1, 3)) + each for each in (packed, packed[:-3], packed + packed, packed + b"x", b"")]
        found += [bytes((codec, 1, 1)) + bomb] if len(bomb) < LONGEST else []
        found.append(bytes((codec, 1, 1)) + CODECS[codec](records_of([bytes(2 << 20)], [])))
    return found


LONGEST = 1 << 16


def shaped() -> st.SearchStrategy[bytes]:
    """Make batches of any records that a producer may send, and ones that are spoilt before or after compression."""
    text = st.text(max_size=8)
    headers = st.lists(st.tuples(text, st.none() | st.binary(max_size=8)), max_size=4)
    whole = st.tuples(
        st.sampled_from(sorted(CODECS)),
        st.lists(st.none() | st.binary(max_size=300), min_size=1, max_size=40),
        headers,
    ).map(lambda each: bytes((each[0], 0, len(each[1]))) + records_of(each[1], each[2]))
    return st.one_of(whole, spoilt([each for each in seeds() if len(each) < 20_000]))


def entries() -> list[Entry]:
    """Give the one entry."""
    return [Entry("batch", opened, seeds, shaped, (60_000, 2_000), longest=LONGEST)]
