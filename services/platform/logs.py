"""Structured logs on stderr, one JSON object a line, or coloured lines for a person at a terminal."""

import logging
import sys
from collections.abc import Callable
from contextlib import suppress

import structlog
from pydantic_core import to_json


def configure_logging(*, form: str = "json", level: str = "info") -> None:
    """Send the logs of Muster and of every library to stderr, in one form; stdout belongs to results.

    Muster's own don't go through the standard library's loggers, which cost a service a tenth of its time.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(_as_json) if form == "json" else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[*shared, renderer],
        logger_factory=_Stderr,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for noisy in ("aiokafka", "faststream", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    # They tell every address that is called, and a webhook's may hold a secret.
    for telling in ("httpx", "httpcore"):
        logging.getLogger(telling).setLevel(logging.WARNING)


def _as_json(line: object, default: Callable[[object], object]) -> str:
    return to_json(line, fallback=default).decode()


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Give a module its logger."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(name)
    return logger


class _Stderr:
    """Writes lines; a log that can't be written, to a full disk or for a reader that has gone, stops nobody."""

    def __init__(self, *_: object) -> None:
        pass

    def msg(self, line: str) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()

    debug = info = warning = error = critical = exception = msg
