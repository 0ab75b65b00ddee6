"""Reads a request's body within bounds."""

from collections.abc import Iterable
from http import HTTPStatus

from fastapi import Request
from starlette.requests import ClientDisconnect

from services.platform.one_line import one_line
from services.platform.problem import ProblemError

MAX_BYTES = 1_000_000
"""Largest body, in bytes; what is larger could not be published in one message either."""
MAX_KEY = 255
"""Longest idempotency key, in characters."""

JSON = ("application/json",)
XML = ("application/cap+xml", "application/xml", "text/xml")


async def read_body(request: Request, media_types: Iterable[str]) -> tuple[str, bytes]:
    """Read the content type as declared, and the body; stops reading at the limit.

    Raises `ProblemError`: 415 for another media type or a content coding, 413 beyond `MAX_BYTES`, 400 for no body.
    """
    declared = one_line(request.headers.get("content-type", ""))
    media_type = declared.partition(";")[0].strip().lower()
    if media_type not in media_types:
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"Content-Type: {declared or 'nothing'} is not read here; send {' or '.join(media_types)}",
            headers={"Accept": ", ".join(media_types)},
        )
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "Content-Encoding: send the body as it is, uncompressed",
            headers={"Accept-Encoding": "identity"},
        )
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BYTES:
                raise ProblemError(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"the body has more than {MAX_BYTES} bytes; send a shorter one",
                    headers={"Connection": "close"},
                )
    except ClientDisconnect:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "the body ended early; send it again") from None
    if not body:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "the body is empty; send one document", kind="malformed")
    return declared, bytes(body)


def read_key(request: Request) -> str | None:
    """Read the ``Idempotency-Key`` header, in quotes as the draft has it, or bare.

    Source: draft-ietf-httpapi-idempotency-key-header-07, section 2.1 (a structured field's string).
    """
    given = request.headers.get("idempotency-key")
    if given is None:
        return None
    key = given.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not 1 <= len(key) <= MAX_KEY or not (key.isascii() and key.isprintable()):
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            f"Idempotency-Key: send 1 to {MAX_KEY} printable ASCII characters, such as a UUID",
            kind="invalid-request",
        )
    return key
