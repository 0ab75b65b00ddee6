"""Makes Postgres do what `services.platform.rights` says: roles, grants, row-level security. Repeating does nothing.

Only what differs is said to the server, so that a process's start costs a look at the catalogue.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from schemas.vocabulary import Namespace
from services.platform.errors import ConfigurationError, MigrationError
from services.platform.postgres import Connection
from services.platform.queries import query
from services.platform.rights import FUNCTIONS, TABLES, WORLDS, RoleOf, Table, roles

_ITERATIONS = 4096
"""How often a password is hashed (RFC 7677 asks for no less; PostgreSQL's own default)."""
_EXECUTE = "EXECUTE"

Grant = tuple[str, str, str]
"""What, to whom, which verb: ``("TABLE incidents", "muster_actual_intake", "SELECT")``."""


@dataclass(frozen=True)
class Found:
    """What a server has of it. ``owner`` is who asks; a superuser needs to be in no role."""

    owner: str
    superuser: bool = False
    may_make: bool = True
    logins: Mapping[str, bool] = field(default_factory=dict)
    members: Mapping[tuple[str, str], tuple[bool, bool]] = field(default_factory=dict)
    grants: frozenset[Grant] = frozenset()
    policies: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)


async def look(connection: Connection) -> Found:
    """Read the catalogue."""
    names = [role.name for role in roles()]
    us = await connection.fetchrow("SELECT rolname, rolsuper, rolcreaterole FROM pg_roles WHERE rolname = current_user")
    assert us is not None  # noqa: S101 - who asks is there
    logins = await connection.fetch("SELECT rolname, rolcanlogin FROM pg_roles WHERE rolname = ANY ($1)", names)
    members = await connection.fetch(query("role_members"), names)
    grants = await connection.fetch(query("role_grants"), names)
    policies: dict[str, dict[str, frozenset[str]]] = {}
    for row in await connection.fetch(query("role_policies")):
        policies.setdefault(row["name"], {})[row["policy"]] = frozenset(row["roles"] or ())
    return Found(
        us["rolname"],
        us["rolsuper"],
        us["rolsuper"] or us["rolcreaterole"],
        {row["rolname"]: row["rolcanlogin"] for row in logins},
        {(row["role"], row["member"]): (row["inherits"], row["takes_on"]) for row in members},
        frozenset((row["thing"], row["grantee"], row["verb"]) for row in grants),
        policies,
    )


async def apply_roles(connection: Connection) -> list[str]:
    """Say to the server what is missing, as the tables' owner; gives the statements.

    Raises `MigrationError` when a role is missing and the owner may make none.
    """
    found = await look(connection)
    making = list(made(found))
    if making and not found.may_make:
        raise MigrationError(
            f"database: {found.owner} may not make the roles that are missing; let an administrator of the server run"
            " what `muster roles --sql` prints"
        )
    statements = [*making, *given(found)]
    for statement in statements:
        await connection.execute(statement)
    return statements


def made(found: Found) -> Iterator[str]:
    """Give the statements that make the roles: for an administrator of the server, or an owner with CREATEROLE."""
    for role in roles():
        login = "LOGIN" if role.logs_in else "NOLOGIN"
        if role.name not in found.logins:
            yield f"CREATE ROLE {role.name} {login}"
        elif found.logins[role.name] is not role.logs_in:
            yield f"ALTER ROLE {role.name} {login}"
    for (role_, member), wanted in _memberships(found).items():
        has = found.members.get((role_, member))
        if has != wanted and not (member == found.owner and has == (True, True)):
            inherits, takes_on = (str(each).upper() for each in wanted)
            yield f'GRANT {role_} TO "{member}" WITH INHERIT {inherits}, SET {takes_on}'


def _memberships(found: Found) -> dict[tuple[str, str], tuple[bool, bool]]:
    """Say who is in which role, and whether that gives its rights at once, or when it is taken on."""
    wanted: dict[tuple[str, str], tuple[bool, bool]] = {}
    for role in roles():
        if not found.superuser:
            # It sees what its services' connections are doing; the rows are its own in any case.
            wanted[role.name, found.owner] = (role.logs_in, True)
        for other in role.takes_on:
            wanted[other, role.name] = (False, True)
        if role.stands_for is not None:
            wanted[role.stands_for, role.name] = (True, True)
    return wanted


def given(found: Found) -> Iterator[str]:
    """Give the statements that the tables' owner says: grants and row-level security."""
    wanted = frozenset(grants(roles()))
    for thing, grantee, verb in sorted(found.grants - wanted):
        yield f"REVOKE {verb} ON {thing} FROM {grantee}"
    for thing, grantee, verb in sorted(wanted - found.grants):
        yield f"GRANT {verb} ON {thing} TO {grantee}"
    for table in TABLES:
        if table.held_by is not None:
            yield from _held(table, found.policies.get(table.name))


def grants(of: Iterable[RoleOf]) -> Iterator[Grant]:
    """List what these roles are granted."""
    for role in of:
        for table in TABLES:
            yield from ((f"TABLE {table.name}", role.name, verb.value) for verb in role.may(table))
        for function in FUNCTIONS:
            if role.may_call(function):
                yield f"FUNCTION {function}", role.name, _EXECUTE


def _held(table: Table, found: Mapping[str, frozenset[str]] | None) -> Iterator[str]:
    """Hold each world's roles to its rows."""
    if found is None:
        yield f"ALTER TABLE {table.name} ENABLE ROW LEVEL SECURITY"
    for world in Namespace:
        wanted = frozenset(role.name for role in roles() if world in role.sees)
        named = ", ".join(sorted(wanted))
        has = (found or {}).get(world.value)
        if has is None:
            own = [world.value] if table.held_by == "namespace" else sorted(WORLDS[world])
            listed = ", ".join(f"'{each}'" for each in own)
            yield f"CREATE POLICY {world} ON {table.name} TO {named} USING ({table.held_by} IN ({listed}))"
        elif has != wanted:
            yield f"ALTER POLICY {world} ON {table.name} TO {named}"


def read_passwords(folder: Path) -> dict[str, SecretStr]:
    """Read the passwords of roles that log in, each from a file of the role's name; raises `ConfigurationError`."""
    found: dict[str, SecretStr] = {}
    for role in roles():
        path = folder / role.name
        if role.logs_in and path.is_file():
            text = path.read_text().rstrip("\r\n")
            if not text:
                raise ConfigurationError(f"{path}: is empty; it must hold the role's password")
            found[role.name] = SecretStr(text)
    if not found:
        raise ConfigurationError(f"{folder}: has no file of a role's name, such as {roles()[-1].name}")
    return found


async def set_passwords(connection: Connection, passwords: Mapping[str, SecretStr]) -> None:
    """Set passwords; the server and its log get to see what proves them, not the passwords themselves."""
    for name, password in passwords.items():
        await connection.execute(f"ALTER ROLE {name} PASSWORD '{verifier(password.get_secret_value())}'")


def verifier(password: str, salt: bytes | None = None) -> str:
    """Write what PostgreSQL keeps of a password (SCRAM-SHA-256: RFC 5803 and 7677)."""
    salt = salt or secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    said = [base64.b64encode(each).decode() for each in (salt, stored, server)]
    return f"SCRAM-SHA-256${_ITERATIONS}:{said[0]}${said[1]}:{said[2]}"
