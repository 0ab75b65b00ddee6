"""What becomes known of a request while it is answered, for the outermost layer to act on."""

from dataclasses import dataclass, field

from starlette.types import Scope

from services.platform.access.asking import Access
from services.platform.access.principal import Principal

_KEY = "muster-standing"


@dataclass(slots=True)
class Standing:
    """One request: cookies its answer shall carry, who asks, and whether what was done stands on the audit already."""

    cookies: list[str] = field(default_factory=list)
    access: Access | None = None
    caller: Principal | None = None
    noted: bool = False


def begin_standing(scope: Scope) -> Standing:
    """Begin to know of a request."""
    standing = Standing()
    scope[_KEY] = standing
    return standing


def standing_of(scope: Scope) -> Standing | None:
    """Give what is known of a request; None where nothing outside is there to act on it."""
    found: Standing | None = scope.get(_KEY)
    return found
