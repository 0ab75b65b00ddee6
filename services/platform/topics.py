"""Topics on the broker, made from the table in `schemas.topics`."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, for_code

from schemas.topics import EPOCH, FOREVER, Topic, all_topics, topic_name
from schemas.vocabulary import Namespace
from services.platform.errors import UnreachableError
from services.platform.kafka_batches import MAX_BATCH_BYTES
from services.platform.kafka_security import Brokers, brokers_at

_EXISTS = 36  # Kafka protocol error code TOPIC_ALREADY_EXISTS
_NOT_ALLOWED = frozenset({29, 31})  # TOPIC_AUTHORIZATION_FAILED, CLUSTER_AUTHORIZATION_FAILED


async def create_topics(
    kafka: str | Brokers, namespace: Namespace, departments: Iterable[str], *, replication: int
) -> list[str]:
    """Make the topics of a namespace that are missing and return their names; harmless to repeat.

    Raises `UnreachableError` in one line when the broker is away or refuses.
    """
    done = await _create(brokers_at(kafka), namespace, departments, replication)
    for name, code in done.refused.items():
        raise UnreachableError(f"topic {name}: the broker refuses to make it: {for_code(code).__name__}")
    return done.made


async def ensure_topics(
    kafka: str | Brokers, namespace: Namespace, departments: Iterable[str], *, replication: int
) -> list[str]:
    """Make the topics of a namespace that are missing, as far as this process's user may make topics at all.

    A service sees its own topics only, and on brokers that keep lists it may make none: then an administrator has done
    so. Raises `UnreachableError` where nobody has.
    """
    brokers = brokers_at(kafka)
    done = await _create(brokers, namespace, departments, replication)
    sign = topic_name(EPOCH, namespace)  # every service may read it
    for name, code in done.refused.items():
        if code not in _NOT_ALLOWED:
            raise UnreachableError(f"topic {name}: the broker refuses to make it: {for_code(code).__name__}")
        if name == sign:
            raise UnreachableError(
                f"topic {name}: is not there for {brokers.username or 'this process'} to see, who may not make it;"
                " run `muster topics --create` and `muster topics acls --apply` as those who may"
            )
    return done.made


async def list_topics(brokers: Brokers) -> set[str]:
    """List the topics that this user may see; raises `UnreachableError` in one line when the broker is away."""
    admin = AIOKafkaAdminClient(**brokers.options(), client_id="muster-topics")
    try:
        await admin.start()
        return set(await admin.list_topics())
    except (KafkaError, OSError) as error:
        raise UnreachableError(f"broker {brokers}: {error!r}; {brokers.advice()}") from error
    finally:
        await admin.close()


async def list_partitions(brokers: Brokers, topics: Collection[str]) -> list[TopicPartition]:
    """List the partitions of those of these topics that are there; raises `UnreachableError` like `list_topics`."""
    if not (there := await list_topics(brokers) & set(topics)):
        return []
    admin = AIOKafkaAdminClient(**brokers.options(), client_id="muster-topics")
    try:
        await admin.start()
        return [
            TopicPartition(topic["topic"], each["partition"])
            for topic in await admin.describe_topics(sorted(there))
            for each in topic["partitions"]
        ]
    except (KafkaError, OSError) as error:
        raise UnreachableError(f"broker {brokers}: {error!r}; {brokers.advice()}") from error
    finally:
        await admin.close()


@dataclass(frozen=True, slots=True)
class _Done:
    made: list[str]
    refused: dict[str, int]


async def _create(brokers: Brokers, namespace: Namespace, departments: Iterable[str], replication: int) -> _Done:
    admin = AIOKafkaAdminClient(**brokers.options(), client_id="muster-topics")
    try:
        await admin.start()
        known = set(await admin.list_topics())
        wanted = [
            NewTopic(name, topic.partitions, replication, topic_configs=_configs(topic))
            for name, topic in all_topics(namespace, departments)
            if name not in known
        ]
        if not wanted:
            return _Done([], {})
        response = await admin.create_topics(wanted)
        refused = {name: code for name, code, *_ in response.topic_errors if code not in {0, _EXISTS}}
        return _Done([topic.name for topic in wanted if topic.name not in refused], refused)
    except (KafkaError, OSError) as error:
        raise UnreachableError(f"broker {brokers}: {error!r}; {brokers.advice()}") from error
    finally:
        await admin.close()


def _configs(topic: Topic) -> dict[str, str]:
    milliseconds = -1 if topic.retention == FOREVER else int(topic.retention.total_seconds() * 1000)
    return {"retention.ms": str(milliseconds), "max.message.bytes": str(MAX_BATCH_BYTES)}
