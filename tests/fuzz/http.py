"""Fuzzes everything that is served over HTTP: every route of both worlds, with a real Postgres behind and no broker.

An input is a request as bytes: ``METHOD /path?query WHO``, header lines, an empty line, the body. Oracles besides not
crashing: no 5xx, every refusal a problem document or page that says why, and what is posted as a report or an alert
is afterwards kept byte for byte, accepted or as a dead letter.
"""

import asyncio
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote, unquote
from uuid import UUID, uuid4

import asyncpg
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from schemas.vocabulary import Namespace, Role, Status
from services.cli.processes import make_runtime
from services.cli.site import make_sites
from services.platform.access.access import Access
from services.platform.access.headers import Headers
from services.platform.access.people import new_person
from services.platform.access.principal import REPORT
from services.platform.access.routes import guards_of
from services.platform.access.settings import AccessSettings
from services.platform.embedded.postgres import EmbeddedPostgres
from services.platform.migrations import migrate
from services.platform.postgres import Pool, connect
from tests.contract.test_cap import ALERT
from tests.fuzz.cap import ATTACKS, SIGNATURE
from tests.fuzz.harness import Entry, LostError, Target, explained
from tests.fuzz.shapes import NASTY, escaped, nearly, spoilt, written
from tests.services.console_world import HandOutbox, HandWorld
from tests.services.support import publish_shipped, report, settings

KEPT_FOR = ("/v1/incidents", "/v1/cap")
"""Paths whose bodies are kept, accepted or not."""
LEFT_OUT = {"POST /v1/plans/{plan}/simulations", "DELETE /v1/session"}
"""Hours of another process's time, which its own limits bound; the end of the session that asks."""
ANSWERED_WITHIN = 20.0
"""Seconds by the wall for one answer."""
WHO = ("everything", "everything", "everything", "nobody", "report", "member")
MEDIA = (
    "application/json", "application/json; charset=utf-16", "application/cap+xml", "text/xml",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x", "application/zip", "text/plain", "", "\x00",
)  # fmt: skip
HEADERS = (
    ("idempotency-key", "k"), ("idempotency-key", '"' + "k" * 300 + '"'), ("idempotency-key", "é"), ("accept",
    "text/html"), ("accept", "*/*;q=x"),
    ("content-encoding", "gzip"), ("content-length", "99999999999999999999"), ("content-length", "-1"), ("host",
    "evil.example"), ("host", ""),
    ("if-none-match", '"x"'), ("last-event-id", "9" * 40), ("x-forwarded-for", "1.2.3.4, x"), ("forwarded", "for=;"),
    ("cookie", "muster_session=\xff"),
    ("authorization", "Bearer x"), ("authorization", "Basic \xff"), ("x-csrf-token", "no"), ("origin",
    "https://evil.example"), ("hx-request", "true"),
    ("accept-language", "zh"), ("range", "bytes=9-1"), ("traceparent", "00-" + "0" * 80),
)  # fmt: skip


