"""Each service's role in Postgres can do what the words below say, and nothing else; each statement is really tried."""

from urllib.parse import quote

import asyncpg
import pytest
from pydantic import SecretStr
from uuid_utils.compat import uuid7

from schemas.envelope import INCIDENT
from schemas.topics import SERVICES
from schemas.vocabulary import Namespace, Status
from services.domain.decision import Reported
from services.platform.clock import SystemClock
from services.platform.decider import Decider, Incoming
from services.platform.errors import MigrationError, UnreachableError
from services.platform.kafka import Origin
from services.platform.migrations import migrate
from services.platform.postgres import TRANSIENT, Pool, connect
from services.platform.published import PublishedPlaybook
from services.platform.rights import ACCESS, TABLES, role_name, roles
from services.platform.roles import Found, apply_roles, look, made, set_passwords
from services.playbooks.stored import directory_from, plan_from
from tests.services.support import publish_shipped, report

LETTERS = {"r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE"}
DECIDING = "dispatch tracking escalation"

# Said here in words of their own, so that a mistake in the rights or in what is made of them shows.
IN_BOTH = {
    "schema_migrations": "intake console outbound access drills canary r; DECIDING r",
    "plans": "intake console outbound drills canary r; DECIDING r",
    "directories": "intake console outbound access drills canary r; DECIDING r",
    "publication": "intake console outbound access drills canary r; DECIDING r",
    "reports": "intake console ra",
    "alerts": "intake console ra; DECIDING ra",
    "incidents": "intake console outbound r; DECIDING raw",
    "activations": "intake console outbound r; DECIDING raw",
    "assignments": "intake console outbound r; DECIDING raw",
    "obstacles": "intake console outbound r; DECIDING raw",
    "openings": "DECIDING rawd",
    "timeline": "intake console outbound r; DECIDING ra",
    "chains": "intake console outbound r; DECIDING raw",
    "retention": "",
    "inbox": "intake console outbound r; DECIDING ra",
    "outbox": "intake console raw; outbound rw; DECIDING rawd",
    "dead_letters": "intake dispatch tracking outbound ra; console raw",
    "epochs": "intake console outbound raw; DECIDING raw",
    "outbound_calls": "outbound raw",
    "drills": "intake console outbound r; DECIDING r",
    "drill_pauses": "intake console outbound r; DECIDING r",
    "drill_injects": "console r",
    "people": "access raw",
    "sessions": "access rawd",
    "tokens": "access raw",
    "sign_in_attempts": "access rawd",
    "oidc_sign_ins": "access rad",
    "audit": "access ra",
}
IN_EXERCISES = {
    "plans": "drills ra",
    "directories": "drills ra",
    "chains": "drills raw",
    "drills": "drills raw",
    "drill_pauses": "drills raw",
    "drill_injects": "drills raw",
    "drill_controls": "console drills raw",
    "drill_launches": "console drills raw",
    "drill_schedules": "console drills raw",
    "drill_requests": "console rawd",
    "drill_ratings": "console drills ra",
    "corrections": "console drills ra",
    "improvements": "console drills ra",
    "improvement_history": "console drills ra",
}
WORLDLESS = {"schema_migrations", "plans", "directories", "publication", "people", "sessions", "tokens"} | {
    *("sign_in_attempts", "oidc_sign_ins", "audit"),
}
TRY = """
CREATE FUNCTION pg_temp.tried(who text, tables text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    name text; col text; verb text; statement text;
BEGIN
    FOREACH name IN ARRAY tables LOOP
        SELECT attname INTO col FROM pg_attribute
        WHERE attrelid = name::regclass AND attnum > 0 AND attidentity = '' ORDER BY attnum LIMIT 1;
        FOR verb, statement IN VALUES
            ('SELECT', format('SELECT * FROM %I LIMIT 1', name)),
            ('INSERT', format('INSERT INTO %I DEFAULT VALUES', name)),
            ('UPDATE', format('UPDATE %I SET %I = NULL WHERE false', name, col)),
            ('DELETE', format('DELETE FROM %I WHERE false', name))
        LOOP
            BEGIN
                PERFORM set_config('role', who, true);
                EXECUTE statement;
                RETURN NEXT verb || ' ' || name;
            EXCEPTION
                WHEN insufficient_privilege THEN
                    -- A row that is refused was looked at: the table itself was open.
                    IF SQLERRM NOT LIKE 'permission denied%%' THEN RETURN NEXT verb || ' ' || name; END IF;
                WHEN integrity_constraint_violation THEN RETURN NEXT verb || ' ' || name;
            END;
            PERFORM set_config('role', 'none', true);
        END LOOP;
    END LOOP;
END
$$
""".replace("%%", "%")


