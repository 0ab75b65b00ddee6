"""Opens a compressed batch of records within bounds, so that no producer decides how much memory its readers need.

A topic's ``max.message.bytes`` holds for a batch as it is sent; a broker with ``compression.type=producer``, Kafka's
default, keeps it so, and 64 KB of zstd may be 2 GB. aiokafka would open it whole. A broker that compresses anew checks
what it expands to, but in its own heap, and dies of it: the bound has to be here.
"""

import struct
from collections.abc import Callable, Iterator
from mmap import mmap
from typing import Any

import cramjam
from aiokafka.errors import CorruptRecordException
from aiokafka.record.util import decode_varint_py

from schemas.envelope import MAX_VALUE_BYTES

MAX_BATCH_BYTES = MAX_VALUE_BYTES + 64 * 1024
"""Largest batch that a topic takes, and largest record of a compressed one: a value, and room for headers and frame."""
MAX_OPENED_BYTES = 16 * 1024 * 1024
"""Largest batch that is read, opened: a thousand times what Kafka's clients send at a time (``batch.size``, 16 KiB)."""
MAX_HEADERS = 1_000
"""Most headers of a record in a compressed batch: ours have nine, and half a million fit into 63 bytes of zstd."""

_MAGIC_AT = 16
_MAGIC = 2
_ATTRIBUTES_AT = 21
_HEAD = 61
"""Bytes before a batch's records; its length counts those behind the length itself."""
_LENGTH_AT = 8
_LAST_AT = 23
"""Where a batch has the last of its records' offsets, from its first on."""
_COUNT_AT = 57
_CODEC = 7
_XERIAL = b"\x82SNAPPY\0"
_XERIAL_HEAD = 16


class UnreadableBatchError(Exception):
    """A batch that can't be read, or not within bounds; the text says why and what its sender can do."""


class UnreadBatch(bytes):
    """The bytes of a whole batch, in the place of its records' values, and why they couldn't be read."""

    reason: str

    @classmethod
    def of(cls, data: bytes, reason: str) -> "UnreadBatch":
        """Say why a batch is left as it came."""
        batch = cls(data)
        batch.reason = reason
        return batch


def is_compressed(batch: bytes) -> bool:
    """Say whether a batch of the present format has to be opened."""
    return batch[_MAGIC_AT] == _MAGIC and bool(batch[_ATTRIBUTES_AT + 1] & _CODEC)


def opened(batch: bytes) -> bytes:
    """Give the same batch uncompressed, its checksum left as it was; raises `UnreadableBatchError`."""
    codec = batch[_ATTRIBUTES_AT + 1] & _CODEC
    if codec not in _CODECS:
        raise UnreadableBatchError(f"is compressed in a way that isn't known ({codec}); send it as zstd, lz4 or gzip")
    name, unpack = _CODECS[codec]
    try:
        records = unpack(batch[_HEAD:])
    except cramjam.DecompressionError as error:
        raise UnreadableBatchError(
            f"holds {len(batch) - _HEAD} bytes of {name} that can't be opened within {MAX_OPENED_BYTES} bytes"
            f" ({error}); send fewer records at a time, or uncompressed"
        ) from error
    length = struct.pack(">i", _HEAD - _LENGTH_AT - 4 + len(records))
    attributes = bytes((batch[_ATTRIBUTES_AT], batch[_ATTRIBUTES_AT + 1] & ~_CODEC))
    between, rest = batch[_LENGTH_AT + 4 : _ATTRIBUTES_AT], batch[_ATTRIBUTES_AT + 2 : _HEAD]
    return batch[:_LENGTH_AT] + length + between + attributes + rest + records


def checked(batch: bytes, records: Iterator[Any]) -> Iterator[Any]:
    """Read an uncompressed batch's records, each after having seen that it is whole and not too long.

    aiokafka's readers trust every length and look beyond the batch's end, up to a crash of the process. Brokers check
    what they are sent; who opens a batch does it again. Raises `UnreadableBatchError` and `CorruptRecordException`.
    """
    last, count = struct.unpack_from(">i", batch, _LAST_AT)[0], struct.unpack_from(">i", batch, _COUNT_AT)[0]
    at = _HEAD
    for _ in range(count):
        try:
            at = _end_of_record(batch, at, last)
        except (IndexError, ValueError) as error:
            raise CorruptRecordException(f"a record breaks off: {error!r}") from error
        yield next(records)
    if at != len(batch):
        raise CorruptRecordException(f"{len(batch) - at} bytes behind the last record")


def _end_of_record(batch: bytes, at: int, last: int) -> int:
    size, at = decode_varint_py(batch, at)
    if size > MAX_BATCH_BYTES:
        raise UnreadableBatchError(
            f"holds a record of {size} bytes, at most {MAX_BATCH_BYTES} are read; send less in one record"
        )
    end: int = at + size
    attributes, at = batch[at], at + 1
    _, at = decode_varint_py(batch, at)
    offset, at = decode_varint_py(batch, at)
    for _ in ("key", "value"):
        length, at = decode_varint_py(batch, at)
        at += max(length, 0)
    headers, at = decode_varint_py(batch, at)
    if headers > MAX_HEADERS:
        raise UnreadableBatchError(f"holds a record of {headers} headers, at most {MAX_HEADERS} are read; send fewer")
    negative = min(size, headers)
    while headers > 0 and at < end:
        name, at = decode_varint_py(batch, at)
        value, at = decode_varint_py(batch, at + name)
        at += max(value, 0)
        headers, negative = headers - 1, min(negative, name)
    if at != end or end > len(batch) or headers or negative < 0 or attributes or not 0 <= offset <= last:
        raise ValueError(f"it should end at byte {end}")
    return end


def _into(unpack: Callable[[bytes, mmap], int]) -> Callable[[bytes], bytes]:
    def unpacked(data: bytes) -> bytes:
        # Mapped, not filled: only as much becomes memory as is written.
        with mmap(-1, MAX_OPENED_BYTES) as room:
            return room[: unpack(data, room)]

    return unpacked


def _snappy(data: bytes) -> bytes:
    """Open snappy as it is, or in the blocks that Java's xerial writes: each behind its length."""
    blocks = _blocks(data) if data.startswith(_XERIAL) else [data]
    if sum(cramjam.snappy.decompress_raw_len(block) for block in blocks) > MAX_OPENED_BYTES:
        raise cramjam.DecompressionError("failed to write whole buffer")
    return b"".join(bytes(cramjam.snappy.decompress_raw(block)) for block in blocks)


def _blocks(data: bytes) -> list[bytes]:
    blocks, at = [], _XERIAL_HEAD
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        at += 4
        if length > len(data) - at:
            raise cramjam.DecompressionError("snappy: a block ends early")
        blocks.append(data[at : at + length])
        at += length
    return blocks


_CODECS: dict[int, tuple[str, Callable[[bytes], bytes]]] = {
    1: ("gzip", _into(cramjam.gzip.decompress_into)),
    2: ("snappy", _snappy),
    3: ("lz4", _into(cramjam.lz4.decompress_into)),
    4: ("zstd", _into(cramjam.zstd.decompress_into)),
}
