"""The HTTP interface under /api/v1, and the addresses that operators' tools ask."""
