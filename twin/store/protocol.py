"""What the store writer asks of a store, beyond the `Sink` that everybody else sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from twin.anchor import Anchors
from twin.estimate import EstimateBatch, Written
from twin.judgement import Judgements

#: What of the estimates journal goes to the stores.
Storable = EstimateBatch | Anchors | Judgements


class StoreUnavailable(Exception):
    """The store cannot be written to now; nothing is lost by trying again.

    reason: for people, without identities. retry_after: seconds that the store asked for, or None.
    """

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class Store(Protocol):
    """Keeps estimates, and the position in the estimates journal up to which it has them."""

    @property
    def position(self) -> int:
        """Everything up to here is durable in the store: the journal may forget it."""

    def write_all(self, batches: Sequence[Storable], position: int | None) -> Written:
        """Write the batches in order and then remember `position`. Blocks until durable.

        Anchors are for a store that keeps the raw record (`twin.store.strayed`). Rows are counted
        over all estimate batches. Doing it again changes nothing. Raises StoreUnavailable,
        or what the store's machine raises; then `position` stands where it stood.
        """
