"""Kinds of value in the configuration, and the checks that a type alone does not make."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from ingest.topic import NAME

_DEVICE = re.compile(NAME)


def refusal(expected: str, key: str = "", got: str = "") -> PydanticCustomError:
    """What a check raises; key: within the table that is checked."""
    context = {"expected": expected, "key": key, "got": got}
    return PydanticCustomError("refused", "expected {expected}", context)


def check_pair(certificate: Path | None, key: Path | None) -> None:
    """Refuse one without the other."""
    if certificate is not None and key is None:
        raise refusal("the key of the certificate", "key", "none")
    if key is not None and certificate is None:
        raise refusal("the certificate of the key", "certificate", "none")


def is_loopback(host: str) -> bool:
    """Whether this host means this machine alone."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _placed(path: Path, validation: ValidationInfo) -> Path:
    if "\0" in str(path):
        raise refusal("the name of a file or folder")
    folder = (validation.context or {}).get("folder", Path())
    return Path(folder, path.expanduser())


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise refusal("the name of a time zone, like UTC or Europe/Paris") from None
    return name


def _filter(topic: str) -> str:
    levels = topic.split("/")
    wild = any(("#" in each or "+" in each) and len(each) > 1 for each in levels)
    if not topic or wild or "#" in levels[:-1] or "\0" in topic:
        raise refusal("an MQTT topic filter, like twin/v1/#")
    if levels[0] == "$share" and levels[2:3] in (["spBv1.0"], ["#"]):
        raise refusal("Sparkplug's topics on a subscription of their own, like spBv1.0/#")
    return topic


def _prefix(topic: str) -> str:
    if not re.fullmatch(r"[^/+#$\0][^+#\0]*[^/+#\0]", topic) or "//" in topic:
        raise refusal("the beginning of a topic, without + # and a slash at its ends")
    return topic


def _share(name: str) -> str:
    if not name or set(name) & set("/+#\0"):
        raise refusal("a name without / + #, like ingest")
    return name


def _gateway(name: str) -> str:
    if not _DEVICE.fullmatch(name):
        raise refusal("a device id: 1–64 of A–Z a–z 0–9 . _ -")
    return name


def _url(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", text):
        raise refusal("an http or https address, like http://127.0.0.1:8086")
    return text.rstrip("/")


def _header(text: str) -> str:
    """What goes into a header of HTTP: whoever sends it raises at others, and shows them."""
    if not re.fullmatch(r"[!-~]([ -~]*[!-~])?", text):
        raise refusal("a text of one line of ASCII characters")
    return text


def _hour(text: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d|24:00", text):
        raise refusal("a time of day, like 08:00")
    return text


#: A relative one is relative to the folder of the file that names it.
FileName = Annotated[Path, Field(strict=False), AfterValidator(_placed)]
Name = Annotated[str, Field(min_length=1)]
Port = Annotated[int, Field(ge=1, le=65_535)]
Zone = Annotated[str, AfterValidator(_zone)]
TopicFilter = Annotated[str, AfterValidator(_filter)]
TopicPrefix = Annotated[str, AfterValidator(_prefix)]
ShareName = Annotated[str, AfterValidator(_share)]
DeviceName = Annotated[str, AfterValidator(_gateway)]
Url = Annotated[str, AfterValidator(_url)]
HeaderText = Annotated[str, AfterValidator(_header)]
HourMinute = Annotated[str, AfterValidator(_hour)]
