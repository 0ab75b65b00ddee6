"""Sending something to our own API from a page, as the person who asks for it."""

from http import HTTPStatus

import httpx

from services.console.page import Page
from services.platform.access.origin import CSRF_HEADER

_PASSED_ON = ("cookie", "host", "authorization", CSRF_HEADER.lower())


async def send(page: Page, path: str, body: bytes, content_type: str) -> httpx.Response:
    """Post a body; gives the API's answer, a problem document where it refuses."""
    client: httpx.AsyncClient = page.request.app.state.api
    headers = {name: page.request.headers[name] for name in _PASSED_ON if name in page.request.headers}
    answer = await client.post(path, content=body, headers=headers | {"Content-Type": content_type})
    if "json" not in answer.headers.get("content-type", ""):
        return httpx.Response(HTTPStatus.BAD_GATEWAY, json={"detail": answer.reason_phrase})
    return answer
