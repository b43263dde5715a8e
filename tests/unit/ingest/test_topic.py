"""The grammar of topics: whose a message is, by the address alone."""

import pytest

from ingest.instant import parse_instant
from ingest.judge import read
from ingest.payload.decoded import Reason
from ingest.settings import DeviceSettings, IngestSettings
from ingest.topic import Kind, is_device_id, parse_topic, telemetry_topic

NOW = parse_instant("2026-11-25T12:00:00Z")
MESSAGE = b'{"time": "2026-11-25T12:00:00Z", "values": {"heart_rate": 72}}'
SETTINGS = IngestSettings(devices=DeviceSettings(gateways=frozenset({"gw1"})))


@pytest.mark.parametrize(
    ("topic", "device", "gateway", "kind"),
    [
        ("twin/v1/watch-7/telemetry", "watch-7", None, Kind.TELEMETRY),
        ("twin/v1/A.b_c-9/status", "A.b_c-9", None, Kind.STATUS),
        ("twin/v1/gw1/watch-7/telemetry", "gw1/watch-7", "gw1", Kind.TELEMETRY),
        (f"twin/v1/{'x' * 64}/telemetry", "x" * 64, None, Kind.TELEMETRY),
        ("twin/v1/watch-7/refused", "watch-7", None, Kind.REFUSED),
    ],
)
def test_a_topic_of_the_grammar_names_its_device(
    topic: str, device: str, gateway: str | None, kind: Kind
) -> None:
    assert parse_topic(topic) == (device, gateway, kind, "native", "")


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "twin/v1/telemetry",
        "twin/v1//telemetry",
        "twin/v1/watch 7/telemetry",
        "twin/v1/watch-7/telemetry/",
        "twin/v1/watch-7/telemetry\n",
        "twin/v1/wätch/telemetry",
        "twin/v1/٣/telemetry",
        "twin/v1/a/b/c/telemetry",
        "twin/v2/watch-7/telemetry",
        "TWIN/v1/watch-7/telemetry",
        f"twin/v1/{'x' * 65}/telemetry",
        "twin/v1/watch-7/other",
    ],
)
def test_any_other_topic_is_unknown(topic: str) -> None:
    assert parse_topic(topic) is None
    reading = read(topic, MESSAGE, NOW, SETTINGS)
    assert [r.reason for r in reading.rejections] == [Reason.TOPIC_UNKNOWN]
    assert reading.device == ""


@pytest.mark.parametrize("name", [".", ".."])
def test_a_step_of_an_address_is_no_name_and_names_with_dots_are(name: str) -> None:
    for topic in (
        f"twin/v1/{name}/telemetry",
        f"twin/v1/gw1/{name}/telemetry",
        f"twin/v1/{name}/watch-7/telemetry",
        f"spBv1.0/{name}/NDATA/node",
        f"spBv1.0/ward/DDATA/node/{name}",
    ):
        assert parse_topic(topic) is None
        address = parse_topic(topic.replace(f"/{name}", f"/{name}x"))
        assert address is not None
        assert f"{name}x" in address.device
    assert not is_device_id(name)
    assert is_device_id("...")
    assert is_device_id("a..b/..c")


def reasons(topic: str) -> list[Reason]:
    return [each.reason for each in read(topic, MESSAGE, NOW, SETTINGS).rejections]


def test_only_a_declared_gateway_speaks_for_others() -> None:
    assert reasons("twin/v1/gw1/watch-7/telemetry") == []
    assert reasons("twin/v1/gw2/watch-7/telemetry") == [Reason.GATEWAY_UNKNOWN]


def test_telemetry_topic_is_the_inverse_of_parsing() -> None:
    address = parse_topic(telemetry_topic("watch-7"))
    assert address is not None
    assert address.device == "watch-7"