def said(namespace: Namespace | None, *parties: str) -> set[str]:
    """Read what the words allow some parties together."""
    found = set()
    for words in (IN_BOTH, IN_EXERCISES if namespace is Namespace.EXERCISE else {}):
        for table, clauses in words.items():
            for clause in filter(None, clauses.replace("DECIDING", DECIDING).split("; ")):
                *named, letters = clause.split()
                if set(named) & set(parties):
                    found |= {f"{LETTERS[letter]} {table}" for letter in letters}
    return found


def expected() -> dict[str, set[str]]:
    """Give what every role may do with every table."""
    found = {"muster_access": said(None, "access")}
    for world in Namespace:
        for service in SERVICES:
            found[f"muster_{world}_{service}"] = said(world, service)
        found[f"muster_{world}"] = said(world, *SERVICES, "drills")
        held = {f"SELECT {table}" for table in {*IN_BOTH, *IN_EXERCISES} - WORLDLESS}
        found[f"muster_{world}_canary"] = said(None, "canary") | held
    found["muster_exercise_drills"] = found["muster_exercise"]
    return found


async def test_every_role_can_do_what_the_words_say_and_nothing_else(pool: Pool) -> None:
    tables = await pool.fetchval(
        "SELECT array_agg(relname::text) FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
        " AND relnamespace = 'public'::regnamespace"
    )
    may = expected()
    assert set(may) == {role.name for role in roles()}
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(TRY)
        found = {
            who: {row[0] for row in await connection.fetch("SELECT pg_temp.tried($1, $2)", who, tables)} for who in may
        }
    wrong = {who: sorted(found[who] ^ may[who]) for who in may if found[who] != may[who]}
    assert not wrong


async def test_every_table_has_its_place_in_the_rights(pool: Pool) -> None:
    """A table that is added later is nobody's until services/platform/rights.py says whose it is."""
    tables = await pool.fetch(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
        " AND relnamespace = 'public'::regnamespace"
    )
    assert {row[0] for row in tables} == {table.name for table in TABLES}


async def decided(pool: Pool, status: Status) -> None:
    """Let an incident go its way as far as its orders."""
    namespace = Namespace.ACTUAL if status is Status.ACTUAL else Namespace.EXERCISE
    playbook = PublishedPlaybook(pool, plan_from, directory_from)
    decider = Decider(pool, playbook, SystemClock(), namespace, "test")
    await decider.decide([Incoming(Reported(uuid7(), report(status=status)), INCIDENT, Origin("test", 0, 0, None))])


async def test_no_service_of_one_world_sees_or_touches_a_row_of_the_other(pool: Pool) -> None:
    await publish_shipped(pool)
    for status in (Status.ACTUAL, Status.EXERCISE):
        await decided(pool, status)
    tables = ("incidents", "activations", "assignments", "timeline", "inbox", "outbox")
    async with pool.acquire() as connection:
        for world, other in ((Namespace.ACTUAL, "Exercise"), (Namespace.EXERCISE, "Actual")):
            for service in SERVICES:
                async with connection.transaction():
                    await connection.execute(f"SET LOCAL ROLE {role_name(world, service)}")
                    for table in set(tables) & {each.split()[1] for each in said(world, service)}:
                        seen = await connection.fetch(f"SELECT status, count(*) FROM {table} GROUP BY 1")  # noqa: S608
                        assert [row[0] == other for row in seen] == [False], (service, table)
                    assert await connection.execute(
                        "UPDATE outbox SET lease_until = now() WHERE status = $1", other
                    ) == ("UPDATE 0")
            for service in DECIDING.split():
                transaction = connection.transaction()
                await transaction.start()
                await connection.execute(f"SET LOCAL ROLE {role_name(world, service)}")
                with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
                    await connection.execute("UPDATE incidents SET status = $1", other)
                await transaction.rollback()


