"""What every table of the configuration is: strict, frozen, its keys described under them."""

from __future__ import annotations

from pydantic import ConfigDict

#: A key that a table does not declare is refused. What stands under a key is read from the source
#: by who prints it (twin/example_config.py): here it would cost each start a fifth of a second.
STRICT = ConfigDict(
    extra="forbid",
    strict=True,
    frozen=True,
    allow_inf_nan=False,
)
