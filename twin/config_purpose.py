"""The manifest of an installation's purpose and how it calls people, in the configuration."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from twin.config_table import STRICT
from twin.config_values import HourMinute, Name, Port, Url

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


class MailTable(BaseModel):
    """E-mail to those who must come. It says that there is an alarm, and never whom it is about."""

    model_config = STRICT

    host: Name = "127.0.0.1"
    """Name or address of the mail server."""
    port: Port = 587
    """Its port."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection is secured; `tls` from the first byte, usually port 465."""
    sender: Name = "twin@localhost"
    """Address it comes from."""
    username: Annotated[str | None, Field(examples=["twin"])] = None
    """Who we are to the mail server."""
    password: Annotated[str | None, Field(examples=["secret"], repr=False)] = None
    """Our password; better in the environment variable TWIN_MAIL_PASSWORD, which overrides it."""
    nurse: list[Name] = []
    """Addresses that are called when an alarm is raised."""
    team: list[Name] = []
    """Addresses that are called when nobody took it in time: the whole team."""
    lead: list[Name] = []
    """Addresses of the next step: the shift lead."""
    physician: list[Name] = []
    """Addresses of the last step: a physician."""


class NotifyTable(BaseModel):
    """Calls to people who do not look at a page, without health data: open and sign in."""

    model_config = STRICT

    priorities: list[Literal["high", "medium", "low"]] = ["high", "medium"]
    """Alarms of these priorities call."""
    address: Annotated[Url | None, Field(examples=["https://ward.example"])] = None
    """Address at which people open the page, for the link in a call."""
    webhooks: list[Url] = []
    """Each call is sent as JSON to each of these addresses, again until it is taken."""
    secret: Annotated[str | None, Field(min_length=16, examples=["16 or more characters"])] = None
    """Signs what is sent to webhooks (HMAC-SHA256 in the header X-Twin-Signature); better in the
    environment variable TWIN_NOTIFY_SECRET, which overrides it."""
    mail: MailTable | None = None

    @property
    def calls(self) -> bool:
        """Is there anybody to call?"""
        return bool(self.webhooks) or self.mail is not None
