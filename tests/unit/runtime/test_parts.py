"""What one process may hold beside another on the same folder."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from ingest.journal.protocol import AlreadyOwned
from ingest.trace import TracingMissing
from twin.config import Config
from twin.runtime.clock import Clock
from twin.runtime.parts import Parts, make_parts


def ingest(folder: Path, client_id: str, opened: ExitStack) -> Parts:
    config = Config.model_validate({"data_dir": folder, "mqtt": {"client_id": client_id}})
    return make_parts(config, frozenset({"ingest"}), Clock(), 1.0, opened)


def test_two_ingest_processes_under_one_client_id_are_refused(tmp_path: Path) -> None:
    with ExitStack() as opened:
        assert ingest(tmp_path, "ward/1", opened).ingest is not None
        with pytest.raises(AlreadyOwned, match="ward/1"), ExitStack() as second:
            ingest(tmp_path, "ward/1", second)
    with ExitStack() as later:
        assert ingest(tmp_path, "ward/1", later).ingest is not None


def test_each_under_a_client_id_of_its_own_they_share_a_folder(tmp_path: Path) -> None:
    with ExitStack() as opened:
        for client_id in ("a", "b"):
            assert ingest(tmp_path, client_id, opened).ingest is not None


def test_tracing_without_opentelemetry_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ingest.trace_otel", None)
    tracing = {"endpoint": "http://127.0.0.1:4318"}
    config = Config.model_validate({"data_dir": tmp_path, "tracing": tracing})
    with pytest.raises(TracingMissing, match=r"wearable-twin\[otel\]"), ExitStack() as opened:
        make_parts(config, frozenset({"worker"}), Clock(), 1.0, opened)
