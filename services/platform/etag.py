"""Single resources say which state they are in, so that a client that has it already is sent nothing."""

import hashlib
from http import HTTPStatus

from fastapi import Request, Response
from pydantic import BaseModel


def with_etag(request: Request, found: BaseModel) -> Response:
    """Answer with a resource and its weak ETag, or with 304 where the client has just that (RFC 9110, 13.1.2)."""
    body = found.model_dump_json().encode()
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    # `no-cache` lets a browser keep it and makes it ask each time; one person's answer is never another's.
    headers = {"ETag": f"W/{tag}", "Cache-Control": "private, no-cache"}
    known = {part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")}
    if known & {tag, "*"}:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(body, media_type="application/json", headers=headers)
