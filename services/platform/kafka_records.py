"""The one thing of aiokafka's that is replaced: how it reads the batches of a fetch.

Kafka's protocol has header names in UTF-8, and no broker checks it; what a batch expands to is not bounded either.
aiokafka 0.14 raises on such a name, and on a codec it hasn't got, out of ``getmany``: the consumer's task ends, and
ends again after every restart, so that one department could stop tracking for all. Its interface has no seam for this,
so the class that cuts a fetch into batches gives way to one around it.
"""

import struct
from collections.abc import Iterator
from itertools import islice
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy, _DefaultRecordPy
from aiokafka.record.memory_records import MemoryRecords

from services.platform.kafka_batches import UnreadableBatchError, UnreadBatch, checked, is_compressed, opened

_LENGTH = struct.Struct(">qi")
"""What a batch begins with: its first offset, and how many bytes follow."""


class _Escaping(bytearray):
    """Bytes whose text is read leniently: what is not UTF-8 becomes half surrogates, as in file names (PEP 383)."""

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        return _Escaping(found) if isinstance(found, bytearray) else found

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        del errors
        return super().decode(encoding, "surrogateescape")


def _leniently(batch: bytes) -> Iterator[Any]:
    """Read a batch that is not compressed by aiokafka's reader in Python, with header names that aren't UTF-8."""
    records: Any = iter(_DefaultRecordBatchPy(batch))
    records._buffer = _Escaping(records._buffer)  # noqa: SLF001 - where its bytes are, there is no other way in
    return records  # type: ignore[no-any-return]


class GuardedBatch:
    """A batch as aiokafka reads it; from the first header name that isn't UTF-8 on, names are escaped.

    Where the records can't be read, or not within bounds, one record stands for them: it has the batch's last offset,
    and the whole batch for its value.
    """

    def __init__(self, batch: Any, data: bytes) -> None:
        self._batch = batch
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        try:
            yield from self._records()
        except (CorruptRecordException, UnreadableBatchError) as error:
            last, told = self._batch.next_offset - 1, "its records don't hold together; send them again"
            reason = str(error) if isinstance(error, UnreadableBatchError) else told
            value = UnreadBatch.of(self._data, f"batch of offsets {self._batch.base_offset} to {last}: {reason}")
            yield _DefaultRecordPy(last, self._batch.max_timestamp, self._batch.timestamp_type, None, value, [])

    def _records(self) -> Iterator[Any]:
        data, records = self._data, self._batch
        if is_compressed(data):
            data = opened(data)
            records = checked(data, iter(DefaultRecordBatch(data)))
        done = 0
        try:
            for record in records:
                yield record
                done += 1
        except (UnicodeDecodeError, CorruptRecordException) as error:
            if not isinstance(error, UnicodeDecodeError) and not isinstance(error.__cause__, UnicodeDecodeError):
                raise
        else:
            return
        yield from islice(checked(data, _leniently(data)), done, None)


class GuardedRecords:
    """A fetch cut into guarded batches; takes the place of aiokafka's `MemoryRecords`."""

    def __init__(self, data: bytes) -> None:
        self._records: Any = MemoryRecords(data)
        self._data = data
        self._at = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    def next_batch(self) -> Any:
        """Give the next batch; None after the last whole one. Formats that no broker takes since Kafka 4 stay as is."""
        batch = self._records.next_batch()
        if batch is None:
            return None
        begins = self._at
        self._at += _LENGTH.size + _LENGTH.unpack_from(self._data, begins)[1]
        return GuardedBatch(batch, self._data[begins : self._at]) if isinstance(batch, DefaultRecordBatch) else batch


def guard_reading() -> None:
    """Let every consumer of this process read guarded batches."""
    fetcher.MemoryRecords = GuardedRecords
