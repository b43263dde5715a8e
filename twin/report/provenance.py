"""What a report was made of: hashes of files and code, versions of what computes."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import ingest
import twin

_COMPUTING = ("numpy", "numba", "filterpy", "pyarrow")


@dataclass(frozen=True, slots=True)
class Source:
    """A file that went in: its name without the folder, role, size and SHA-256."""

    name: str
    role: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Code:
    """What computed. commit is "" outside of a checkout; changed: differs from that commit."""

    version: str
    commit: str
    changed: bool
    source_sha256: str
    python: str
    machine: str
    packages: Sequence[tuple[str, str]]


def source_of(path: Path, role: str) -> Source:
    """Hash of a file. Raises OSError."""
    digest = sha256()
    size = 0
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
            size += len(part)
    return Source(path.name, role, size, digest.hexdigest())


def code() -> Code:
    """The code that runs: distribution, commit where there is one, and a hash of every source."""
    package = Path(str(twin.__file__)).parent
    commit = _git(package, "rev-parse", "--short=12", "HEAD")
    changed = bool(commit) and bool(_git(package, "status", "--porcelain", "--", ".", "../ingest"))
    return Code(
        version("wearable-twin"),
        commit,
        changed,
        _sources(package, Path(str(ingest.__file__)).parent),
        platform.python_version(),
        platform.machine(),
        [(name, version(name)) for name in _COMPUTING],
    )


def _sources(*packages: Path) -> str:
    digest = sha256()
    for package in packages:
        for file in sorted(package.rglob("*")):
            if file.suffix in (".py", ".toml"):
                digest.update(f"{package.name}/{file.relative_to(package).as_posix()}\0".encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()


def _git(folder: Path, *arguments: str) -> str:
    """What git says of a checkout whose top is the folder's parent; "" if there is none."""
    if not (folder.parent / ".git").exists():
        return ""
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
