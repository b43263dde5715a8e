"""What every table of the configuration is: strict, frozen, its keys described under them."""

from __future__ import annotations

from pydantic import ConfigDict

#: A key that a table does not declare is refused.
STRICT = ConfigDict(
    extra="forbid",
    strict=True,
    frozen=True,
    allow_inf_nan=False,
    use_attribute_docstrings=True,
)
