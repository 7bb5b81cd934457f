"""What holds for all tests."""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

# The same examples each time, however busy the machine is: what fails, fails for whoever runs it next, too. To look for
# others: --hypothesis-profile=explore.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("tests", settings.get_profile("explore"), derandomize=True)
settings.load_profile("tests")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Reports travel between processes as UTF-8; hostile text that a test has logged must not stop that."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(autouse=True, scope="module")
def _leaves_nothing_open() -> Iterator[None]:
    """What a file's tests forgot to close is their failure, not that of the test during which it is collected."""
    yield
    gc.collect()
