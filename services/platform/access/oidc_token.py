"""What an id token says and whether it may be believed (OpenID Connect Core 1.0, 3.1.3.7)."""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from schemas.vocabulary import Role
from services.platform.access.settings import OidcSettings
from services.platform.errors import RefusedError

LEEWAY = 60
"""Seconds by which the provider's clock may differ from ours."""
_LONGEST = 100


class OidcError(RefusedError):
    """A sign-in with the identity provider that failed; the text says why, and holds no secret."""


class KeyUnknownError(OidcError):
    """The id token names a key that isn't among those known here."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is to the provider, with what that means here."""

    issuer: str
    subject: str
    login: str
    name: str
    roles: tuple[Role, ...]
    departments: tuple[str, ...]


def read_identity(token: str, keys: Mapping[str, Any], settings: OidcSettings, nonce: str, now: datetime) -> Identity:
    """Read an id token; raises `OidcError` unless it is the issuer's, for us, for this sign-in, and of now."""
    claims = _verified(token, keys, settings, now)
    if not hmac.compare_digest(str(claims["nonce"]).encode(), nonce.encode()):
        raise OidcError("the id token is of another sign-in (nonce)")
    audience = claims["aud"]
    several = isinstance(audience, list) and len(audience) > 1
    if (several or "azp" in claims) and claims.get("azp") != settings.client_id:
        raise OidcError("the id token was issued to another client (azp)")
    login = _word(claims.get("preferred_username")) or _word(claims.get("email")) or _word(claims["sub"])
    if not login:
        raise OidcError("the id token names nobody (sub)")
    roles = _translated(_values(claims, settings.roles_claim), settings.roles)
    return Identity(
        issuer=settings.issuer,
        subject=claims["sub"],
        login=login,
        name=_word(claims.get("name")) or login,
        roles=tuple(role for role in Role if role.value in roles),
        departments=tuple(sorted(_translated(_values(claims, settings.departments_claim), settings.departments))),
    )


def _verified(token: str, keys: Mapping[str, Any], settings: OidcSettings, now: datetime) -> dict[str, Any]:
    try:
        key_set = KeySet.import_key_set({"keys": list(keys["keys"])})
        found = jwt.decode(token, key_set, algorithms=list(settings.algorithms))
        jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=LEEWAY,
            iss={"essential": True, "value": settings.issuer},
            aud={"essential": True, "value": settings.client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True},
        ).validate(found.claims)
    except InvalidKeyIdError:
        raise KeyUnknownError("the id token is signed with a key that the identity provider doesn't publish") from None
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise OidcError(f"the id token is not good: {error or type(error).__name__}") from None
    return found.claims


def _values(claims: Mapping[str, Any], path: str) -> set[str]:
    """Read the words of a claim: a list of them, or one string with spaces between."""
    # A claim's own name may have dots in it, as a URL does.
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for part in path.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return set(found.split())
    return {word for word in found if isinstance(word, str)} if isinstance(found, list) else set()


def _translated(words: Iterable[str], known: Mapping[str, str]) -> set[str]:
    return {known.get(word, word) for word in words}


def _word(value: object) -> str:
    """Make a login or name of a claim: printable, on one line, not too long."""
    if not isinstance(value, str):
        return ""
    return " ".join("".join(char if char.isprintable() else " " for char in value).split())[:_LONGEST].strip()
