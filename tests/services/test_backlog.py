"""While too much waits for a decision, reports are asked to come again; the urgent have a reserve, people are heard."""

from collections.abc import AsyncIterator

import pytest

from schemas.vocabulary import MessageType, Namespace, Severity
from services.intake import http
from services.platform.backlog import Backlog
from services.platform.postgres import Pool
from services.platform.problem import ProblemError
from tests.services.test_intake_http import Api, problem

LIMIT = 5
_DECIDE = (
    "INSERT INTO inbox (event_id, incident_id, status, type, outcome, reason, topic, partition, position, decided_at)"
    " SELECT event_id, incident_id, status, type, 'activated', '', topic, 0, 0, now() FROM outbox"
    " ORDER BY seq LIMIT $1 ON CONFLICT DO NOTHING"
)


@pytest.fixture
async def api(pool: Pool) -> AsyncIterator[Api]:
    api = Api(pool)
    api.backlog = Backlog(pool, Namespace.EXERCISE, LIMIT)
    api.app = http.make_app(api.intake, pool, lambda: api.ready, api.access, backlog=api.backlog)
    api.client = api.of("officer")
    yield api
    await api.intake.drain()


async def test_reports_are_asked_to_come_again_while_too_much_waits(api: Api) -> None:
    """Nothing is stored of what is refused, the same request is taken later, and a first answer is given again."""
    for _ in range(LIMIT):
        assert (await api.report(severity="Minor")).status_code == 202
        await api.backlog.look()
    refused = await api.report(key="k", severity="Minor")
    assert "5 reports wait" in problem(refused, 429)["detail"]
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert await api.count("reports") == LIMIT
    for severity in ("Severe", "Extreme", "Severe", "Extreme", "Severe"):
        assert (await api.report(severity=severity)).status_code == 202, "the urgent have a reserve"
        await api.backlog.look()
    assert (await api.report(severity="Extreme")).status_code == 429, "which ends too"
    await api.pool.execute(_DECIDE, 6)
    await api.backlog.look()
    assert api.backlog.waiting == 4
    assert (await api.report(key="k", severity="Minor")).status_code == 202
    await api.backlog.look()
    assert (await api.report(severity="Minor")).status_code == 429


async def test_a_duty_officers_decision_is_taken_whatever_waits(api: Api) -> None:
    incident = (await api.report()).json()["incident_id"]
    for _ in range(2 * LIMIT):
        await api.report(severity="Extreme")
    await api.backlog.look()
    assert (await api.report(severity="Extreme")).status_code == 429
    decided = await api.client.post(
        f"/v1/incidents/{incident}/commands",
        json={"action": "close", "status": "Exercise", "reason": "over"},
    )
    assert decided.status_code == 202, decided.text


async def test_only_its_own_world_counts_and_what_was_long_ago_does_not(pool: Pool, api: Api) -> None:
    await api.report()
    real = Backlog(pool, Namespace.ACTUAL, LIMIT)
    await real.look()
    await api.backlog.look()
    assert (real.waiting, api.backlog.waiting) == (0, 1)
    await pool.execute("UPDATE outbox SET published_at = now() - interval '2 hours'")
    await api.backlog.look()
    assert api.backlog.waiting == 0
    await pool.execute("UPDATE outbox SET published_at = NULL")
    await api.backlog.look()
    assert api.backlog.waiting == 1, "what was never published waits, however old"


async def test_looks_go_no_further_back_than_what_waits(pool: Pool, api: Api) -> None:
    """A look after much was decided reads little: the plan has the partial index, and the time moves on."""
    for _ in range(3):
        await api.report()
    await api.backlog.look()
    first = api.backlog._since
    await pool.execute(_DECIDE, 3)
    await api.backlog.look()
    assert first is not None
    assert api.backlog._since is not None
    assert api.backlog._since > first


@pytest.mark.parametrize(
    ("severity", "message_type", "taken"),
    [
        (Severity.MODERATE, MessageType.ALERT, False),
        (Severity.UNKNOWN, MessageType.ALERT, False),
        (Severity.SEVERE, MessageType.ALERT, True),
        (Severity.UNKNOWN, MessageType.CANCEL, True),
        (Severity.MINOR, MessageType.UPDATE, True),
    ],
)
def test_what_is_urgent_or_about_a_known_incident_has_the_reserve(
    severity: Severity, message_type: MessageType, taken: bool
) -> None:
    backlog = Backlog(None, Namespace.ACTUAL, LIMIT)  # type: ignore[arg-type] # nothing is asked of it
    backlog.waiting = LIMIT
    if taken:
        backlog.check(severity, message_type)
    else:
        with pytest.raises(ProblemError, match=r"5 reports wait"):
            backlog.check(severity, message_type)