async def test_applying_again_changes_nothing_and_what_strays_is_taken_back(pool: Pool) -> None:
    async with pool.acquire() as connection:
        assert await apply_roles(connection) == []
        await connection.execute("GRANT DELETE ON timeline TO muster_exercise_console")
        await connection.execute("GRANT SELECT ON people TO PUBLIC")
        await connection.execute("DROP POLICY actual ON reports")
        await connection.execute("ALTER POLICY exercise ON outbox TO PUBLIC")
        await connection.execute("CREATE TABLE of_nobody (id int)")
        await connection.execute("GRANT ALL ON of_nobody TO muster_actual")
        done = await apply_roles(connection)
        assert {statement.partition(" ON ")[0] for statement in done} == {
            *("REVOKE DELETE", "REVOKE SELECT", "REVOKE INSERT", "REVOKE UPDATE", "REVOKE TRUNCATE"),
            *(
                "REVOKE REFERENCES",
                "REVOKE TRIGGER",
                "REVOKE MAINTAIN",
                "CREATE POLICY actual",
                "ALTER POLICY exercise",
            ),
        }
        assert await apply_roles(connection) == []
        policies = (await look(connection)).policies
        assert policies["reports"] == policies["outbox"] == policies["timeline"]


async def test_a_service_logs_in_as_itself_and_is_nobody_else(pool: Pool, database: str) -> None:
    """It learns that its tables are up to date, and can't bring them there; nor can it become another service."""
    name, password = role_name(Namespace.EXERCISE, "dispatch"), "correct horse battery staple"
    async with pool.acquire() as connection:
        await set_passwords(connection, {name: SecretStr(password)})
    address = f"postgresql://{name}:{quote(password)}@{database.partition('@')[2]}"
    own = await connect(address, size=1, role=name)
    assert await migrate(own) == []
    for other in (role_name(Namespace.ACTUAL, "dispatch"), role_name(Namespace.EXERCISE, "intake"), ACCESS, "muster"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await own.execute(f"SET ROLE {other}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await own.execute("ALTER TABLE incidents DISABLE ROW LEVEL SECURITY")
    await pool.execute("DELETE FROM schema_migrations WHERE number = 14")
    with pytest.raises(
        MigrationError, match="migration 0014_roles is missing; run `muster migrate` as the tables' owner"
    ):
        await migrate(own)
    await own.close()
    with pytest.raises(UnreachableError, match="password authentication failed"):
        await connect(address.replace(quote(password), "wrong"), size=1)


async def test_a_server_that_has_no_roles_yet_is_tried_again(database: str) -> None:
    with pytest.raises(UnreachableError, match='"muster_nobody" does not exist') as told:
        await connect(database, size=1, role="muster_nobody")
    assert isinstance(told.value.__cause__, TRANSIENT)


async def test_an_owner_who_may_make_no_roles_is_told_who_may(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def bare(_: object) -> Found:
        return Found("owner", may_make=False)

    monkeypatch.setattr("services.platform.roles.look", bare)
    async with pool.acquire() as connection:
        with pytest.raises(
            MigrationError, match=r"owner may not make the roles that are missing; .* `muster roles --sql`"
        ):
            await apply_roles(connection)


def test_what_an_administrator_is_to_run_makes_every_role_and_tells_no_password() -> None:
    statements = list(made(Found("owner")))
    assert [each for each in statements if each.startswith("CREATE ROLE")] == [
        f"CREATE ROLE {role.name} {'LOGIN' if role.logs_in else 'NOLOGIN'}" for role in roles()
    ]
    assert 'GRANT muster_actual_intake TO "owner" WITH INHERIT TRUE, SET TRUE' in statements
    assert 'GRANT muster_access TO "muster_actual_console" WITH INHERIT FALSE, SET TRUE' in statements
    assert not [each for each in statements if "PASSWORD" in each]
