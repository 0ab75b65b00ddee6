"""Who asks: a person who has signed in, or a program with a token."""

from dataclasses import dataclass
from uuid import UUID

from schemas.vocabulary import Namespace, Role

STAFF = frozenset(Role) - {Role.DEPARTMENT}
"""Roles that see every incident; a department's member sees those that its department has an order in."""
REPORT = "report"
"""The scope of a token that may report incidents and do nothing else, for feeds and sensors."""


@dataclass(frozen=True, slots=True)
class Principal:
    """One who asks, as identified by the server. ``name`` is what goes on record as ``by``.

    ``departments`` are those it may read and answer for. ``session`` is set for a person's browser session, whose
    unsafe requests must carry ``csrf``; None for a token. ``may_report`` is for tokens that may report incidents
    without being a duty officer's. ``must_change``: the password is a one-time one, and nothing else can be done
    before it was changed. ``namespaces`` are the worlds that it may do anything in.
    """

    id: UUID
    name: str
    roles: frozenset[Role]
    departments: frozenset[str] = frozenset()
    session: UUID | None = None
    csrf: str | None = None
    may_report: bool = False
    must_change: bool = False
    namespaces: frozenset[Namespace] = frozenset(Namespace)

    @property
    def is_staff(self) -> bool:
        """True when every incident may be read."""
        return bool(self.roles & STAFF)

    def may_act_for(self, department: str) -> bool:
        """Say whether this one may read a department's orders and answer them."""
        return Role.DEPARTMENT in self.roles and department in self.departments
