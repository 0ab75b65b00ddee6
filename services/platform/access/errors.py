"""What access refuses in one line: the API makes it a problem document, the command line prints it."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from services.platform.errors import RefusedError
from services.platform.problem import ProblemError


class AccessError(RefusedError):
    """A change of people, tokens or passwords that was turned down; ``kind`` makes the problem's type."""

    def __init__(self, status: HTTPStatus, detail: str, kind: str) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind


def unknown(what: str, which: object) -> AccessError:
    """Say that there is no such person or token."""
    return AccessError(HTTPStatus.NOT_FOUND, f"{what} {which}: there is none", f"unknown-{what}")


def invalid(detail: str) -> AccessError:
    """Say that what was asked for can't be."""
    return AccessError(HTTPStatus.UNPROCESSABLE_ENTITY, detail, "invalid")


def conflict(detail: str) -> AccessError:
    """Say that what was asked for doesn't go with what is there."""
    return AccessError(HTTPStatus.CONFLICT, detail, "conflicting")


@contextmanager
def as_problems() -> Iterator[None]:
    """Turn refusals into problem documents."""
    try:
        yield
    except AccessError as error:
        raise ProblemError(error.status, str(error), kind=error.kind) from None
