"""One runner for all scenarios, and its table at the end of the run and in the folder of reports."""

import pytest
import run

REPORT = {}


@pytest.fixture(scope="session")
def runner():
    runner = run.Runner()
    runner.start()
    yield runner
    runner.stop()
    REPORT["text"] = f"{runner.table()}\n{runner.report()}"


def pytest_terminal_summary(terminalreporter):
    if "text" in REPORT:
        terminalreporter.section("conformance: scenarios x languages")
        terminalreporter.write_line(REPORT["text"])
