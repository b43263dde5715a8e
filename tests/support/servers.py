"""The real servers the tests talk to, each alone on a free loopback port in its own folder.

Each is a context manager: it starts on entry and is gone on exit. `stop` asks it to end, `kill`
does not ask, `start` brings it back on the same port and folder.
"""

import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import httpx2
import pytest

from tests.support.processes import ServerFailed, ServerProcess, free_port
from tests.support.programs import influxd_path, mosquitto_path, nats_server_path

__all__ = [
    "InfluxServer",
    "MosquittoServer",
    "NatsServer",
    "Server",
    "ServerFailed",
    "free_port",
]


class Prepare(Protocol):
    """Writes a server's configuration into its folder; how it is run there, on that port."""

    def __call__(self, directory: Path, port: int, /) -> ServerProcess: ...


class Server:
    """What all servers here can do; a folder that was given is left behind, its own is removed."""

    host = "127.0.0.1"

    def __init__(self, directory: Path | None, port: int | None, prepare: Prepare) -> None:
        self._owns_directory = directory is None
        self.directory = directory or Path(tempfile.mkdtemp(prefix="twin-server-"))
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self._process = prepare(self.directory, self.port)

    def start(self) -> None:
        """Starts it, or starts it again on the same port and folder; returns when it listens."""
        self._process.start()

    def stop(self) -> None:
        """Asks it to end, and returns when it has saved and ended."""
        self._process.stop()

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()

    def restart(self) -> None:
        """`stop`, then `start`."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freezes it (SIGSTOP): connections stay open, nothing answers."""
        self._process.pause()

    def resume(self) -> None:
        """Lets it go on after `pause`."""
        self._process.resume()

    @property
    def running(self) -> bool:
        return self._process.running

    @property
    def pid(self) -> int:
        return self._process.pid

    def log(self) -> str:
        """The end of its log."""
        return self._process.log()

    def close(self) -> None:
        """Ends it and removes its own folder."""
        self._process.close()
        if self._owns_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class MosquittoServer(Server):
    """A mosquitto that keeps sessions on disk, with windows wide enough for load tests.

    `stop` (SIGTERM) saves its database; `kill` loses what it acknowledged since it last saved.
    `settings` are further lines of its configuration, or replace ours.
    """

    def __init__(
        self,
        *,
        directory: Path | None = None,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._settings = dict(settings or {})
        super().__init__(directory, port, self._prepare)

    @property
    def url(self) -> str:
        return f"mqtt://{self.host}:{self.port}"

    def _prepare(self, directory: Path, port: int) -> ServerProcess:
        lines = {
            "allow_anonymous": "true",
            "persistence": "true",
            "persistence_location": f"{directory}/",
            "max_inflight_messages": "2000",
            "max_queued_messages": "1000000",
            "log_dest": "stdout",
        }
        if os.geteuid() == 0:
            # As root it would become user mosquitto, who cannot save in our folder.
            lines["user"] = "root"
        lines |= self._settings
        config = directory / "mosquitto.conf"
        config.write_text(
            f"listener {port} {self.host}\n"
            + "".join(f"{key} {value}\n" for key, value in lines.items())
        )
        return ServerProcess([mosquitto_path(), "-c", str(config)], port=port, directory=directory)


class NatsServer(Server):
    """A nats-server with JetStream and MQTT 3.1.1 on `port`, its own protocol on `client_port`.

    `ack_wait` and `max_ack_pending` are those of the demo: small, so that messages held by a
    lost subscriber come again soon and not far out of order.
    """

    def __init__(
        self,
        *,
        directory: Path | None = None,
        port: int | None = None,
        ack_wait: str = "3s",
        max_ack_pending: int = 200,
    ) -> None:
        self._ack_wait = ack_wait
        self._max_ack_pending = max_ack_pending
        self.client_port = free_port()
        super().__init__(directory, port, self._prepare)

    @property
    def url(self) -> str:
        return f"mqtt://{self.host}:{self.port}"

    def _prepare(self, directory: Path, port: int) -> ServerProcess:
        config = directory / "nats.conf"
        config.write_text(
            "server_name: twin-test\n"
            f'listen: "{self.host}:{self.client_port}"\n'
            f'jetstream {{ store_dir: "{directory / "jetstream"}" }}\n'
            f'mqtt {{ host: "{self.host}", port: {port}, ack_wait: "{self._ack_wait}", '
            f"max_ack_pending: {self._max_ack_pending} }}\n"
        )
        return ServerProcess(
            [nats_server_path(), "-c", str(config)], port=port, directory=directory
        )


class InfluxServer(Server):
    """An InfluxDB 2 set up with a fixed organisation, bucket and token.

    With TWIN_TEST_INFLUX_URL (and TWIN_TEST_INFLUX_TOKEN, TWIN_TEST_INFLUX_ORG) it is that
    server, with a bucket of its own that is removed on close; a test that stops, kills or pauses
    it is then skipped.
    """

    org = "twin-test"
    bucket: str = "twin"
    token = "twin-test-token"  # of a server that lives for one test on loopback

    def __init__(self, *, directory: Path | None = None, port: int | None = None) -> None:
        self._external = os.environ.get("TWIN_TEST_INFLUX_URL", "").rstrip("/")
        if self._external:
            self.token = os.environ.get("TWIN_TEST_INFLUX_TOKEN", self.token)
            self.org = os.environ.get("TWIN_TEST_INFLUX_ORG", self.org)
            self.bucket = f"twin-test-{secrets.token_hex(6)}"
            self._bucket_id = ""
        self._set_up = False
        super().__init__(directory, port, self._prepare)

    @property
    def url(self) -> str:
        return self._external or f"http://{self.host}:{self.port}"

    def _prepare(self, directory: Path, port: int) -> ServerProcess:
        if self._external:
            return ServerProcess(["influxd"], port=port, directory=directory)
        # Its own HOME and none of its variables: it reads settings from both, and from a
        # config file of its working directory, which is its own folder too.
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith("INFLUX")
        } | {"HOME": str(directory)}
        command = [
            influxd_path(),
            f"--bolt-path={directory / 'influxd.bolt'}",
            f"--engine-path={directory / 'engine'}",
            f"--sqlite-path={directory / 'influxd.sqlite'}",
            f"--http-bind-address={self.host}:{port}",
            "--reporting-disabled",
            "--log-level=warn",
        ]
        # SIGTERM is not handled by it.
        return ServerProcess(
            command,
            port=port,
            directory=directory,
            stop_signal=signal.SIGINT,
            environment=environment,
        )

    def start(self) -> None:
        """Starts it; the first time it is given its organisation, bucket and token."""
        if self._external:
            self._bucket_id = self._create_bucket()
            return
        self._process.start()
        self._wait_healthy()
        if not self._set_up:
            self._set_up = True
            self._onboard()

    def stop(self) -> None:
        """SIGINT, and returns when it has ended."""
        self._only_own()
        super().stop()

    def kill(self) -> None:
        """SIGKILL."""
        self._only_own()
        super().kill()

    def pause(self) -> None:
        """Freezes it: writes hang until they time out."""
        self._only_own()
        super().pause()

    @property
    def running(self) -> bool:
        return bool(self._external) or super().running

    def write(
        self, lines: str, precision: str = "ns", bucket: str | None = None
    ) -> httpx2.Response:
        """Posts line protocol to its bucket, or to `bucket`; the answer is for the caller to
        judge."""
        return httpx2.post(
            f"{self.url}/api/v2/write",
            params={"org": self.org, "bucket": bucket or self.bucket, "precision": precision},
            headers=self._headers(),
            content=lines.encode(),
            timeout=90.0,
        )

    def query(self, flux: str) -> str:
        """The annotation-free CSV that a Flux query answers; raises where it is refused."""
        answer = httpx2.post(
            f"{self.url}/api/v2/query",
            params={"org": self.org},
            headers=self._headers() | {"Content-Type": "application/vnd.flux"},
            content=flux.encode(),
            timeout=120.0,
        )
        answer.raise_for_status()
        return answer.text

    def close(self) -> None:
        """Ends it, or removes the bucket made on a server that is not ours."""
        if self._external and self._bucket_id:
            httpx2.delete(
                f"{self.url}/api/v2/buckets/{self._bucket_id}", headers=self._headers(), timeout=30
            )
            self._bucket_id = ""
        super().close()

    @contextmanager
    def bucket_of_its_own(self) -> Iterator[Self]:
        """This server with a new bucket, so that several tests can follow one another on it: what
        they make in it (also its tasks, and buckets named after it) is gone afterwards."""
        before, self.bucket = self.bucket, f"twin-{secrets.token_hex(6)}"
        self._create_bucket()
        try:
            yield self
        finally:
            if not self.running:
                self.start()
            self._remove("tasks")
            self._remove("buckets")
            self.bucket = before

    def _remove(self, kind: str) -> None:
        """All whose names begin with the bucket's."""
        address, limit = f"{self.url}/api/v2/{kind}", {"limit": 100, "org": self.org}
        found = httpx2.get(address, params=limit, headers=self._headers(), timeout=90.0)
        for each in found.raise_for_status().json()[kind]:
            if each["name"].startswith(self.bucket):
                httpx2.delete(f"{address}/{each['id']}", headers=self._headers(), timeout=90.0)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Token {self.token}"}

    def _only_own(self) -> None:
        if self._external:
            pytest.skip("the InfluxDB of TWIN_TEST_INFLUX_URL is not ours to stop")

    def _wait_healthy(self, timeout: float = 90.0) -> None:
        deadline = time.monotonic() + timeout
        while True:
            try:
                if httpx2.get(f"{self.url}/health", timeout=10.0).status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            if time.monotonic() > deadline:
                raise ServerFailed("influxd", f"was not healthy within {timeout} s", self.log())
            time.sleep(0.02)

    def _onboard(self) -> None:
        state = httpx2.get(f"{self.url}/api/v2/setup", timeout=60.0).json()
        if not state["allowed"]:
            return  # a folder that an earlier server set up
        httpx2.post(
            f"{self.url}/api/v2/setup",
            json={
                "username": "twin",
                "password": "twin-test-password",
                "org": self.org,
                "bucket": self.bucket,
                "token": self.token,
                "retentionPeriodSeconds": 0,
            },
            timeout=90.0,
        ).raise_for_status()

    def _create_bucket(self) -> str:
        found = httpx2.get(
            f"{self.url}/api/v2/orgs",
            params={"org": self.org},
            headers=self._headers(),
            timeout=90.0,
        )
        found.raise_for_status()
        made = httpx2.post(
            f"{self.url}/api/v2/buckets",
            json={"orgID": found.json()["orgs"][0]["id"], "name": self.bucket},
            headers=self._headers(),
            timeout=90.0,
        )
        made.raise_for_status()
        return str(made.json()["id"])
