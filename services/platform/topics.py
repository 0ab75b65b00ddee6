"""Topics on the broker, made from the table in `schemas.topics`."""

from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, for_code

from schemas.envelope import MAX_VALUE_BYTES
from schemas.topics import FOREVER, Topic, all_topics
from schemas.vocabulary import Namespace
from services.platform.errors import UnreachableError

_EXISTS = 36  # Kafka protocol error code TOPIC_ALREADY_EXISTS
_ROOM = 64 * 1024  # bytes that a record's headers and framing may add to its value


async def create_topics(
    bootstrap: str, namespace: Namespace, departments: Iterable[str], *, replication: int
) -> list[str]:
    """Make the topics of a namespace that are missing and return their names; harmless to repeat.

    Raises `UnreachableError` in one line when the broker is away or refuses.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap.split(","), client_id="muster-topics")
    try:
        await admin.start()
        known = set(await admin.list_topics())
        wanted = [
            NewTopic(name, topic.partitions, replication, topic_configs=_configs(topic))
            for name, topic in all_topics(namespace, departments)
            if name not in known
        ]
        if not wanted:
            return []
        response = await admin.create_topics(wanted)
        for name, code, *_ in response.topic_errors:
            if code not in {0, _EXISTS}:
                raise UnreachableError(f"topic {name}: the broker refuses to make it: {for_code(code).__name__}")
        return [topic.name for topic in wanted]
    except (KafkaError, OSError) as error:
        raise UnreachableError(
            f"broker {bootstrap}: {error!r}; check MUSTER_KAFKA and that the broker is running"
        ) from error
    finally:
        await admin.close()


def _configs(topic: Topic) -> dict[str, str]:
    milliseconds = -1 if topic.retention == FOREVER else int(topic.retention.total_seconds() * 1000)
    return {"retention.ms": str(milliseconds), "max.message.bytes": str(MAX_VALUE_BYTES + _ROOM)}
