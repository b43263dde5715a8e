"""Declared topics: templates, what they stand for, and devices that only the payload names."""

from __future__ import annotations

import json

import pytest

from ingest.judge import read
from ingest.payload.decoded import Reason
from ingest.routes import Routes, Template, filter_of, pattern_of
from ingest.settings import DeviceSettings, IngestSettings
from ingest.topic import Kind
from twin.config_mapping import MappingTable

NOW = 1_795_608_000_000_000_000
HUB = MappingTable.model_validate(
    {
        "name": "hub",
        "topic": "hubs/{gateway}/out",
        "time": {"path": "t", "unit": "s"},
        "fields": [{"signal": "heart_rate", "path": "hr"}],
        "device_path": "id",
    }
)
ROUTES = Routes(
    [
        Template("ward/{device}/vitals", "senml"),
        Template("+/site/{gateway}/band-{device}", "native"),
    ],
    [HUB.rule()],
)


@pytest.mark.parametrize(
    ("topic", "device", "gateway", "form", "part"),
    [
        ("ward/watch-7/vitals", "watch-7", None, "senml", ""),
        ("x/site/gw/band-7", "gw/7", "gw", "native", ""),
        ("hubs/gw/out", "", "gw", "mapped", "hub"),
        ("twin/v1/watch-7/fhir", "watch-7", None, "fhir", ""),
        ("spBv1.0/G/DDATA/N/D", "G/N/D", None, "sparkplug", "DATA"),
    ],
)
def test_a_topic_says_device_and_format(
    topic: str, device: str, gateway: str | None, form: str, part: str
) -> None:
    assert ROUTES.address(topic) == (device, gateway, Kind.TELEMETRY, form, part)


@pytest.mark.parametrize(
    "topic",
    ["ward/a b/vitals", "ward/a/b/vitals", "ward//vitals", "ward/é/vitals", "hubs/x", "x" * 600],
)
def test_a_topic_that_fits_no_template_is_unknown(topic: str) -> None:
    assert ROUTES.address(topic) is None


def test_templates_are_subscribed_to_as_filters() -> None:
    assert ROUTES.filters == ("ward/+/vitals", "+/site/+/+", "hubs/+/out")
    assert filter_of("a/x-{device}") == "a/+"
    assert Routes().filters == ()


@pytest.mark.parametrize(
    "template",
    ["", "ward/vitals", "twin/v1/{device}/x", "spBv1.0/{device}", "$SYS/{device}", "a/{device}/#",
     "a/{device}/{device}", "a/{name}", "a/b+/{device}", "a/{device"],
)  # fmt: skip
def test_what_is_no_template_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="a topic with"):
        pattern_of(template)


def hub(**fields: object) -> bytes:
    return json.dumps({"t": NOW // 10**9, "hr": 72} | fields).encode()


def test_a_declared_gateway_names_its_device_in_the_payload() -> None:
    declared = IngestSettings(devices=DeviceSettings(gateways=frozenset({"gw"})), routes=ROUTES)
    reading = read("hubs/gw/out", hub(id="ring-1"), NOW, declared)
    assert (reading.device, len(reading.measured), reading.rejections) == ("gw/ring-1", 1, [])

    unnamed = [hub(), hub(id="a/b"), hub(id=""), hub(id=["x"])]
    for payload in unnamed:
        reading = read("hubs/gw/out", payload, NOW, declared)
        assert (reading.device, reading.measured) == ("", [])
        assert [r.reason for r in reading.rejections] == [Reason.DEVICE_UNNAMED]

    other = read("hubs/gw2/out", hub(id="ring-1"), NOW, declared)
    assert [r.reason for r in other.rejections] == [Reason.GATEWAY_UNKNOWN]
