"""Fixtures of all tests, and the last line of every run."""

import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.support.programs import chromium_path as find_chromium
from tests.support.servers import InfluxServer, MosquittoServer, NatsServer

# How long an example takes says how busy the machine is, nothing about the code.
settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")

_RAN = pytest.StashKey[str]()


def pytest_configure() -> None:
    # A shell's background job ignores Ctrl-C, and so would every program that a test starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def mosquitto_server() -> Iterator[MosquittoServer]:
    """A running mosquitto of this test's own."""
    with MosquittoServer() as server:
        yield server


@pytest.fixture
def nats_server() -> Iterator[NatsServer]:
    """A running nats-server with MQTT of this test's own."""
    with NatsServer() as server:
        yield server


@pytest.fixture(scope="session")
def shared_influx_server() -> Iterator[InfluxServer]:
    """A running, set-up InfluxDB: two seconds of a core, so that tests follow one another on it."""
    with InfluxServer() as server:
        yield server


@pytest.fixture
def influx_server(shared_influx_server: InfluxServer) -> Iterator[InfluxServer]:
    """A running InfluxDB with a bucket of this test's own; it may be stopped, killed, paused."""
    with shared_influx_server.bucket_of_its_own() as server:
        yield server


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The browser's program."""
    return find_chromium()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Compile the kernel before the first test: on a busy machine that alone is a test's time."""
    if session.items and not session.config.option.collectonly:
        from twin.warm import warm_up

        warm_up()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    def count(*outcomes: str) -> int:
        return sum(len(terminalreporter.getreports(outcome)) for outcome in outcomes)

    terminalreporter.config.stash[_RAN] = (
        f"{count('passed', 'xfailed')} passed, {count('failed', 'error', 'xpassed')} failed, "
        f"{count('skipped')} skipped"
    )


def pytest_unconfigure(config: pytest.Config) -> None:
    """The counts alone on the last line, after everything that pytest says."""
    if line := config.stash.get(_RAN, None):
        print(line, flush=True)
