"""The brokers' access control lists, brought in line with those of `schemas.acls`.

aiokafka's admin client knows no lists, and its requests name one entry each; its protocol knows more. Source: Apache
Kafka 4.3, protocol guide, ``CreateAcls``, ``DescribeAcls``, ``DeleteAcls``, and the codes of its ``acl`` package.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.admin import CreateAclsRequest_v1, DeleteAclsRequest_v1, DescribeAclsRequest
from aiokafka.protocol.api import Request

from schemas.acls import Acl, Operation, Resource
from schemas.topics import PREFIX
from schemas.vocabulary import Namespace
from services.platform.errors import RefusedError, UnreachableError
from services.platform.kafka_security import Brokers

_ANY = 1
_ALLOW = 3
_EVERY_HOST = "*"
_LITERAL, _PREFIXED = 3, 4
_RESOURCES = {Resource.TOPIC: 2, Resource.GROUP: 3}
_OPERATIONS = {
    Operation.READ: 3,
    Operation.WRITE: 4,
    Operation.CREATE: 5,
    Operation.DESCRIBE: 8,
}
_WORDS = {code: str(operation) for operation, code in _OPERATIONS.items()} | {
    2: "All",
    6: "Delete",
    7: "Alter",
    10: "DescribeConfigs",
    11: "AlterConfigs",
}


@dataclass(frozen=True, slots=True)
class Held:
    """An entry as the brokers hold it, in the protocol's codes and order."""

    resource: int
    name: str
    pattern: int
    principal: str
    host: str
    operation: int
    permission: int

    def __str__(self) -> str:
        kind = next((str(each) for each, code in _RESOURCES.items() if code == self.resource), "resource")
        named = f"{self.name}*" if self.pattern == _PREFIXED else self.name
        return f"{self.principal}: {_WORDS.get(self.operation, self.operation)} on {kind} {named}"

    def request(self) -> tuple[int, str, int, str, str, int, int]:
        """Give the fields of a request about it."""
        return (
            *(self.resource, self.name, self.pattern, self.principal),
            *(self.host, self.operation, self.permission),
        )


class _Create(Request[CreateAclsRequest_v1]):  # type: ignore[misc] # aiokafka has no types
    API_KEY = CreateAclsRequest_v1.API_KEY

    def __init__(self, entries: Sequence[Held]) -> None:
        self._entries = [each.request() for each in entries]

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class(self._entries)


class _Delete(Request[DeleteAclsRequest_v1]):  # type: ignore[misc] # aiokafka has no types
    API_KEY = DeleteAclsRequest_v1.API_KEY

    def __init__(self, entries: Sequence[Held]) -> None:
        self._entries = [each.request() for each in entries]

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class(self._entries)


@dataclass(frozen=True, slots=True)
class Changed:
    """What was done, in words. ``strays`` are still there: they let somebody at topics or groups who isn't listed."""

    added: list[str]
    removed: list[str]
    strays: list[str]


async def apply_acls(
    brokers: Brokers, entries: Iterable[Acl], namespaces: Sequence[Namespace], *, prune: bool = False
) -> Changed:
    """Add what is listed and missing; with ``prune`` take away what lets others at these namespaces' topics and groups.

    A wider entry of somebody's, such as one for all topics, is told of and left to the administrator, as is every
    entry that denies. Raises `UnreachableError`, and `RefusedError` where the brokers keep no lists or this user may
    not change them.
    """
    client = AIOKafkaClient(**brokers.options(), client_id="muster-acls")
    try:
        await client.bootstrap()
        wanted = [_held(entry) for entry in entries]
        held = await _describe(client)
        strays = [each for each in held if each not in wanted and any(_reaches(each, world) for world in namespaces)]
        removed = [each for each in strays if prune and each.name.startswith(tuple(map(_prefix, namespaces)))]
        added = [each for each in wanted if each not in held]
        if added:
            for code, _ in (await _ask(client, _Create(added))).creation_responses:
                _check(code)
        if removed:
            for code, *_ in (await _ask(client, _Delete(removed))).filter_responses:
                _check(code)
    except (KafkaError, OSError) as error:
        raise UnreachableError(f"broker {brokers}: {error!r}; {brokers.advice()}") from error
    finally:
        await client.close()
    left = [each for each in strays if each not in removed]
    return Changed([*map(str, added)], [*map(str, removed)], [*map(str, left)])


def _held(entry: Acl) -> Held:
    return Held(
        _RESOURCES[entry.resource],
        entry.name,
        _PREFIXED if entry.prefixed else _LITERAL,
        f"User:{entry.principal}",
        _EVERY_HOST,
        _OPERATIONS[entry.operation],
        _ALLOW,
    )


async def _describe(client: AIOKafkaClient) -> list[Held]:
    everything = DescribeAclsRequest(_ANY, None, _ANY, None, None, _ANY, _ANY)
    answer = await _ask(client, everything)
    _check(answer.error_code)
    return [
        Held(resource, name, pattern, *entry)
        for resource, name, pattern, entries in answer.resources
        for entry in entries
    ]


async def _ask(client: AIOKafkaClient, request: Any) -> Any:
    return await client.send(client.get_random_node(), request)


def _check(code: int) -> None:
    if code:
        raise RefusedError(
            f"access control lists: the broker refuses: {for_code(code).__name__};"
            " ask as an administrator, of brokers that have authorizer.class.name set"
        )


def _prefix(namespace: Namespace) -> str:
    return f"{PREFIX}.{namespace}."


def _reaches(each: Held, namespace: Namespace) -> bool:
    """Say whether an entry lets somebody at a topic or a group of a namespace."""
    if each.resource not in _RESOURCES.values() or each.permission != _ALLOW:
        return False
    ours = _prefix(namespace)
    wider = each.pattern == _PREFIXED and ours.startswith(each.name)
    return each.name == "*" or wider or each.name.startswith(ours)
