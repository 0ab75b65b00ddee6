"""Which column of a dispatch file plays which role: as told, or guessed from the names that dispatch systems use."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from services.drills.dispatch_file import OptionError, RecordsError
from services.playbooks.problem import did_you_mean


class Role(StrEnum):
    """What a column holds: the times of a call in the order in which they happen, then what it can be grouped by."""

    RECEIVED = "received"
    DISPATCHED = "dispatched"
    ENROUTE = "enroute"
    ARRIVED = "arrived"
    TRANSPORTED = "transported"
    CLEARED = "cleared"
    UNIT = "unit"
    AGENCY = "agency"
    NATURE = "nature"


TIMES = (Role.RECEIVED, Role.DISPATCHED, Role.ENROUTE, Role.ARRIVED, Role.TRANSPORTED, Role.CLEARED)
GROUPINGS = (Role.AGENCY, Role.UNIT, Role.NATURE)

_NAMES: Mapping[Role, tuple[str, ...]] = {
    Role.RECEIVED: (
        "received",
        "calltime",
        "callreceived",
        "receivedtime",
        "receiveddttm",
        "alarmtime",
        "timereceived",
    ),
    Role.DISPATCHED: ("dispatched", "firstdispatchtime", "dispatchtime", "firstdispatch", "dispatchdttm", "assigned"),
    Role.ENROUTE: ("enroute", "firstenroute", "enroutetime", "responding", "responsedttm", "turnouttime"),
    Role.ARRIVED: ("arrived", "firstarrive", "arrivaltime", "onscene", "onscenetime", "onscenedttm", "arrivedtime"),
    Role.TRANSPORTED: ("transported", "firsttransport", "transporttime", "transportdttm"),
    Role.CLEARED: ("cleared", "lastclear", "cleartime", "closed", "closetime", "availabledttm", "available"),
    Role.UNIT: ("unit", "primaryunit", "unitid", "firstunit"),
    Role.AGENCY: ("agency", "department", "station", "jurisdiction"),
    Role.NATURE: ("nature", "calltype", "incidenttype", "problem", "naturecode"),
}


@dataclass(frozen=True, slots=True)
class Columns:
    """Each role's column by name; ``assumed`` are the roles that nobody named."""

    names: Mapping[Role, str]
    assumed: tuple[Role, ...]

    def places(self, header: Sequence[str]) -> dict[Role, int]:
        """Give each role's position in a row."""
        return {role: header.index(name) for role, name in self.names.items()}


def parse_map(entries: Sequence[str]) -> dict[Role, str]:
    """Read ``role=Column`` entries; an empty column leaves the role out. Raises `OptionError`."""
    told: dict[Role, str] = {}
    for entry in entries:
        word, equals, column = entry.partition("=")
        if not equals:
            raise OptionError(f'--map: "{entry}" is not role=Column; write it like enroute=FirstEnroute')
        try:
            role = Role(word.strip())
        except ValueError:
            known = [each.value for each in Role]
            raise OptionError(f'--map: "{word}" is not a role; {did_you_mean(word, known)}') from None
        if role in told:
            raise OptionError(f"--map: {role} is given twice; keep one of them")
        told[role] = column.strip()
    return told


def choose_columns(name: str, header: Sequence[str], told: Mapping[Role, str]) -> Columns:
    """Join what was told with what the header suggests; ``name`` is the file's, for messages.

    Raises `OptionError` for a column that isn't there, and `RecordsError` when fewer than two times are known.
    """
    for role, column in told.items():
        if column and header.count(column) != 1:
            twice = "is there twice; rename one of them"
            why = twice if column in header else f"is no column of the file; {did_you_mean(column, list(header))}"
            raise OptionError(f'{name}: --map {role}: "{column}" {why}'.rstrip("; "))
    names = {role: column for role, column in told.items() if column}
    folded = [re.sub(r"[\W_]+", "", column).casefold() for column in header]
    assumed = []
    for role in Role:
        taken = set(names.values())
        likely = (header[folded.index(known)] for known in _NAMES[role] if folded.count(known) == 1)
        found = next((column for column in likely if column not in taken), None)
        if role not in told and found is not None:
            names[role] = found
            assumed.append(role)
    if sum(role in names for role in TIMES) < 2:
        shown = ", ".join(header[:12])
        raise RecordsError(
            f"{name}: fewer than two columns of times are known among {shown};"
            " name them, like --map dispatched=Column --map enroute=Column"
        )
    return Columns({role: names[role] for role in Role if role in names}, tuple(assumed))
