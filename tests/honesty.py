"""A pytest plugin: says which tests were left out and how to run them, and lets no skip pass unseen."""

from collections.abc import Iterable
from typing import Any

import pytest

ABSENT_DATA = "/shared/data/"
"""A test may skip when the data beside the checkout (../shared/data) is absent; its reason then names the file."""


def _reasons(reporter: Any) -> Iterable[tuple[str, str]]:
    for report in reporter.stats.get("skipped", []):
        if isinstance(report.longrepr, tuple):
            yield report.nodeid, report.longrepr[2]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a session in which a test was skipped for any other reason."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    passed = session.exitstatus == pytest.ExitCode.OK
    if passed and any(ABSENT_DATA not in reason for _, reason in _reasons(reporter)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count the tests that take long or need Apache Kafka, and every skip that makes the session fail."""
    deselected = terminalreporter.stats.get("deselected", [])
    left_out = [item for item in deselected if item.get_closest_marker("kafka") or item.get_closest_marker("long")]
    if left_out:
        terminalreporter.write_line(
            f"{len(left_out)} tests take long or need Apache Kafka and were left out;"
            " `make test-kafka` runs them (Java 17, Maven)"
        )
    for nodeid, reason in _reasons(terminalreporter):
        if ABSENT_DATA not in reason:
            terminalreporter.write_line(f"FAILED because it was skipped: {nodeid}: {reason}", red=True)
