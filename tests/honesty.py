"""A pytest plugin: says which tests were left out and how to run them, and lets no skip pass unseen."""

from collections.abc import Iterable
from typing import Any

import pytest

ABSENT_DATA = "/shared/data/"
"""A test may skip when the data beside the checkout (../shared/data) is absent; its reason then names the file."""

LEFT_OUT = {
    "kafka": "tests that need Apache Kafka; `make test-kafka` runs them (Java 17, Maven)",
    "long": "tests that take a minute or more; `make test-kafka` runs them too",
    "browser": "tests that need a browser; `make test-browser` runs them (Debian's chromium)",
}
"""What a marker's tests need, by its name; a run that leaves them out says so."""


def _reasons(reporter: Any) -> Iterable[tuple[str, str]]:
    for report in reporter.stats.get("skipped", []):
        if isinstance(report.longrepr, tuple):
            yield report.nodeid, report.longrepr[2]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a session in which a test was skipped for any other reason."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:  # one of several processes that share the work; the first one reports
        return
    passed = session.exitstatus == pytest.ExitCode.OK
    if passed and any(ABSENT_DATA not in reason for _, reason in _reasons(reporter)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left out and how to run it, and name every skip that makes the session fail."""
    chosen = terminalreporter.config.option.markexpr
    for name, needs in LEFT_OUT.items():
        if f"not {name}" in chosen:
            terminalreporter.write_line(f"left out: {needs}")
    for nodeid, reason in _reasons(terminalreporter):
        if ABSENT_DATA not in reason:
            terminalreporter.write_line(f"FAILED because it was skipped: {nodeid}: {reason}", red=True)
