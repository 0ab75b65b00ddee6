"""``muster topics``: the topology on the broker, and who may do what with it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from schemas.acls import acls, commands
from schemas.topics import all_topics
from schemas.vocabulary import Namespace
from services.cli.output import JsonFlag, console, fail, print_json, print_table, run
from services.cli.servers import settings
from services.platform.kafka_acls import apply_acls
from services.platform.topics import create_topics
from services.playbooks.directory import load_directory
from services.playbooks.problem import PlaybookError

app = typer.Typer()

PLAYBOOKS = Path("playbooks")
ADMIN_PROPERTIES = "admin.properties"

WorldOption = Annotated[Namespace | None, typer.Option(help="One world only; both by default.")]


def _departments() -> list[str]:
    try:
        return sorted(load_directory(PLAYBOOKS / "departments.yaml").departments)
    except PlaybookError as error:
        fail(str(error.problems[0]))


def _worlds(asked: Namespace | None, reached: Sequence[Namespace] = tuple(Namespace)) -> Sequence[Namespace]:
    return (asked,) if asked is not None else reached


@app.callback(invoke_without_command=True)
@run
async def topics(
    context: typer.Context,
    create: Annotated[bool, typer.Option(help="Make the missing ones on the broker.")] = False,
    namespace: WorldOption = None,
    as_json: JsonFlag = False,
) -> None:
    """List the topology, or make it."""
    if context.invoked_subcommand is not None:
        return
    configured, departments = settings(), _departments()
    made: list[str] = []
    if create:
        for world in _worlds(namespace, configured.worlds):
            made += await create_topics(
                configured.brokers(world), world, departments, replication=configured.replication
            )
    rows = [
        (name, topic.partitions, topic.retention or "for ever", ", ".join(topic.producers), ", ".join(topic.consumers))
        for world in _worlds(namespace)
        for name, topic in all_topics(world, departments)
    ]
    if as_json:
        names = ("topic", "partitions", "retention", "producers", "consumers")
        print_json({"created": made, "topics": [dict(zip(names, map(str, row), strict=True)) for row in rows]})
        return
    print_table("Topics", ("topic", "partitions", "retention", "written by", "read by"), rows)
    if create:
        console.print(f"{len(made)} made, the rest were there.")


@app.command(name="acls")
@run
async def list_acls(
    namespace: WorldOption = None,
    as_commands: Annotated[bool, typer.Option("--commands", help="As command lines of kafka-acls.sh.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Add the missing ones on the brokers.")] = False,
    prune: Annotated[
        bool,
        typer.Option("--prune", help="With --apply: take away from these topics and groups whatever isn't listed."),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """List who may do what on Kafka, made from the topology; all else is denied. Users are made with Kafka's tools.

    Applying needs an administrator of the brokers (MUSTER_KAFKA_USERNAME and its like).
    """
    if prune and not apply:
        fail("--prune: goes with --apply", 2)
    worlds, departments = _worlds(namespace), _departments()
    entries = [entry for world in worlds for entry in acls(world, departments)]
    configured = settings()
    if apply:
        changed = await apply_acls(configured.brokers(), entries, worlds, prune=prune)
        if as_json:
            print_json({"added": changed.added, "taken_away": changed.removed, "not_listed": changed.strays})
            return
        console.print(f"{len(changed.added)} added, {len(changed.removed)} taken away, of {len(entries)} listed.")
        for stray in changed.strays:
            console.print(f"not listed: {stray}", style="yellow", markup=False, soft_wrap=True)
    elif as_json:
        print_json({"acls": entries})
    elif as_commands:
        for line in commands(entries, configured.kafka, ADMIN_PROPERTIES):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    else:
        columns = ("principal", "may", "with", "named")
        rows = [(e.principal, e.operation, e.resource, f"{e.name}*" if e.prefixed else e.name) for e in entries]
        print_table("Who may do what on Kafka", columns, rows)
