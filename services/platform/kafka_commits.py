"""How far records are read is committed by the group's member that read them, or not at all."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError


class Member(NamedTuple):
    """What a group knows this process by; it joins anew in another generation, and below 0 it is in no group."""

    generation: int
    member_id: str


NOBODY = Member(-1, "")


def member_of(consumer: AIOKafkaConsumer) -> Member:
    """Say who the process is in its group now."""
    coordinator = consumer._coordinator  # noqa: SLF001 - it has no other way to be asked
    return Member(coordinator.generation, coordinator.member_id)


async def commit(consumer: AIOKafkaConsumer, done: Mapping[TopicPartition, int], member: Member) -> None:
    """Commit where to read on, as the member that has read so far. Raises `KafkaError`: then it is read again.

    aiokafka tries for as long as it takes, as whoever the process has become: as nobody, too, which a broker takes
    where it knows of no group. One that has lost its data knows none, and then has the next member begin in the new
    log where this one had stopped in the old: what lies before would be read by nobody.
    """
    coordinator = consumer._coordinator  # noqa: SLF001 - each try is made there, and only there

    async def as_read(*given: Any) -> None:
        if (now := member_of(consumer)) != member or now.generation < 0:
            raise KafkaError(f"read as {member}, and {now} may not commit it")
        await type(coordinator)._do_commit_offsets(coordinator, *given)  # noqa: SLF001

    coordinator._do_commit_offsets = as_read  # noqa: SLF001
    await consumer.commit(done)
