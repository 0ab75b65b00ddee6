"""A drill as one zip file: every row about it, and a manifest of digests that tells a changed or cut file."""

import hashlib
import io
import json
import lzma
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from uuid import UUID

from services.drills.record import DrillError

FORMAT = "muster-drill"
VERSION = 1
MANIFEST = "manifest.json"
TABLES = (
    "directories",
    "plans",
    "drills",
    "drill_pauses",
    "drill_controls",
    "drill_injects",
    "incidents",
    "activations",
    "assignments",
    "obstacles",
    "timeline",
    "inbox",
    "corrections",
    "improvements",
    "improvement_history",
    "drill_ratings",
)
"""In the order in which they can be written."""
OPTIONAL = frozenset({"drill_ratings"})
"""Tables that a file holds only where they have rows: an older Muster can read the others."""
GROWING = frozenset({"corrections", "improvements", "improvement_history", "drill_ratings"})
"""Tables that go on growing after ENDEX; all others are the drill itself."""
LARGEST = 1 << 30
"""Bytes that a bundle may unpack to."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""A zip's earliest time: the same record gives the same file."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """One drill's rows as JSON text, by table."""

    drill_id: UUID
    rows: Mapping[str, tuple[str, ...]]

    @property
    def digest(self) -> str:
        """Name exactly these rows."""
        return _digest_of(_manifest(self))

    def of(self, table: str) -> list[dict[str, Any]]:
        """Give one table's rows."""
        return [json.loads(row) for row in self.rows.get(table, ())]


def pack(bundle: Bundle) -> bytes:
    """Write the zip; the same rows give the same bytes."""
    manifest = _manifest(bundle)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, text in {
            MANIFEST: json.dumps({**manifest, "digest": _digest_of(manifest)}, indent=1, sort_keys=True) + "\n",
            **{_name(table): _text(bundle.rows.get(table, ())) for table in _held(bundle)},
        }.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, text)
    return out.getvalue()


def unpack(path: Path, largest: int = LARGEST) -> Bundle:
    """Read a zip back; raises `DrillError` when it isn't one, is cut short, or isn't what its manifest says.

    ``largest``: bytes that it may unpack to.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(archive, path, largest)
    except _NO_ZIP as error:
        _refuse(path, f"can't be read as a zip: {_said(error)}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        _refuse(path, f"is not as Muster writes it: {_said(error)}")


def _said(error: Exception) -> str:
    """Say an error's text on one line; its words are the file's."""
    return "".join(char if char.isprintable() else " " for char in str(error)[:200]) or type(error).__name__


_NO_ZIP = (
    OSError,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    NotImplementedError,
    EOFError,
    RuntimeError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
)


def _read(archive: zipfile.ZipFile, path: Path, largest: int) -> Bundle:
    entries = archive.infolist()
    if sum(entry.file_size for entry in entries) > largest:
        _refuse(path, f"unpacks to more than {largest >> 20} MiB")
    names = sorted(entry.filename for entry in entries)
    held = [table for table in TABLES if table not in OPTIONAL or _name(table) in names]
    wanted = sorted([MANIFEST, *map(_name, held)])
    if names != wanted:
        odd = sorted(set(names) ^ set(wanted)) or ["a name twice"]
        _refuse(path, f"does not hold the files of a drill: {ascii(odd[:3])[1:301]}")
    manifest = json.loads(archive.read(MANIFEST))
    if (manifest["format"], manifest["version"]) != (FORMAT, VERSION):
        found = ascii(f"{manifest['format']} version {manifest['version']}")[1:100]
        _refuse(path, f"is {found}; this Muster reads version {VERSION}")
    rows = {}
    for table in held:
        data = archive.read(_name(table))
        if hashlib.sha256(data).hexdigest() != manifest["files"][_name(table)]["sha256"]:
            _refuse(path, f"{_name(table)} is not what the manifest says; it was changed or damaged")
        rows[table] = tuple(data.decode().split("\n")[:-1])  # splitlines would also split at U+2028
    bundle = Bundle(UUID(manifest["drill"]), rows)
    if manifest["digest"] != bundle.digest or {**manifest, "digest": ""} != {**_manifest(bundle), "digest": ""}:
        _refuse(path, "its manifest was changed or damaged")
    return bundle


def _manifest(bundle: Bundle) -> dict[str, Any]:
    held = {table: bundle.rows.get(table, ()) for table in _held(bundle)}
    texts = {_name(table): (_text(rows), len(rows)) for table, rows in held.items()}
    return {
        "format": FORMAT,
        "version": VERSION,
        "drill": str(bundle.drill_id),
        "files": {
            name: {"sha256": hashlib.sha256(text.encode()).hexdigest(), "rows": count}
            for name, (text, count) in texts.items()
        },
    }


def _held(bundle: Bundle) -> list[str]:
    return [table for table in TABLES if table not in OPTIONAL or bundle.rows.get(table)]


def _digest_of(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _name(table: str) -> str:
    return f"rows/{table}.jsonl"


def _text(rows: tuple[str, ...]) -> str:
    return "".join(f"{row}\n" for row in rows)


def _refuse(path: Path, why: str) -> NoReturn:
    raise DrillError(f"{path}: {why}; nothing was imported")
