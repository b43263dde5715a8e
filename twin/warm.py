"""Compile all kernels: `python -m twin.warm` does it when the program is installed.

Each part of a process loads its own from the cache, or compiles them, before it begins.
"""

from __future__ import annotations

from ingest import plain_group
from twin import warm_worker
from twin.care import warm as warm_care
from twin.store import warm as warm_store
from twin.text import line_kernel, series_kernel


def warm_up() -> None:
    """Takes seconds, or a minute where it must compile."""
    plain_group.warm_up()
    line_kernel.warm_up()
    series_kernel.warm_up()
    warm_worker.warm_up()
    warm_store.warm_up()
    warm_care.warm_up()


if __name__ == "__main__":
    warm_up()
