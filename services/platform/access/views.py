"""People, tokens and the audit as the API tells them."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from schemas.base import Slug, Time
from schemas.vocabulary import Namespace, Role
from services.platform.access.audit import AuditEntry
from services.platform.access.passwords import LONGEST as LONGEST_PASSWORD
from services.platform.access.people import LONGEST, Person
from services.platform.access.principal import Principal
from services.platform.access.tokens import Token

Name = Annotated[str, Field(min_length=1, max_length=LONGEST)]
Password = Annotated[str, Field(min_length=1, max_length=LONGEST_PASSWORD)]
Scope = Role | Literal["report"]


class _In(BaseModel):
    """A body: a field that nobody knows is a mistake and is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SignIn(_In):
    """Who somebody says they are."""

    login: Name
    password: Password


class PasswordChange(_In):
    """A person's own password and the one to have from now on."""

    current: Password
    new: Password


class SessionView(BaseModel):
    """Who asks. ``csrf`` goes into the header X-CSRF-Token of every request that changes something; null for a token.

    ``must_change``: nothing else can be done before the one-time password was changed.
    """

    id: UUID
    name: str
    roles: list[Role]
    departments: list[str]
    csrf: str | None
    must_change: bool

    @classmethod
    def of(cls, caller: Principal) -> "SessionView":
        """Tell of one who asks."""
        return cls(
            id=caller.id,
            name=caller.name,
            roles=[role for role in Role if role in caller.roles],
            departments=sorted(caller.departments),
            csrf=caller.csrf,
            must_change=caller.must_change,
        )


class PersonIn(_In):
    """A person to add."""

    login: Name
    name: Name
    roles: list[Role] = Field(min_length=1)
    departments: list[Slug] = []


class PersonChange(_In):
    """What to change of a person; what is left out stays."""

    name: Name | None = None
    roles: list[Role] | None = None
    departments: list[Slug] | None = None
    disabled: bool | None = None


class PersonView(BaseModel):
    """A person. ``external``: signs in with the identity provider, which gives name, roles and departments."""

    id: UUID
    login: str
    name: str
    roles: list[Role]
    departments: list[str]
    must_change: bool
    external: bool
    created_at: datetime | None
    disabled_at: datetime | None

    @classmethod
    def of(cls, person: Person) -> "PersonView":
        """Tell of a person."""
        return cls(
            id=person.id,
            login=person.login,
            name=person.name,
            roles=[role for role in Role if role.value in person.roles],
            departments=list(person.departments),
            must_change=person.must_change,
            external=person.external,
            created_at=person.created_at,
            disabled_at=person.disabled_at,
        )


class PersonWithPassword(PersonView):
    """A person with a one-time password, told this once."""

    one_time_password: str


class OneTimePassword(BaseModel):
    """A password to sign in with once, told this once."""

    one_time_password: str


class PersonPage(BaseModel):
    """People by login; ``next`` is the cursor of the page after this one."""

    items: list[PersonView]
    next: str | None


class TokenIn(_In):
    """A token to issue. ``scopes`` are roles, or ``report`` to report incidents and nothing else.

    ``namespaces``: the worlds that it may be used in, both where nothing is said.
    """

    name: Name
    scopes: list[Scope] = Field(min_length=1)
    departments: list[Slug] = []
    namespaces: list[Namespace] = Field(default=list(Namespace), min_length=1)
    expires_at: Time


class TokenView(BaseModel):
    """A token without its secret."""

    id: UUID
    name: str
    scopes: list[Scope]
    departments: list[str]
    namespaces: list[Namespace]
    created_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, token: Token) -> "TokenView":
        """Tell of a token."""
        return cls.model_validate(token, from_attributes=True)


class TokenWithSecret(TokenView):
    """A token with the text that a program sends, told this once."""

    token: str


class TokenPage(BaseModel):
    """Tokens, newest first; ``next`` is the cursor of the page after this one."""

    items: list[TokenView]
    next: str | None


class AuditView(BaseModel):
    """One act: ``by`` null where nobody was known, ``outcome`` done or what stopped it."""

    id: int
    at: datetime
    by: str | None
    by_id: UUID | None
    action: str
    target: str | None
    outcome: str
    address: str | None
    detail: dict[str, Any]

    @classmethod
    def of(cls, entry: AuditEntry) -> "AuditView":
        """Tell of an act."""
        return cls.model_validate(entry, from_attributes=True)


class AuditPage(BaseModel):
    """Acts, newest first; ``next`` is the cursor of the page after this one."""

    items: list[AuditView]
    next: str | None
