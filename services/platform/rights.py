"""Who may do what in Postgres, as data: every table, whose rows it holds, and what each service does with it.

`services.platform.roles` makes roles, grants and row-level security of this, for one world as for the other; all else
is denied. A table that isn't listed is nobody's but its owner's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from schemas.acls import CANARY, DRILLS
from schemas.topics import SERVICES
from schemas.vocabulary import Namespace, Status

ROLE = "muster"
"""What every role's name begins with."""
ACCESS = f"{ROLE}_access"
"""The role that knows people, their sessions, tokens and the audit; it belongs to no world and sees none."""


class Verb(StrEnum):
    """What may be done with a table, as Postgres calls it."""

    SELECT = "SELECT"
    INSERT = "INSERT"
    UPDATE = "UPDATE"
    DELETE = "DELETE"


READ = frozenset({Verb.SELECT})
ADD = READ | {Verb.INSERT}
CHANGE = READ | {Verb.UPDATE}
KEEP = ADD | CHANGE
EVERYTHING = frozenset(Verb)
_TAKE_AND_LEAVE = ADD | {Verb.DELETE}

Verbs = frozenset[Verb]
Rights = Mapping[str, Verbs]


@dataclass(frozen=True)
class Table:
    """One table. ``held_by`` is the column that says whose world a row belongs to; None: it belongs to none.

    ``rights`` are given in both worlds, ``exercise`` in the exercise besides.
    """

    name: str
    held_by: str | None = None
    rights: Rights = field(default_factory=dict)
    exercise: Rights = field(default_factory=dict)

    def may(self, party: str, namespace: Namespace | None) -> Verbs:
        """Say what a service may do with it; ``namespace`` None is for who belongs to no world."""
        if party == CANARY and self.held_by is not None:
            return READ  # whatever is added later too: an exercise could leave traces there
        besides = self.exercise.get(party, frozenset()) if namespace is Namespace.EXERCISE else frozenset()
        return self.rights.get(party, frozenset()) | besides


def _for(verbs: Verbs, *parties: str) -> dict[str, Verbs]:
    return dict.fromkeys(parties, verbs)


_ALL = _for(READ, *SERVICES)
_DECIDERS = ("dispatch", "tracking", "escalation")
_VIEWERS = _for(READ, "intake", "console", "outbound")
_DECIDED = _ALL | _for(KEEP, *_DECIDERS)
_JUDGED = _for(ADD, "console", DRILLS)
_ASKED = _for(KEEP, "console", DRILLS)

TABLES = (
    Table("schema_migrations", rights=_ALL | _for(READ, DRILLS, CANARY, ACCESS)),
    # What is in force. An imported drill brings the wordings along that it followed; that puts none into force.
    Table("plans", rights=_ALL | _for(READ, DRILLS, CANARY), exercise=_for(ADD, DRILLS)),
    Table("directories", rights=_ALL | _for(READ, DRILLS, CANARY, ACCESS), exercise=_for(ADD, DRILLS)),
    Table("publication", rights=_ALL | _for(READ, DRILLS, CANARY, ACCESS)),
    # What came in, and what became of it.
    Table("reports", "status", _for(ADD, "intake", "console")),
    Table("alerts", "status", _for(ADD, "intake", "console", *_DECIDERS)),
    Table("incidents", "status", _DECIDED),
    Table("activations", "status", _DECIDED),
    Table("assignments", "status", _DECIDED),
    Table("obstacles", "status", _VIEWERS | _for(KEEP, *_DECIDERS)),
    Table("openings", "status", _for(EVERYTHING, *_DECIDERS)),
    Table("timeline", "status", _VIEWERS | _for(ADD, *_DECIDERS)),
    Table("chains", "status", _VIEWERS | _for(KEEP, *_DECIDERS), _for(KEEP, DRILLS)),
    Table("inbox", "status", _ALL | _for(ADD, *_DECIDERS)),
    # Every process publishes what it has written, and after a loss of the broker's what others had; who writes the
    # timeline takes its messages out again.
    Table("outbox", "status", _for(KEEP, *SERVICES) | _for(EVERYTHING, *_DECIDERS) | _for(CHANGE, "outbound")),
    Table("dead_letters", "namespace", _for(ADD, "intake", "dispatch", "tracking", "outbound") | _for(KEEP, "console")),
    Table("epochs", "namespace", _for(KEEP, *SERVICES)),
    Table("outbound_calls", "status", _for(KEEP, "outbound")),
    # Drills. Every service of an exercise goes by their clocks and pauses.
    Table("drills", "status", _ALL, _for(KEEP, DRILLS)),
    Table("drill_pauses", "status", _ALL, _for(KEEP, DRILLS)),
    Table("drill_injects", "status", _for(READ, "console"), _for(KEEP, DRILLS)),
    Table("drill_controls", "status", exercise=_ASKED),
    Table("drill_launches", "status", exercise=_ASKED),
    Table("drill_schedules", "status", exercise=_ASKED),
    Table("drill_requests", "status", exercise=_for(EVERYTHING, "console")),
    Table("drill_ratings", "status", exercise=_JUDGED),
    Table("corrections", "status", exercise=_JUDGED),
    Table("improvements", "status", exercise=_JUDGED),
    Table("improvement_history", "status", exercise=_JUDGED),
    # How long the record is kept: its owner's to say.
    Table("retention", "status"),
    Table("holds"),
    # Who may come in over HTTP.
    Table("people", rights=_for(KEEP, ACCESS)),
    Table("sessions", rights=_for(EVERYTHING, ACCESS)),
    Table("tokens", rights=_for(KEEP, ACCESS)),
    Table("sign_in_attempts", rights=_for(EVERYTHING, ACCESS)),
    Table("oidc_sign_ins", rights=_for(_TAKE_AND_LEAVE, ACCESS)),
    Table("audit", rights=_for(ADD, ACCESS)),
)

