"""Servers of a command's own: the embedded ones that nobody named, ready to be worked with."""

from contextlib import AsyncExitStack
from pathlib import Path

from services.cli.output import fail
from services.platform.embedded.broker import EmbeddedBroker
from services.platform.embedded.postgres import EmbeddedPostgres
from services.platform.migrations import migrate
from services.platform.postgres import connect
from services.platform.published import publish
from services.platform.settings import Settings
from services.playbooks.problem import PlaybookError
from services.playbooks.stored import read_wordings


async def start_servers(
    stack: AsyncExitStack, *, kafka: str | None, database: str | None, data_dir: Path, port: int = 8080
) -> Settings:
    """Start what isn't given, to be stopped with the stack; give the settings that reach all of it."""
    base = Settings()
    given = base.model_fields_set
    values: dict[str, object] = {"http_port": port}
    if is_embedded(database):
        postgres = EmbeddedPostgres(data_dir / "postgres")
        values["database"] = await postgres.start()
        stack.push_async_callback(postgres.stop)
    elif database is not None:
        values["database"] = database
    if kafka == "apache":
        from services.platform.embedded.apache import ApacheKafka  # and its cryptography, for those who want it

        cluster = ApacheKafka(data_dir / "kafka", brokers=1)
        values["kafka"] = await cluster.start()
        stack.push_async_callback(cluster.stop)
    elif kafka is None and "kafka" not in given:
        broker = EmbeddedBroker(data_dir / "broker")
        values |= {"kafka": await broker.start(), "embedded_broker": True}
        stack.push_async_callback(broker.stop)
    elif kafka is not None:
        values["kafka"] = kafka
    return base.model_copy(update=values)


def is_embedded(database: str | None) -> bool:
    """Say whether the database is one that is started here, as no other was named."""
    return database is None and "database" not in Settings().model_fields_set


async def prepare(configured: Settings, playbooks: Path) -> None:
    """Bring the database's tables up to date and put the folder's plans into force."""
    try:
        wordings = read_wordings(playbooks)
    except PlaybookError as error:
        more = f" (and {len(error.problems) - 1} more; see `muster plan check`)" if len(error.problems) > 1 else ""
        fail(f"{error.problems[0]}{more}")
    owner = await connect(configured.postgres(), size=1)
    try:
        await migrate(owner)
        await publish(owner, wordings.plans, wordings.directory)
    finally:
        await owner.close()
