"""The roll call before STARTEX: which departments listen with a consumer of their own."""

import asyncio
from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from aiokafka.errors import KafkaError

from schemas.topics import ASSIGNMENTS, group_name, topic_name
from schemas.vocabulary import Namespace
from services.platform.errors import UnreachableError
from services.platform.kafka_security import Brokers, brokers_at

LOOK_EVERY = 0.5


async def listening(kafka: str | Brokers, departments: Iterable[str], *, within: float) -> set[str]:
    """Say which departments have a consumer in the exercise; waits so many seconds for those that haven't.

    Raises `UnreachableError`. A consumer that just left may count for as long as its group waits for it.
    """
    wanted = set(departments)
    found: set[str] = set()
    if not wanted:
        return found
    admin = AIOKafkaAdminClient(**brokers_at(kafka).options(), client_id="muster-roll-call")
    deadline = asyncio.get_running_loop().time() + within
    try:
        await admin.start()
        while True:
            found = {name for name in wanted if await _listens(admin, name)}
            if found == wanted or asyncio.get_running_loop().time() > deadline:
                return found
            await asyncio.sleep(LOOK_EVERY)
    except (KafkaError, OSError) as error:
        raise UnreachableError(f"broker {kafka}: does not tell who listens: {error!r}") from error
    finally:
        await admin.close()


async def _listens(admin: AIOKafkaAdminClient, department: str) -> bool:
    topic = topic_name(ASSIGNMENTS, Namespace.EXERCISE, department)
    for response in await admin.describe_consumer_groups([group_name(Namespace.EXERCISE, "department", department)]):
        for group in response.groups:
            members = group[5]
            if any(_reads(member[3], topic) for member in members):
                return True
    return False


def _reads(metadata: bytes, topic: str) -> bool:
    """Read from a member's own words whether it is there for the exercise; a broker that keeps none is believed."""
    return not metadata or topic in ConsumerProtocolMemberMetadata.decode(metadata).subscription
