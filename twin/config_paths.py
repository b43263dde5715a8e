"""Where everything lies in the data folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from platformdirs import user_data_path


def default_data_dir(name: Literal["run", "demo"]) -> Path:
    """Where `twin run` or `twin demo` keep what they know, unless they are told otherwise."""
    return user_data_path("wearable-twin", appauthor=False) / name


@dataclass(frozen=True, slots=True)
class Paths:
    """Where everything lies: journal, snapshots and tail are folders, the others files.

    signals: what model files declared here.
    care: the live feed's saved fold. tail: what `twin devices tail` shows. tracing: what names this
    installation's traces.
    """

    journal: Path
    snapshots: Path
    registry: Path
    quarantine: Path
    store: Path
    influx_progress: Path
    influx_record: Path
    care: Path
    tail: Path
    notify: Path
    outward: Path
    signals: Path
    tracing: Path

    @classmethod
    def under(cls, folder: Path) -> Paths:
        """Those of one data folder."""
        return cls(
            journal=folder / "journal",
            snapshots=folder / "snapshots",
            registry=folder / "registry.db",
            quarantine=folder / "quarantine.db",
            store=folder / "store.db",
            influx_progress=folder / "influx-progress.db",
            influx_record=folder / "influx-record.db",
            care=folder / "care" / "latest.bin",
            tail=folder / "ingest",
            notify=folder / "care" / "notify.db",
            outward=folder / "care" / "outward.db",
            signals=folder / "signals.json",
            tracing=folder / "tracing.key",
        )
