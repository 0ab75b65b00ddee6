"""The committed messages of version 1: how every later version finds them on a topic. Never changed, only added to."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "messages" / "v1"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
Headers = list[tuple[str, bytes]]


def golden(name: str) -> tuple[Headers, bytes, str]:
    """Give a committed message as a consumer gets it: headers and value; and the type it was sent as."""
    headers, value = golden_parts(name)
    kind = headers["ce_type"].removesuffix(".v1")
    return [(key, text.encode()) for key, text in headers.items()], json.dumps(value).encode(), kind


def golden_parts(name: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Give a committed message's headers and value to be changed."""
    document = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return document["headers"], document["value"]
