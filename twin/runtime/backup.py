"""A copy of a data folder that fits together, also while the service runs; and the way back.

What follows from other things is copied before them: the stores before the estimates journal, that
before its snapshots, all of it before the observations journal; and the registry (whose outbox is
delivered once by id) and the quarantine (whose replays are duplicates) before the journal they go
to. So whatever a copy says was done is in what was copied later.

A restored folder has lost what came after the backup. Its journals say so: they number on far above
every position that may have been given since, and the gap is damage, hence an alarm.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import apsw

from ingest.instant import format_instant
from ingest.journal import tables
from ingest.journal.recovery import sync
from ingest.journal.reserve import Reserve
from ingest.journal.sqlite import TOPICS
from ingest.journal.topic_file import TopicFile

FORMAT = 1
MANIFEST = "backup.json"
#: Folder in a data folder that is being restored: what it holds is not in its place yet.
UNFINISHED = "restoring.draft"
#: Positions that are skipped at a restore: more than a journal gives in the life of a backup.
SKIPPED = 1 << 32
_ATTEMPTS = 5
#: Made anew by who needs it, or another program's.
_LEFT_OUT = frozenset({"broker", "ingest"})


class BackupUnusable(Exception):
    """The backup is none, or not complete: `path` and `why`."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path, self.why = path, why


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds. files: name → (bytes, SHA-256); at: ISO-8601, when it was begun."""

    format: int
    version: str
    at: str
    partitions: int
    positions: Mapping[str, int]
    files: Mapping[str, tuple[int, str]]


def back_up(folder: Path, out: Path, version: str, now: int) -> Manifest:
    """Copy a data folder to `out`, which must not exist; it appears when it is complete.

    Raises FileExistsError, BackupUnusable for a folder without a journal, OSError, apsw.Error.
    """
    if os.path.lexists(out):  # a link to nothing, too: the copy could not take its name
        raise FileExistsError(17, "exists already", str(out))
    if not (folder / "journal" / "observations.db").exists():
        raise BackupUnusable(folder, "there is no journal here")
    draft = out.with_name(out.name + ".draft")
    with _held(draft):
        try:
            for _ in range(_ATTEMPTS):
                _copy_all(folder, draft)
                if _fits_together(draft):
                    break
            else:
                raise BackupUnusable(
                    folder, "its snapshots changed faster than they could be copied"
                )
            manifest = _manifest(draft, version, now)
            written = draft / MANIFEST
            written.write_text(json.dumps(asdict(manifest), indent=1), "utf-8")
            for each in (*_files(draft), draft):
                sync(each)
            os.rename(draft, out)
        except BaseException:  # often a full disk, that the service itself may live on
            shutil.rmtree(draft, ignore_errors=True)
            raise
    sync(out.parent)
    return manifest


def restore(backup: Path, folder: Path, now: Callable[[], int]) -> Manifest:
    """Make a data folder of a backup, whose files are examined first; `folder` must be empty.

    All is written to a draft in it (beside it there may be no right to write, or another disk), and
    moved to its place when it is complete and durable, the journal last. A draft that is left over,
    of a process that was killed, is made anew; what else was left is refused as not empty.
    Raises BackupUnusable, FileExistsError, OSError.
    """
    manifest = examine(backup)
    if os.path.lexists(folder) and not folder.is_dir():
        what = "is a file" if folder.exists() else "is a link to nothing"
        raise FileExistsError(17, f"{what}, expected a folder", str(folder))
    if Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(backup)):
        raise FileExistsError(17, f"lies in the backup {backup}, which stays as it is", str(folder))
    draft = folder / UNFINISHED
    _expect_empty(folder)
    with _held(draft):
        try:
            _expect_empty(folder)  # still: another restore may have ended meanwhile
            for name in manifest.files:
                target = draft / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(backup / name, target)
                target.chmod(0o600)
            _say_what_is_lost(draft, manifest, now)
            for each in (*draft.rglob("*"), draft, folder):
                sync(each)
        except BaseException:  # a full disk, often: no rest of it stays there
            shutil.rmtree(draft, ignore_errors=True)
            raise
        for each in sorted(draft.iterdir(), key=lambda one: one.name == "journal"):
            os.rename(each, folder / each.name)
        sync(folder)
        draft.rmdir()
    sync(folder)
    return manifest


def _expect_empty(folder: Path) -> None:
    if folder.exists() and any(each.name != UNFINISHED for each in folder.iterdir()):
        raise FileExistsError(17, "is not empty; move it away first", str(folder))


@contextmanager
def _held(draft: Path) -> Iterator[None]:
    """An empty folder that this process alone fills; what a killed one left in it is removed.

    Of two at once the second would empty what the first has half filled, and the first would call
    the rest complete. Where folders cannot be locked (shares over a network) nobody is kept out.
    Raises FileExistsError for another process's, OSError.
    """
    if os.path.lexists(draft) and not draft.is_dir():
        raise FileExistsError(17, "is in the way; move it away first", str(draft))
    draft.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = os.open(draft, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FileExistsError(17, "another process writes to it now", str(draft)) from None
        except OSError:
            pass
        for left in draft.iterdir():
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
        yield
    finally:
        os.close(folder)


def is_half_restored(folder: Path) -> bool:
    """Whether a restore was cut off here: a service would take a part of a folder for the whole."""
    draft = folder / UNFINISHED
    return draft.is_dir() and any(draft.iterdir())


def examine(backup: Path) -> Manifest:
    """The manifest of a backup all of whose files are there as they were written.

    Raises BackupUnusable.
    """
    try:
        read = json.loads((backup / MANIFEST).read_text("utf-8"))
        files = {name: (int(n), str(digest)) for name, (n, digest) in read.pop("files").items()}
        manifest = Manifest(files=files, **read)
    except FileNotFoundError:
        raise BackupUnusable(backup, f"has no {MANIFEST}: no backup, or not complete") from None
    except OSError as error:
        raise BackupUnusable(backup, f"cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise BackupUnusable(backup / MANIFEST, f"cannot be read: {error}") from error
    if manifest.format != FORMAT:
        raise BackupUnusable(backup, f"format {manifest.format}, this version reads {FORMAT}")
    if not _whole(manifest):
        raise BackupUnusable(backup / MANIFEST, "does not say what a backup's says")
    for name, (_, digest) in files.items():
        path = backup / name
        if ".." in Path(name).parts or Path(name).is_absolute():
            raise BackupUnusable(backup, f"names a file outside: {name}")
        if not path.is_file():
            raise BackupUnusable(path, "is missing")
        if _digest(path) != digest:
            raise BackupUnusable(path, "is not as it was written")
    return manifest


def _whole(manifest: Manifest) -> bool:
    """Whether it names both journals, and says how far they had come."""
    numbers: list[object] = [manifest.partitions]
    if isinstance(manifest.positions, dict):
        numbers += [manifest.positions.get(topic) for topic in TOPICS]
    said = len(numbers) > 1 and all(type(n) is int and n >= 0 for n in numbers)
    return said and all(f"journal/{topic}.db" in manifest.files for topic in TOPICS)


def _copy_all(folder: Path, draft: Path) -> None:
    for name in _in_order(folder):
        source, target = folder / name, draft / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            if source.suffix == ".db":
                _copy_database(source, target)
            else:
                shutil.copyfile(source, target)
        except FileNotFoundError:
            continue  # a snapshot that a newer one has replaced; whether it is needed is seen below
        target.chmod(0o600)


def _in_order(folder: Path) -> Iterator[Path]:
    """Names of the files to copy, what follows from others before them."""
    journal, snapshots = folder / "journal", folder / "snapshots"
    others = [
        path
        for path in _files(folder)
        if not {journal, snapshots} & {*path.parents}
        and path.relative_to(folder).parts[0] not in _LEFT_OUT
        and (path.suffix in (".db", ".bin") or path.name in ("clock", "signals.json"))
    ]
    readers = [path for path in _files(journal / "readers") if path.suffix != ".draft"]
    for path in (*readers, *sorted(others)):
        yield path.relative_to(folder)
    yield Path("journal/estimates.db")
    for path in _files(snapshots):
        yield path.relative_to(folder)
    yield Path("journal/observations.db")


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _copy_database(source: Path, target: Path) -> None:
    """A copy of one moment, whoever writes meanwhile."""
    with _connected(source) as read, _connected(target) as written:
        with written.backup("main", read, "main") as copying:
            copying.step(-1)
        # One file, no log beside it: what is hashed is all there is.
        written.execute("PRAGMA journal_mode=DELETE").fetchall()


class _connected:  # noqa: N801, a context manager
    def __init__(self, path: Path) -> None:
        self._db = tables.connect(path)
        self._db.set_busy_timeout(10_000)

    def __enter__(self) -> apsw.Connection:
        return self._db

    def __exit__(self, *_: object) -> None:
        self._db.close()


def _fits_together(draft: Path) -> bool:
    """Whether every partition has a snapshot here from which the journal here goes on."""
    with (
        _connected(draft / "journal/estimates.db") as outputs,
        _connected(draft / "journal/observations.db") as inputs,
    ):
        oldest = tables.oldest_position(inputs)
        for partition, committed in tables.committed(outputs).items():
            kept = tables.snapshots(outputs, partition)
            here = [each for each in kept if (draft / "snapshots" / each.name).is_file()]
            begins = max((each.position for each in here), default=0)
            if committed and begins + 1 < oldest:
                return False
            if kept and not here:
                return False
    return True


def _manifest(draft: Path, version: str, now: int) -> Manifest:
    positions: dict[str, int] = {}
    for topic in TOPICS:
        with _connected(draft / f"journal/{topic}.db") as db:
            positions[topic] = tables.last_position(db)
            partitions = tables.setting(db, "partitions") or 0
    files = {
        str(path.relative_to(draft)): (path.stat().st_size, _digest(path))
        for path in _files(draft)
        if not path.name.endswith(("-wal", "-shm", "-journal"))
    }
    return Manifest(FORMAT, version, format_instant(now), partitions, positions, files)


def _say_what_is_lost(folder: Path, manifest: Manifest, now: Callable[[], int]) -> None:
    """Until this range is trimmed, the journal is `damaged`: what came after the backup is lost."""
    journal = folder / "journal"
    why = f"restored from the backup of {manifest.at}: what came after it is not here"
    for topic in TOPICS:
        path = journal / f"{topic}.db"
        file = TopicFile(path, topic, manifest.partitions, 1 << 62, now, Reserve(journal, 0))
        file.number_on(manifest.positions[topic] + SKIPPED, why)
        file.close()


def _digest(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()
