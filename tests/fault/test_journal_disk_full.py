"""A really full disk. Loss budget: 0. What was acknowledged stays; commit and trim still work."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.fault

PROGRAM = """
import sys
from pathlib import Path
from ingest.journal.protocol import JournalFull, Progress
from ingest.journal.sqlite import SqliteJournal
from tests.support.journals import Told, kept

def full(act):
    try:
        act()
    except JournalFull:
        return True
    return False

folder = Path(sys.argv[1])
journal = SqliteJournal(folder / "journal", reserve_bytes=8 << 20)
worker = journal.join(Told())
worker.commit({p: Progress(1, [b"out"]) for p in range(16)})
acknowledged = 0
while not full(lambda: journal.append("observations", [(0, bytes(300_000))])):
    acknowledged += 1
(folder / "other").write_bytes(b"")
try:
    with (folder / "other").open("wb", buffering=0) as file:
        while file.write(bytes(4096)) == 4096:
            pass
except OSError:
    pass
assert full(lambda: journal.append("observations", [(0, bytes(300_000))]))
assert len(kept(journal)) == acknowledged > 20
worker.commit({p: Progress(2, [bytes(100_000)]) for p in range(16)})
assert set(journal.committed().values()) == {2}
assert not (folder / "journal" / "reserve").exists()
assert full(lambda: journal.append("observations", [(0, b"small")]))
assert journal.trim("observations", acknowledged - 1) == acknowledged - 1
journal.append("observations", [(0, b"again")])
assert [len(entry.record) for entry in kept(journal)] == [300_000, 5]
worker.close()
journal.close()
journal = SqliteJournal(folder / "journal", reserve_bytes=8 << 20)
assert [len(entry.record) for entry in kept(journal)] == [300_000, 5]
assert journal.damage == []
print("whole", acknowledged)
"""


def on_a_small_disk(
    folder: Path, size: str, *command: str | Path
) -> subprocess.CompletedProcess[str]:
    """A command in a namespace of its own where a disk of this size is mounted on the folder."""
    unshare = shutil.which("unshare")
    alone = [unshare or "unshare", "-rm", "sh", "-c"]
    trial = [*alone, 'mount -t tmpfs none "$1"', "sh", str(folder)]
    if unshare is None or subprocess.run(trial, capture_output=True, check=False).returncode:
        pytest.skip("no small disk: this machine allows no mount in a user namespace (unshare -rm)")
    script = f'mount -t tmpfs -o size={size} none "$1" && shift && exec "$@"'
    return subprocess.run(
        [*alone, script, "sh", str(folder), sys.executable, *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )


def test_a_full_disk_loses_nothing_and_commit_and_trim_go_on(tmp_path: Path) -> None:
    run = on_a_small_disk(tmp_path, "48m", "-c", PROGRAM, tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("whole")


@pytest.mark.parametrize("size", ["64k", "256k"])  # the store, or the journal, finds no room
def test_a_start_on_a_full_disk_names_folder_and_reason(tmp_path: Path, size: str) -> None:
    disk, config = tmp_path / "disk", tmp_path / "config.toml"
    disk.mkdir()
    config.write_text(f'data_dir = "{disk / "data"}"\n[care]\nport = 0\n')
    run = on_a_small_disk(disk, size, "-m", "twin", "run", "-c", config)
    assert run.returncode == 1, run.stderr
    assert f"{disk / 'data'}: no space left on the disk" in run.stderr
    assert "Traceback" not in run.stderr
