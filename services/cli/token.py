"""``muster token``: what programs sign in with."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import typer

from schemas.base import parse_duration
from schemas.vocabulary import Namespace
from services.cli.administering import administering
from services.cli.operator import operator
from services.cli.output import JsonFlag, aside, console, fail, print_json, print_table, run
from services.platform.access.tokens import SCOPES, Token

app = typer.Typer(no_args_is_help=True)

_PAGE = 500
_BEYOND = timedelta(days=9_999)
"""More than any token may live, and little enough to reckon with."""


@app.command()
@run
async def issue(
    name: Annotated[str, typer.Argument(help="Whose it is; stands in the record of what is done with it.")],
    scope: Annotated[list[str], typer.Option(help=f"Of {', '.join(SCOPES)}; may be given more than once.")],
    expires: Annotated[str, typer.Option(help="How long it is good for, like 12h or 90d.")],
    department: Annotated[
        list[str] | None, typer.Option(help="For the scope department; may be given more than once.")
    ] = None,
    namespace: Annotated[
        list[Namespace] | None, typer.Option(help="The world it is for; both unless one is named.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Issue a token; its text is printed this once. The scope `report` lets it report incidents and nothing else."""
    lives = _span(expires)
    async with administering() as (access, administration):
        token, text = await administration.issue(
            name,
            scope,
            department or [],
            access.now() + lives,
            by=operator(),
            namespaces=namespace or list(Namespace),
        )
    if as_json:
        print_json({**_facts(token), "token": text})
        return
    console.print(text, markup=False, soft_wrap=True)
    aside.print(f"Good until {_moment(token.expires_at)}; it is not shown again.")


@app.command(name="list")
@run
async def list_all(as_json: JsonFlag = False) -> None:
    """List tokens, newest first, those that are over too; their text is not kept."""
    found: list[Token] = []
    async with administering() as (access, _):
        while page := await access.tokens.list(before=found[-1].id if found else None, at_most=_PAGE):
            found += page
    if as_json:
        print_json([_facts(token) for token in found])
        return
    rows = [
        (
            token.id,
            token.name,
            ", ".join([*token.scopes, *token.departments]),
            ", ".join(token.namespaces),
            token.created_by,
            _moment(token.expires_at),
            _moment(token.last_used_at),
            _moment(token.revoked_at),
        )
        for token in found
    ]
    print_table("Tokens", ("id", "name", "scopes", "worlds", "issued by", "good until", "last used", "revoked"), rows)


@app.command()
@run
async def revoke(
    ids: Annotated[list[UUID], typer.Argument(help="Ids of tokens.")],
    as_json: JsonFlag = False,
) -> None:
    """End tokens at once."""
    async with administering() as (_, administration):
        revoked = [await administration.revoke(id_) for id_ in ids]
    if as_json:
        print_json([_facts(token) for token in revoked])
    else:
        console.print(f"{len(revoked)} revoked.")


def _span(text: str) -> timedelta:
    try:
        span = parse_duration(text)
    except ValueError as error:
        fail(f"--expires {text}: {error}", 2)
    assert isinstance(span, timedelta)  # noqa: S101 - for the type checker: text always becomes one
    return min(span, _BEYOND)


def _facts(token: Token) -> dict[str, object]:
    names = ("id", "name", "scopes", "departments", "namespaces", "created_by", "created_at", "expires_at")
    return {name: getattr(token, name) for name in (*names, "revoked_at", "last_used_at")}


def _moment(at: datetime | None) -> str | None:
    return None if at is None else f"{at:%Y-%m-%d %H:%M}Z"
