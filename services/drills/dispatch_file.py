"""A file of dispatch records as a stream of rows: any size in little memory, and one line for what is wrong with it.

Reads comma, semicolon, tab and bar separated values (RFC 4180 quoting, read strictly) in UTF-8 or a named encoding.
"""

import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from services.platform.errors import MusterError
from services.platform.one_line import one_line

DELIMITERS = ",;\t|"
LONGEST_LINE = 1 << 20
"""Characters in one line; more is no table."""
WATCH_EVERY = 20_000
"""Rows between two reports of progress."""

_ESCAPED = re.compile("[\udc80-\udcff]")
_WIDE = ("utf-16", "utf-32")
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")
_ARCHIVE_MARK = b"PK\x03\x04"

Watch = Callable[[int], None]
"""Hears, now and then, how many bytes have been read."""


class RecordsError(MusterError):
    """A file of dispatch records can't be used; the file's own words in it are kept on one line."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class OptionError(RecordsError):
    """What was asked of a file is wrong, whatever the file holds: misuse."""


class _Counted(io.RawIOBase):
    """A raw stream that counts and digests what passes, so that a pipe is read once and known all the same."""

    def __init__(self, inner: io.RawIOBase) -> None:
        self._inner = inner
        self.count = 0
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = self._inner.readinto(buffer) or 0
        self.count += size
        self.digest.update(memoryview(buffer)[:size])
        return size


class RecordsFile:
    """An open file whose header has been read. ``lines`` is the line its last row ended in."""

    def __init__(self, name: str, counted: _Counted, text: io.TextIOWrapper, encoding: str) -> None:
        self.name = name
        self.encoding = encoding
        self._counted = counted
        self._text = text
        self._line = 0
        first = self._first_line()
        self.delimiter = max(DELIMITERS, key=first.count)
        self._reader = csv.reader(chain([first], self._lines()), delimiter=self.delimiter, strict=True)
        self._rows = self._read()
        header = next(self._rows, (0, []))[1]
        self.columns = tuple(column.strip() for column in header)
        if len(self.columns) < 2:
            raise RecordsError(f"{name}:1: is not CSV: the first line has one column; write a header and commas")

    def rows(self, watch: Watch | None = None) -> Iterator[tuple[int, list[str]]]:
        """Give every row with the line it begins in; empty lines are passed over. Raises `RecordsError`."""
        number = 0
        for number, row in enumerate(self._rows, 1):
            yield row
            if watch is not None and number % WATCH_EVERY == 0:
                watch(self._counted.count)
        if not number:
            raise RecordsError(f"{self.name}: has a header and no rows")

    @property
    def sha256(self) -> str:
        """The digest of all that was read; the file's own once every row was."""
        return self._counted.digest.hexdigest()

    def _read(self) -> Iterator[tuple[int, list[str]]]:
        begins = 1
        try:
            for row in self._reader:
                if row:
                    yield begins, row
                begins = self._reader.line_num + 1
        except csv.Error as error:
            # Csv notices a quote where the next one stands, which may be lines below the one that is wrong.
            is_open = "field larger" in str(error) or "end of data" in str(error)
            said = "a quote is not closed" if is_open else one_line(str(error))
            raise RecordsError(
                f"{self.name}:{begins}: odd quoting: {said}; double a quote inside quotes, and close what is open"
            ) from None

    def _first_line(self) -> str:
        line = next(self._lines(), "")
        if not line.strip():
            raise RecordsError(f"{self.name}:1: the first line is empty; write the columns' names there")
        return line

    def _lines(self) -> Iterator[str]:
        while line := self._next():
            self._line += 1
            if len(line) == LONGEST_LINE and not line.endswith("\n"):
                raise RecordsError(f"{self.name}:{self._line}: is not CSV: the line is longer than 1 MiB")
            if not line.isascii() and (found := _ESCAPED.search(line)):
                raise self._undecodable(f"byte 0x{ord(found[0]) - 0xDC00:02x} is")
            yield line

    def _next(self) -> str:
        try:
            return self._text.readline(LONGEST_LINE)
        except UnicodeError:
            self._line += 1
            raise self._undecodable("is") from None

    def _undecodable(self, what: str) -> RecordsError:
        shown = "UTF-8" if self.encoding == "utf-8" else self.encoding
        mend = "name the file's encoding, like --encoding cp1252"
        return RecordsError(f"{self.name}:{self._line}: {what} not {shown}; {mend}")


@contextmanager
def open_records(path: Path, encoding: str = "utf-8") -> Iterator[RecordsFile]:
    """Open a file and read its header; `RecordsError` when it is missing, empty, or no text table."""
    name = str(path)
    try:
        raw = path.open("rb", buffering=0)
    except OSError as error:
        raise RecordsError(f"{name}: can't be read ({error.strerror or 'unknown reason'})") from None
    with raw:
        counted = _Counted(raw)
        buffered = io.BufferedReader(counted)
        try:
            _check_bytes(name, buffered.peek(4096), encoding)
            codec = "utf-8-sig" if encoding == "utf-8" else encoding
            text = io.TextIOWrapper(buffered, codec, errors="surrogateescape", newline="")
            yield RecordsFile(name, counted, text, encoding)
        except OSError as error:
            raise RecordsError(f"{name}: can't be read ({error.strerror or 'unknown reason'})") from None
        except LookupError:
            raise OptionError(f'--encoding: "{encoding}" is unknown here; write one like utf-8 or cp1252') from None


def _check_bytes(name: str, head: bytes, encoding: str) -> None:
    if not head:
        raise RecordsError(f"{name}: the file is empty")
    if head.startswith(_ARCHIVE_MARK):
        raise RecordsError(f"{name}: is not CSV: it is a workbook or an archive; export it as CSV")
    if encoding.lower().replace("_", "-").startswith(_WIDE):
        return
    if head.startswith(_WIDE_MARKS):
        raise RecordsError(f"{name}: is UTF-16, not {encoding}; add --encoding utf-16")
    if b"\0" in head:
        raise RecordsError(f"{name}: is not CSV: it is no text")
