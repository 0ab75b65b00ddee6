"""Which incident an alert belongs to: an Update or Cancel finds the incident of the alert it references."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from schemas.incident import AlertIdentity, IncidentReport
from services.platform.postgres import Connection
from services.platform.queries import query

_Key = tuple[str, str, str, datetime]


async def resolve_alerts(connection: Connection, reports: Sequence[IncidentReport]) -> dict[int, UUID]:
    """Say for each report, by its ``id()``, which incident it belongs to, and remember that for later ones.

    A report belongs where its own alert is known, else where an alert it references is known, else to the
    incident it names itself. Its references are remembered too, so that an original that arrives after its
    update joins it. Must run inside a transaction.
    """
    keys = sorted({key for report in reports for key in _keys(report)})
    known = await _known(connection, keys)
    missing: dict[_Key, UUID] = {}
    belongs: dict[int, UUID] = {}
    for report in reports:
        found = (known.get(key) or missing.get(key) for key in _keys(report))
        incident_id = next((id_ for id_ in found if id_ is not None), report.incident_id)
        belongs[id(report)] = incident_id
        for key in _keys(report):
            if key not in known:
                missing.setdefault(key, incident_id)
    if missing and not await _remember(connection, missing):
        # Another worker was first with one of them: what is on record now is what holds.
        return await resolve_alerts(connection, reports)
    return belongs


def _keys(report: IncidentReport) -> list[_Key]:
    identities: list[AlertIdentity] = [*([report.alert] if report.alert else []), *report.references]
    return [(report.status.value, alert.sender, alert.identifier, alert.sent) for alert in identities]


async def _known(connection: Connection, keys: Sequence[_Key]) -> dict[_Key, UUID]:
    found = await connection.fetch(query("find_alerts"), *_columns(keys))
    return {(row["status"], row["sender"], row["identifier"], row["sent"]): row["incident_id"] for row in found}


async def _remember(connection: Connection, missing: dict[_Key, UUID]) -> bool:
    keys = sorted(missing)
    inserted = await connection.fetch(query("remember_alerts"), *_columns(keys), [missing[key] for key in keys])
    return len(inserted) == len(keys)


def _columns(keys: Sequence[_Key]) -> tuple[list[str], list[str], list[str], list[datetime]]:
    return (
        [key[0] for key in keys],
        [key[1] for key in keys],
        [key[2] for key in keys],
        [key[3] for key in keys],
    )
