"""Which partition a record goes to: Kafka's own choice by key, whose hash is kept."""

from functools import lru_cache

from aiokafka.partitioner import DefaultPartitioner, murmur2

KEYS_KNOWN = 4_096
"""Keys whose hash is kept: of the incidents that are being worked on."""
KEY_BYTES = 36
"""The length of an incident's key; a dead letter's may be a megabyte, and is not kept."""


class Partitioner(DefaultPartitioner):  # type: ignore[misc] # aiokafka has no types
    """Chooses as aiokafka does, whose hash is Python and takes longer than the sending; keys come again and again."""

    @classmethod
    def __call__(cls, key: bytes, all_partitions: list[int], available: list[int]) -> int:
        """Give the partition of a key, which every message of ours has."""
        del available
        hashed = _hash(key) if len(key) <= KEY_BYTES else murmur2(key)
        partition: int = all_partitions[(hashed & 0x7FFFFFFF) % len(all_partitions)]
        return partition


_hash = lru_cache(KEYS_KNOWN)(murmur2)
