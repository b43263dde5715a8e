"""Which device a topic is of, and which format it speaks: ours, Sparkplug's, declared ones.

A declared topic is a template: `vendor/{device}/data`, `ward-3/{gateway}/{device}/hr`, with `+` for
a level that does not matter. What a placeholder stands for becomes the device id, as it does in our
own topics.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from ingest.observation import DeviceId
from ingest.payload.mapped import MappingRule
from ingest.topic import NAME, Address, Kind, parse_topic

EXPECTED_TEMPLATE = (
    "a topic with {device} in place of the device's name, and perhaps {gateway} and +, like "
    "vendor/{device}/data; not below twin/ or spBv1.0/"
)
_PART = re.compile(r"\{(device|gateway)\}|(\+)|([^{}+#\0]+)")
_LONGEST = 512


class Template(NamedTuple):
    """A declared topic. form: the format that is spoken there; mapping: its mapping's name."""

    topic: str
    form: str
    mapping: str = ""


class _Compiled(NamedTuple):
    pattern: re.Pattern[str]
    template: Template


class Routes:
    """All topics that are understood. mappings: by name."""

    def __init__(
        self, templates: Sequence[Template] = (), mappings: Sequence[MappingRule] = ()
    ) -> None:
        of_mappings = [Template(rule.topic, "mapped", rule.name) for rule in mappings]
        self.templates = (*templates, *of_mappings)
        self.mappings: Mapping[str, MappingRule] = MappingProxyType(
            {rule.name: rule for rule in mappings}
        )
        self._compiled = [_Compiled(pattern_of(each.topic), each) for each in self.templates]
        self._declared = lru_cache(maxsize=1 << 16)(self._match)

    @property
    def filters(self) -> tuple[str, ...]:
        """Topic filters of the declared topics."""
        return tuple(dict.fromkeys(filter_of(each.topic) for each in self.templates))

    def address(self, topic: str) -> Address | None:
        """The address in a topic, or None if nothing is known of it."""
        found = parse_topic(topic)
        if found is not None or not self._compiled or len(topic) > _LONGEST:
            return found
        return self._declared(topic)

    def _match(self, topic: str) -> Address | None:
        for pattern, template in self._compiled:
            match = pattern.fullmatch(topic)
            if match is not None:
                names = match.groupdict()
                gateway, device = names.get("gateway"), names.get("device", "")
                name = f"{gateway}/{device}" if gateway and device else device
                return Address(
                    DeviceId(name), gateway, Kind.TELEMETRY, template.form, template.mapping
                )
        return None


def pattern_of(template: str, needs_device: bool = False) -> re.Pattern[str]:
    """A template's regular expression. Raises ValueError, saying what was expected."""
    seen: set[str] = set()
    pattern = ""
    for level in template.split("/"):
        at = 0
        while at < len(level):
            part = _PART.match(level, at)
            if part is None or (part[2] and len(level) > 1) or part[1] in seen:
                raise ValueError(EXPECTED_TEMPLATE)
            if part[1]:
                seen.add(part[1])
                pattern += f"(?P<{part[1]}>{NAME})"
            else:
                pattern += "[^/]*" if part[2] else re.escape(part[3])
            at = part.end()
        pattern += "/"
    reserved = template.split("/")[0] in ("twin", "spBv1.0") or template.startswith("$")
    if not template or reserved or not seen or (needs_device and "device" not in seen):
        raise ValueError(EXPECTED_TEMPLATE)
    return re.compile(pattern.removesuffix("/"), re.ASCII)


def filter_of(template: str) -> str:
    """The MQTT topic filter that a template needs."""
    return "/".join("+" if "{" in level else level for level in template.split("/"))


NATIVE = Routes()
