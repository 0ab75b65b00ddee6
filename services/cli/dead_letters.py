"""``muster dead-letters``: messages that could not be taken, until somebody decides about them."""

import base64
from typing import Annotated
from uuid import UUID

import typer

from schemas.vocabulary import Namespace
from services.cli.output import JsonFlag, aside, console, fail, print_json, print_table, run
from services.cli.servers import settings
from services.platform.clock import SystemClock
from services.platform.dead_letters import list_letters, replay_letter, resolve_letter, show_headers, show_letter
from services.platform.kafka import make_broker
from services.platform.postgres import connect

app = typer.Typer(no_args_is_help=True)

Ids = Annotated[list[UUID], typer.Argument(help="Ids of dead letters.")]
NamespaceOption = Annotated[Namespace, typer.Option(help="The world they were sent in.")]
SHOWN_BYTES = 4_000


@app.command(name="list")
@run
async def list_all(
    namespace: NamespaceOption = Namespace.ACTUAL,
    state: Annotated[str, typer.Option(help="open, replayed or discarded.")] = "open",
    as_json: JsonFlag = False,
) -> None:
    """List dead letters, newest first."""
    if state not in {"open", "replayed", "discarded"}:
        fail(f"--state {state}: write open, replayed or discarded", 2)
    pool = await connect(settings().postgres(), size=1)
    try:
        found = await list_letters(pool, namespace, state=state)
    finally:
        await pool.close()
    if as_json:
        print_json([dict(row) for row in found])
        return
    columns = ("id", "origin", "partition", "offset", "reason", "received", "state", "bytes")
    print_table(f"Dead letters ({state})", columns, [tuple(row) for row in found])


@app.command()
@run
async def show(id_: Annotated[UUID, typer.Argument(metavar="ID")], as_json: JsonFlag = False) -> None:
    """Show one whole: where it came from, why it was set aside, its headers and bytes."""
    pool = await connect(settings().postgres(), size=1)
    try:
        row = await show_letter(pool, id_)
    finally:
        await pool.close()
    value = bytes(row["value"] or b"")
    headers = show_headers(row["headers"])
    facts = {name: row[name] for name in ("id", "namespace", "origin", "partition", "position", "reason", "state")}
    facts |= {name: row[name] for name in ("broker_at", "received_at", "resolved_at", "resolved_reason")}
    if as_json:
        print_json({**facts, "headers": headers, "bytes": len(value), "base64": base64.b64encode(value).decode()})
        return
    print_table(f"Dead letter {id_}", ("", ""), [*facts.items(), ("bytes", len(value)), *headers])
    console.print(value[:SHOWN_BYTES].decode("utf-8", "backslashreplace"), markup=False, soft_wrap=True)
    if len(value) > SHOWN_BYTES:
        aside.print(f"… {len(value) - SHOWN_BYTES} more bytes; --json shows all")


@app.command()
@run
async def replay(ids: Ids, as_json: JsonFlag = False) -> None:
    """Publish letters again, as they were but for a fresh event id, on the topics they came from."""
    configured = settings()
    pool = await connect(configured.postgres(), size=1)
    broker = make_broker(configured.brokers(), client_id="muster-replay")
    replayed: list[UUID] = []
    try:
        await broker.connect()
        for id_ in ids:
            await replay_letter(pool, broker, id_, by="the command line")
            replayed.append(id_)
    finally:
        await broker.stop()
        await pool.close()
    _tell("replayed", replayed, as_json=as_json)


@app.command()
@run
async def discard(
    ids: Ids,
    reason: Annotated[str, typer.Option(help="Why nobody needs it; kept on the record.")],
    as_json: JsonFlag = False,
) -> None:
    """Set letters aside for good; they stay in the table."""
    pool = await connect(settings().postgres(), size=1)
    discarded: list[UUID] = []
    try:
        for id_ in ids:
            await show_letter(pool, id_)
            if not await resolve_letter(pool, id_, "discarded", reason, now=SystemClock().now()):
                fail(f"dead letter {id_}: it was resolved before")
            discarded.append(id_)
    finally:
        await pool.close()
    _tell("discarded", discarded, as_json=as_json)


def _tell(word: str, ids: list[UUID], *, as_json: bool) -> None:
    if as_json:
        print_json({word: ids})
    else:
        console.print(f"{len(ids)} {word}.")