class Site:
    """All that is served, somebody of every role, and something on record in both worlds."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.server = EmbeddedPostgres(folder / "postgres")
        self.tasks: list[asyncio.Future[None]] = []
        self.known: dict[str, list[str]] = {}
        self.credentials: dict[str, dict[str, str]] = {}
        self.pools: list[Pool] = []

    def run(self, work: Any) -> Any:
        """Run something in the site's own loop."""
        return self.loop.run_until_complete(work)

    async def open(self) -> None:
        """Start the server and make the sites."""
        dsn = await self.server.start()
        self.pool = await connect(dsn, size=4)
        await migrate(self.pool)
        await publish_shipped(self.pool)
        self.access = Access(self.pool, AccessSettings())
        self.person = new_person("everything", "Everything", list(Role), ["police"])
        await self.access.people.add(self.person, None, self.access.now())
        member = new_person("member", "Member", [Role.DEPARTMENT], ["fire-rescue"])
        self.member = (await self.access.people.add(member, None, self.access.now())).id
        lives = self.access.now() + timedelta(days=1)
        _, token = await self.access.tokens.issue(
            "feed", scopes=[REPORT], by="x", now=self.access.now(), expires_at=lives
        )
        self.credentials["report"] = {"authorization": f"Bearer {token}"}
        runtimes = [await make_runtime(settings(dsn, "127.0.0.1:9", each), "fuzz", ("intake",)) for each in Namespace]
        for runtime in runtimes:
            runtime.outbox = HandOutbox(runtime.pool)  # type: ignore[assignment]
            self.pools.append(runtime.pool)
        before = [len(runtime._background) for runtime in runtimes]
        sites = make_sites(runtimes, self.access, pages=True)
        works = [work for runtime, own in zip(runtimes, before, strict=True) for work in runtime._background[own:]]
        self.tasks = [asyncio.ensure_future(work()) for work in (*works, *sites.background)]
        self.app = Headers(sites.app, self.access.settings)
        self.routes = [
            (route.method, route.path) for route in guards_of(sites.app) if not route.path.startswith("/static/")
        ]
        self.schemas = {"": sites.app.openapi()}
        for mount in sites.app.routes:
            if hasattr(getattr(mount, "app", None), "openapi"):
                self.schemas[mount.path] = mount.app.openapi()  # type: ignore[attr-defined]
        await self._fill()

    async def _fill(self) -> None:
        rows: list[asyncpg.Record] = []
        for namespace, status in ((Namespace.ACTUAL, Status.ACTUAL), (Namespace.EXERCISE, Status.EXERCISE)):
            rows += await HandWorld(self.pool, namespace).report(report(status=status))
        self.known = {
            "incident_id": sorted({str(row["incident_id"]) for row in rows}),
            "assignment_id": sorted(str(row["id"]) for row in rows)[:6],
            "department": ["police", "fire-rescue"],
            "plan": ["hazardous-chemical-release", "urban-flood"],
        }

    async def credentials_of(self, who: str) -> dict[str, str]:
        """Give what somebody sends; a session that has ended is begun again, roles and all."""
        if who == "nobody":
            return {}
        if who not in self.credentials:
            id_ = self.person.id if who == "everything" else self.member
            roles = [role.value for role in Role] if who == "everything" else [Role.DEPARTMENT.value]
            await self.pool.execute(
                "UPDATE people SET disabled_at = NULL, roles = $2, must_change = false WHERE id = $1", id_, roles
            )
            token = await self.access.sessions.begin(id_, "127.0.0.1", self.access.now())
            found = await self.access.sessions.find(token, self.access.now(), may_rotate=False)
            assert found is not None
            self.credentials[who] = {"cookie": f"muster_session={token}", "x-csrf-token": str(found.caller.csrf)}
        return self.credentials[who]

    async def close(self) -> None:
        """Stop everything."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for pool in (*self.pools, self.pool):
            with suppress(TimeoutError):
                await asyncio.wait_for(pool.close(), 3)
        await self.server.stop()

    async def ask(self, data: bytes) -> str | None:
        """Ask what an input stands for; give the refusal."""
        head, _, body = data.partition(b"\n\n")
        first, *lines = head.split(b"\n")
        method, target, who = ([*first.split(b" "), b"", b"", b""])[:3]
        path, _, query = target.partition(b"?")
        if not method.isalpha() or not path.startswith(b"/") or any(byte <= 32 or byte > 126 for byte in target):
            return "request line: is not HTTP; a server refuses it before we see it"
        name = who.decode("ascii", "replace") if who.decode("ascii", "replace") in WHO else "everything"
        headers = {"host": "127.0.0.1"} | await self.credentials_of(name)
        pairs = [(key.encode(), value.encode("latin-1")) for key, value in headers.items()]
        for line in lines[:50]:
            key, _, value = line.partition(b": ")
            pairs = [pair for pair in pairs if pair[0] != key.lower()] + [(key.lower(), value)]
        scope: dict[str, Any] = {
            "type": "http", "http_version": "1.1", "method": method.decode().upper(), "path": unquote(path.decode()),
            "raw_path": path,
            "query_string": query, "root_path": "", "scheme": "http", "headers": pairs, "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }  # fmt: skip
        status, content_type, answer = await self._answer(scope, body)
        if status == 401:
            self.credentials.pop(name, None) if name != "report" else None
        inner = scope["path"].removeprefix("/exercise")
        if status >= 500 and not inner.startswith("/health/"):
            raise AssertionError(f"{status}: {answer[:300]!r}")
        if scope["method"] == "POST" and inner in KEPT_FOR and status in {200, 202, 400, 422}:
            await self._accounted(body, answer, status)
        return _refusal(status, content_type, answer)

    async def _answer(self, scope: dict[str, Any], body: bytes) -> tuple[int, str, bytes]:
        given = [{"type": "http.request", "body": body, "more_body": False}]
        ended = asyncio.Event()
        status, content_type, answer = 0, "", bytearray()

        async def receive() -> Any:
            if given:
                return given.pop()
            await ended.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            nonlocal status, content_type
            if message["type"] == "http.response.start":
                status = message["status"]
                content_type = dict(message["headers"]).get(b"content-type", b"").decode("latin-1")
                if content_type.startswith("text/event-stream"):
                    ended.set()  # a stream goes on for as long as somebody listens
            elif message["type"] == "http.response.body":
                answer.extend(message.get("body", b"")[:10_000])
                if not message.get("more_body"):
                    ended.set()

        await asyncio.wait_for(self.app(scope, receive, send), ANSWERED_WITHIN)
        return status, content_type, bytes(answer)

    async def _accounted(self, body: bytes, answer: bytes, status: int) -> None:
        """See that the very bytes are on record."""
        told = json.loads(answer)
        if status in {200, 202}:
            kept = await self.pool.fetchval("SELECT body FROM reports WHERE event_id = $1", UUID(told["event_id"]))
        elif "dead_letter" in told:
            kept = await self.pool.fetchval("SELECT value FROM dead_letters WHERE id = $1", UUID(told["dead_letter"]))
        else:
            return  # refused before its body was taken: the sender still holds it
        if kept != body:
            raise LostError(f"{status}: other bytes are kept")


def _refusal(status: int, content_type: str, answer: bytes) -> str | None:
    if status < 400:
        return None
    if content_type.startswith("text/html"):
        whole = answer.lstrip()[:9].lower() == b"<!doctype"  # else a part of a page, for htmx to put into it
        if whole and b"</html>" not in answer and len(answer) < 9_000:
            raise AssertionError("a page that breaks off")
        return f"page: {status}"
    if "json" not in content_type:
        return f"plain: {status}" if not answer else explained(f"{status}: {answer.decode()}")
    told = json.loads(answer)
    if "detail" not in told:
        return (
            f"status: {status} without a detail" if status == 503 else explained(f"{status}: {json.dumps(told)[:200]}")
        )
    return explained(f"{status}: {told['detail']}")


_site: list[Site] = []


@contextmanager
def opened() -> Iterator[Target]:
    """Serve everything in this process, with a Postgres of its own."""

    async def no_lags(_: Any) -> list[Any]:
        return []

    with tempfile.TemporaryDirectory(dir="/tmp") as folder, mock.patch("services.console.operations.lags", no_lags):
        site = Site(Path(folder))
        site.run(site.open())
        _site.append(site)
        try:
            yield lambda data: site.run(site.ask(data))
        finally:
            _site.remove(site)
            site.run(site.close())


def example(schema: dict[str, Any], whole: dict[str, Any], depth: int = 0) -> Any:
    """Make a value that a JSON schema more or less takes."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return example(whole["components"]["schemas"][name], whole, depth + 1) if depth < 8 else None
    for union in ("anyOf", "oneOf", "allOf"):
        if union in schema:
            return example(schema[union][0], whole, depth + 1)
    if "const" in schema or "enum" in schema or "default" in schema:
        return schema.get("const", schema.get("default", [*schema.get("enum", []), None][0]))
    kind = schema.get("type")
    if kind == "object":
        return (
            {name: example(inner, whole, depth + 1) for name, inner in schema.get("properties", {}).items()}
            if depth < 8
            else {}
        )
    if kind == "array":
        return [example(schema.get("items", {}), whole, depth + 1)]
    values = {"uuid": str(UUID(int=7 << 76 | 2 << 62)), "date-time": "2026-06-01T08:00:00Z", "date": "2026-06-01"}
    return {"integer": 1, "number": 1.5, "boolean": True, "string": values.get(schema.get("format", ""), "police")}.get(
        str(kind)
    )


