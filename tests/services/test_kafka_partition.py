"""Which partition a record goes to."""

from aiokafka.partitioner import DefaultPartitioner

from services.platform.kafka_partition import KEY_BYTES, Partitioner, _hash


def test_partitions_are_those_of_every_other_client_and_long_keys_are_not_kept() -> None:
    """Asked once and again, short keys and long: what Kafka's own clients choose, or an incident would change sides."""
    _hash.cache_clear()
    ours, theirs = Partitioner(), DefaultPartitioner()
    for _ in range(2):
        for length in (0, 1, 2, 3, KEY_BYTES, KEY_BYTES + 1, 5_000):
            key = bytes(at % 251 for at in range(length))
            assert ours(key, [0, 1, 2, 3, 4], [3]) == theirs(key, [0, 1, 2, 3, 4], [3])
    assert _hash.cache_info().currsize == 5
