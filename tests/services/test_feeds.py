"""Feeds that sign what they push: taken once, and only from who has the secret, in time and in its own world."""

import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from schemas.vocabulary import Namespace
from services.intake import http
from services.platform.access.feeds import Feeds, read_feeds
from services.platform.errors import ConfigurationError
from services.platform.postgres import Pool
from services.platform.webhooks import SignatureError, key_of, sign, verify
from tests.contract.test_cap import ALERT
from tests.services.test_intake_http import FIRE, Api, problem

SECRET = "whsec_" + base64.b64encode(b"the weather service's own secret").decode()
OLD, OTHER = b"the secret before that one", b"what somebody else made up"
BODY = json.dumps(FIRE).encode()


@pytest.fixture
async def api(pool: Pool) -> AsyncIterator[Api]:
    api = Api(pool)
    feeds = Feeds({"weather": (key_of(SECRET), OLD)})
    api.app = http.make_app(api.intake, pool, lambda: api.ready, api.access, feeds=feeds)
    api.client = httpx.AsyncClient(transport=httpx.ASGITransport(api.app), base_url="http://muster")
    yield api
    await api.intake.drain()


async def push(
    api: Api, body: bytes = BODY, *, key: bytes = key_of(SECRET), feed: str = "weather", id_: str = "msg_1",
    age: float = 0, content_type: str = "application/json", sent: bytes | None = None, **headers: str
) -> httpx.Response:  # fmt: skip
    signed = sign(key, id_, datetime.now(UTC) - timedelta(seconds=age), body)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    content = body if sent is None else sent
    all_headers = {"Content-Type": content_type, **signed, **given}
    return await api.client.post(f"/v1/feeds/{feed}", content=content, headers=all_headers)


async def test_a_signed_report_is_taken_and_a_copy_of_it_changes_nothing(api: Api) -> None:
    first, again = await push(api), await push(api, age=30)
    assert (first.status_code, again.status_code) == (202, 200), first.text
    assert again.json() == {**first.json(), "repeated": True}
    assert await api.count("reports") == await api.count("outbox") == 1
    assert await api.pool.fetchval("SELECT origin FROM reports") == "http:/v1/feeds/weather"
    assert api.access.noted[0] == ("feed weather", "incident.report", first.json()["incident_id"], "done")
    other = await push(api, json.dumps(FIRE | {"event": "Another fire"}).encode())
    assert problem(other, 409)["type"] == "urn:muster:problem:conflict", "an id names one call"
    assert (await push(api, id_="msg_2")).status_code == 202


async def test_a_feed_may_speak_cap_and_change_its_secret(api: Api) -> None:
    alert = ALERT.replace("<status>Actual</status>", "<status>Exercise</status>").encode()
    answer = await push(api, alert, key=OLD, content_type="application/cap+xml")
    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"key": OTHER}, "webhook-signature: is not ours"),
        ({"sent": BODY.replace(b"30", b"31")}, "webhook-signature: is not ours"),
        ({"age": 301}, "webhook-timestamp: is more than 300 s from now"),
        ({"age": -301}, "webhook-timestamp: is more than 300 s from now"),
        ({"webhook_timestamp": "now"}, "webhook-timestamp: send the seconds"),
        ({"webhook_timestamp": "1e9"}, "webhook-timestamp: send the seconds"),
        ({"webhook_id": "msg_9"}, "webhook-signature: is not ours"),
        ({"webhook_id": ""}, "webhook-id: send"),
        ({"webhook_signature": ""}, "webhook-signature: is not ours"),
        ({"webhook_signature": "v1, v1,x"}, "webhook-signature: is not ours"),
        ({"feed": "seismic"}, "there is none here"),
    ],
    ids=lambda given: str(given) if isinstance(given, str) else "-".join(given),
)
async def test_whatever_does_not_prove_who_sent_it_is_refused(api: Api, given: dict[str, object], why: str) -> None:
    refused = await push(api, **given)  # type: ignore[arg-type]
    found = problem(refused, 401)
    assert found["type"] == "urn:muster:problem:bad-signature"
    assert why in found["detail"]
    assert await api.count("reports") == await api.count("dead_letters") == 0
    assert api.access.noted == [("", "refused", f"/v1/feeds/{given.get('feed', 'weather')}", "bad-signature")]


async def test_a_body_of_somebody_unknown_is_not_even_read(api: Api) -> None:
    asked = []

    async def body() -> AsyncIterator[bytes]:
        asked.append(True)
        yield b""

    answer = await api.client.post(
        "/v1/feeds/weather", content=body(), headers={"Content-Type": "application/json", "webhook-id": "1"}
    )
    assert answer.status_code == 401
    assert asked == []


async def test_nobody_can_take_a_feeds_ids_beforehand(api: Api) -> None:
    officer = api.of("officer")
    for key in ("feed·weather·msg_1", "weather msg_1", "msg_1"):
        await officer.post("/v1/incidents", json=FIRE, headers={b"Idempotency-Key": key.encode()})
    assert (await push(api)).status_code == 202


def test_feeds_are_read_from_the_environment_or_a_file_for_each_world(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert read_feeds(Namespace.ACTUAL)._keys == {}
    written = {"actual": {"weather": [SECRET, "older"]}, "exercise": {"drill-feed": "x" * 30}}
    file = tmp_path / "feeds.json"
    file.write_text(json.dumps(written))
    monkeypatch.setenv("MUSTER_FEEDS_FILE", str(file))
    assert read_feeds(Namespace.ACTUAL)._keys == {"weather": (key_of(SECRET), b"older")}
    assert read_feeds(Namespace.EXERCISE)._keys == {"drill-feed": (b"x" * 30,)}
    monkeypatch.setenv("MUSTER_FEEDS", json.dumps(written))
    with pytest.raises(ConfigurationError, match="leave one out"):
        read_feeds(Namespace.ACTUAL)
    monkeypatch.delenv("MUSTER_FEEDS_FILE")
    for bad in (
        "{",
        '{"reality": {}}',
        '{"actual": {"weather": 7}}',
        '{"actual": {"weather": "whsec_c2hvcnQ="}}',
        '{"actual": {"weather": "whsec_$"}}',
        '{"actual": {"weather": "' + "hidden" * 5 + '"}, "x": 1}',
    ):
        monkeypatch.setenv("MUSTER_FEEDS", bad)
        with pytest.raises(ConfigurationError) as raised:
            read_feeds(Namespace.ACTUAL)
        assert "\n" not in str(raised.value)
        assert "hidden" not in str(raised.value)


def test_the_example_of_the_specification_is_verified() -> None:
    """The values that Standard Webhooks publishes for testing implementations."""
    key = key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    now = datetime.fromtimestamp(1_614_265_330, UTC)
    assert verify([key], headers, b'{"test": 2432232314}', now) == "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert sign(key, headers["webhook-id"], now, b'{"test": 2432232314}') == headers
    with pytest.raises(SignatureError):
        verify([key], headers, b'{"test": 2432232315}', now)