FUNCTIONS: Mapping[str, tuple[str, ...]] = {
    "make_partitions(integer)": SERVICES,
    "real_incidents(timestamp with time zone,timestamp with time zone)": SERVICES,
    "connected_processes()": ("console",),
}
"""What runs with the owner's rights, and who may call it."""

WORLDS = {
    Namespace.ACTUAL: frozenset({Status.ACTUAL}),
    Namespace.EXERCISE: frozenset({Status.EXERCISE, Status.TEST}),
}
"""The statuses of each world's rows."""


@dataclass(frozen=True, slots=True)
class RoleOf:
    """One role: ``parties`` are whose rights it has, ``sees`` the worlds whose rows it may have to do with.

    ``takes_on`` are roles that it can become for a while, and has nothing of until then; ``stands_for`` one that it
    has everything of. Only who can ``log_in`` has a password.
    """

    name: str
    parties: tuple[str, ...] = ()
    namespace: Namespace | None = None
    sees: tuple[Namespace, ...] = ()
    logs_in: bool = True
    takes_on: tuple[str, ...] = ()
    stands_for: str | None = None

    def may(self, table: Table) -> Verbs:
        """Say what it may do with a table's rows, as far as it sees them."""
        return frozenset().union(*(table.may(party, self.namespace) for party in self.parties))

    def may_call(self, function: str) -> bool:
        """Say whether it may call a function that runs with the owner's rights."""
        return not set(FUNCTIONS[function]).isdisjoint(self.parties)


def role_name(namespace: Namespace, party: str | None = None) -> str:
    """Name a world's role, or that of one service in it: ``muster_<namespace>_<service>``."""
    return "_".join(filter(None, (ROLE, namespace.value, party)))


def roles() -> list[RoleOf]:
    """List every role.

    A world's own role has all that its services have together: ``muster up`` and ``muster drill run`` take it on, who
    are all of them in one process. The canary reads both worlds on its real side, to find in them what should not be
    there, and writes in neither.
    """
    found = [RoleOf(ACCESS, (ACCESS,), logs_in=False)]
    for world in Namespace:
        own = role_name(world)
        found.append(RoleOf(own, (*SERVICES, DRILLS), world, (world,), logs_in=False))
        for service in SERVICES:
            takes_on = [ACCESS] if service in {"intake", "console"} else []
            takes_on += [own] if (service, world) == ("console", Namespace.EXERCISE) else []
            found.append(RoleOf(role_name(world, service), (service,), world, (world,), takes_on=tuple(takes_on)))
    actual, exercise = Namespace.ACTUAL, Namespace.EXERCISE
    found.append(RoleOf(role_name(exercise, DRILLS), namespace=exercise, stands_for=role_name(exercise)))
    found.append(RoleOf(role_name(exercise, CANARY), (CANARY,), exercise, (exercise,)))
    found.append(RoleOf(role_name(actual, CANARY), (CANARY,), actual, (actual, exercise)))
    return found