def _operation(method: str, path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    site = _site[-1]
    root = next((each for each in sorted(site.schemas, reverse=True) if each and path.startswith(each)), "")
    whole = site.schemas[root]
    return whole["paths"].get(path.removeprefix(root), {}).get(method.lower(), {}), whole


def _bodies(method: str, path: str) -> list[bytes]:
    """Give bodies that a route may take, by what its description says."""
    operation, whole = _operation(method, path)
    if path.endswith("/v1/cap"):
        own = ALERT.encode()
        exercise = own.replace(b">Actual<", b">Exercise<")
        return [own, exercise, own.replace(b"</alert>", SIGNATURE + b"</alert>"), ATTACKS[0] + own]
    for media, told in operation.get("requestBody", {}).get("content", {}).items():
        examples: dict[str, Any] = next(iter(told.get("examples", {}).values()), {})
        value = told.get("example") or examples.get("value") or example(told.get("schema", {}), whole)
        if "form" in media:
            return ["&".join(f"{key}={quote(str(each))}" for key, each in (value or {}).items()).encode()]
        return [escaped(value)]
    return [b""]


def _line(method: str, path: str, who: str, headers: Sequence[tuple[str, str]], body: bytes) -> bytes:
    head = [f"{method} {path} {who}", *(f"{name}: {value}" for name, value in headers)]
    return "\n".join(head).encode("latin-1", "replace") + b"\n\n" + body


def _media(method: str, path: str) -> str:
    if path.endswith("/v1/cap"):
        return "application/cap+xml"
    return next(iter(_operation(method, path)[0].get("requestBody", {}).get("content", {})), "application/json")


def _filled(path: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", value)
    return path


def _names(path: str) -> list[str]:
    return [part.split("}")[0] for part in path.split("{")[1:]]


def seeds() -> list[bytes]:
    """Give one plain request of each route."""
    site = _site[-1]
    found = []
    for method, path in site.routes:
        values = {name: site.known.get(name, [str(uuid7())])[0] for name in _names(path)}
        where = _filled(path, values)
        found += [
            _line(method, where, "everything", [("content-type", _media(method, path))], body)
            for body in _bodies(method, path)
        ]
    return [
        each for each, (method, path) in zip(found, site.routes, strict=False) if f"{method} {path}" not in LEFT_OUT
    ]


@st.composite
def _request(draw: st.DrawFn) -> bytes:
    site = _site[-1]
    method, path = draw(st.sampled_from([route for route in site.routes if " ".join(route) not in LEFT_OUT]))
    odd = [str(each)[:300] for each in NASTY if isinstance(each, str | int | float)]
    values = {}
    for name in _names(path):
        likely = [*site.known.get(name, []), str(uuid7()), str(uuid4())]
        values[name] = _quoted(draw(st.sampled_from(likely * 3 + odd)))
    where = _filled(path, values)
    operation, _ = _operation(method, path)
    asked = [each["name"] for each in operation.get("parameters", []) if each["in"] == "query"] or [
        "limit",
        "cursor",
        "q",
        "state",
        "as_of",
        "language",
    ]
    likely = [*odd, "1", "en", "all", "2026-06-01T08:00:00Z"]
    names = draw(st.lists(st.sampled_from(asked), max_size=3))
    pairs = [f"{name}={_quoted(draw(st.sampled_from(likely)))}" for name in names]
    where += ("?" + "&".join(pairs)) if pairs else ""
    headers = [("content-type", draw(st.sampled_from((*(_media(method, path),) * 12, *MEDIA))))]
    headers += draw(st.lists(st.sampled_from(HEADERS), max_size=2)) if draw(st.integers(0, 3)) == 0 else []
    if draw(st.integers(0, 40)) == 0:
        method = draw(st.sampled_from(("PUT", "HEAD", "OPTIONS", "TRACE", "PATCH", "X")))
    return _line(method, where, draw(st.sampled_from(WHO)), headers, draw(_body(method, path)))


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


def _body(method: str, path: str) -> st.SearchStrategy[bytes]:
    if method == "GET":
        return st.just(b"")
    bodies = _bodies(method, path)
    trees = [json.loads(each) for each in bodies if each[:1] == b"{"]
    if not trees:
        return spoilt(bodies, ATTACKS)
    wrong = nearly(trees, tuple(value for values in _site[-1].known.values() for value in values[:1]))
    return st.one_of(wrong.map(written), wrong.map(escaped), spoilt(bodies))


def shaped() -> st.SearchStrategy[bytes]:
    """Make requests of every route."""
    return _request()


def entries() -> list[Entry]:
    """Give the one entry."""
    words = (
        "GET /v1/",
        "POST /v1/",
        "PATCH ",
        "DELETE ",
        "/exercise",
        "?limit=",
        "content-type: ",
        "application/json",
        "idempotency-key: ",
        *WHO,
    )
    return [Entry("http", opened, seeds, shaped, (1_500, 4_000), words, longest=1 << 15)]
