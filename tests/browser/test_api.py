"""The API as its own description tells it: whatever fits the description is answered, and never with a 5xx."""

import asyncio
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.result import Ok

from tests.browser.visit import Site
from tests.browser.world import World

pytestmark = pytest.mark.browser

EXAMPLES = 8
"""Requests of each operation; more find little that these don't, and each costs a round trip."""
LEFT_OUT = {"/v1/stream", "/v1/drills/import", "/v1/session/oidc", "/v1/session/oidc/callback"}
"""A stream that never ends by itself, an archive that no generator writes, redirects to somebody else's server."""


def failures(base: str, token: str) -> list[str]:
    """Ask every operation for what its description allows; give the answers that are the server's fault."""
    schema = schemathesis.openapi.from_url(f"{base}/openapi.json")
    found: list[str] = []
    tried = 0
    for result in schema.get_all_operations():
        assert isinstance(result, Ok), result
        operation = result.ok()
        if operation.path in LEFT_OUT or not operation.path.startswith("/v1/"):
            continue
        tried += 1

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            phases=[Phase.generate],
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case: schemathesis.Case[Any]) -> None:
            answer = case.call(base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=30)
            if answer.status_code >= 500:
                found.append(f"{case.method} {answer.request.url}: {answer.status_code} {answer.text[:300]}")

        ask()
    assert tried > 5, "the description names hardly any operation"
    return found


@pytest.mark.parametrize("root", ["", "/exercise"])
async def test_no_request_that_fits_the_description_is_answered_with_a_5xx(site: Site, world: World, root: str) -> None:
    found = await asyncio.to_thread(failures, f"{site.up.http}{root}", world.token)
    assert not found, "\n".join(found)
