"""The manifest of an installation's purpose, in the configuration."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from twin.config_table import STRICT
from twin.config_values import HourMinute, Name

Day = Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
WEEK: list[Day] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


class PurposeTable(BaseModel):
    """What this installation is for, as pages say it. It is not a medical device in any mode."""

    model_config = STRICT

    mode: Literal["wellness", "remote_monitoring", "research"] = "research"
    """`wellness`: no clinical alarms, and every page says that it calls nobody.
    `remote_monitoring`: alarms for people who watch in the hours below. `research`: alarms too, and
    every page says that they are not for care."""
    responsible: str = ""
    """Who answers for the alarms, as pages show it."""
    days: Annotated[list[Day], Field(min_length=1)] = WEEK
    """Days on which somebody watches."""
    begins: HourMinute = "00:00"
    """When they begin to watch, in `care.zone`."""
    ends: HourMinute = "24:00"
    """When they end; before `begins` where they watch over midnight. Outside these hours pages say
    that nobody does."""
    emergency: Name = "15 / 112"
    """Whom to call instead."""
