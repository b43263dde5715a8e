"""The configuration file: what is accepted, and how what is not is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ingest.settings import IngestSettings
from twin.config import Config
from twin.config_file import SECRETS, ConfigError, read_config
from twin.example_config import described, example_config
from twin.toml_lines import key_lines

KEYS = [key for key, *_ in described()]


def refused(tmp_path: Path, content: str, **environment: str) -> list[str]:
    """What is wrong with the content, file name cut to the last part."""
    file = tmp_path / "config.toml"
    file.write_text(content, "utf-8")
    with pytest.raises(ConfigError) as caught:
        read_config(file, environment)
    errors = (caught.value, *caught.value.others)
    return [str(error).replace(f"{tmp_path}/", "") for error in errors]


def accepted(tmp_path: Path, content: str, **environment: str) -> Config:
    file = tmp_path / "config.toml"
    file.write_text(content, "utf-8")
    return read_config(file, environment)


def test_empty_file_is_the_default(tmp_path: Path) -> None:
    assert accepted(tmp_path, "") == Config()


def test_a_byte_order_mark_before_it_is_none_of_its_keys(tmp_path: Path) -> None:
    assert accepted(tmp_path, "\ufeff[mqtt]\r\nport = 1884\r\n").mqtt.port == 1884


def test_defaults_are_those_of_ingest_itself() -> None:
    assert Config().ingest_settings() == IngestSettings()


def test_speed_reaches_ingest() -> None:
    assert Config().ingest_settings(4.0).speed == 4.0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "[mqtt]\nport = 99999\n",
            "config.toml:2: mqtt.port: got 99999, expected a whole number from 1 to 65535",
        ),
        (
            '[mqtt]\nhost = "h"\nport = "1883"\n',
            'config.toml:3: mqtt.port: got "1883", expected a whole number from 1 to 65535',
        ),
        (
            "mqtt.keepalife_s = 1\n",
            "config.toml:1: mqtt.keepalife_s: got a key that does not exist, expected keepalive_s",
        ),
        (
            '[purpose]\nmode = "wellness"\n[notify]\nwebhooks = ["http://127.0.0.1:1/x"]\n',
            "config.toml:4: notify.webhooks: got calls for alarms, expected nobody to call: "
            "purpose.mode is wellness, which has no clinical alarms",
        ),
        (
            "[mqqt]\n",
            "config.toml:1: mqqt: got a key that does not exist, expected mqtt",
        ),
        ("mqtt = 3\n", "config.toml:1: mqtt: got 3, expected a table"),
        (
            "a = " + "[" * 2_000,
            "config.toml:1: got a syntax error (nested too deeply), expected TOML",
        ),
        (
            'data_dir = "a\\u0000b"\n',
            'config.toml:1: data_dir: got "a\0b", expected the name of a file or folder',
        ),
        (
            '[[ingest.mapping]]\nname = "a"\ntopic = "x/{device}"\n'
            'fields = [{ signal = "spo2", path = "s" }]\n',
            "config.toml:1: ingest.mapping[0].time: got nothing, expected a table",
        ),
        (
            "[screen]\nfuture_minutes = -1",
            "config.toml:2: screen.future_minutes: got -1, expected a number of minutes above 0, "
            "at most 1440",
        ),
        (
            "[screen]\nancient_days = inf",
            "config.toml:2: screen.ancient_days: got inf, expected a number of days above 0, "
            "at most 36500",
        ),
        (
            '[devices]\nunknown = "drop"',
            'config.toml:2: devices.unknown: got "drop", expected one of "quarantine", "register"',
        ),
        (
            '[devices]\ngateways = ["a/b"]',
            'config.toml:2: devices.gateways[0]: got "a/b", expected a device id: '
            "1–64 of A–Z a–z 0–9 . _ -",
        ),
        (
            '[mqtt]\nfilters = [\n  "a/#",\n  "a/#/b",\n]',
            'config.toml:4: mqtt.filters[1]: got "a/#/b", expected an MQTT topic filter, '
            "like twin/v1/#",
        ),
        (
            "[mqtt]\nfilters = []",
            "config.toml:2: mqtt.filters: got [], expected a list of one or more, "
            "each of it a text",
        ),
        (
            "[care]\n\nzone = 'Mars'",
            'config.toml:3: care.zone: got "Mars", expected the name of a time zone, '
            "like UTC or Europe/Paris",
        ),
        (
            '[care]\nhost = "0.0.0.0"',
            'config.toml:2: care.host: got "0.0.0.0", expected 127.0.0.1, ::1 or localhost, '
            "or a care.token (or TWIN_CARE_TOKEN)",
        ),
        (
            '[mqtt.tls]\ncertificate = "a.pem"',
            "config.toml:1: mqtt.tls.key: got none, expected the key of the certificate",
        ),
        (
            '[store]\nkinds = ["influx"]',
            "config.toml:1: store.influx: got none, expected the table [store.influx], "
            "as kinds names influx",
        ),
        (
            '[store]\nkinds = ["influx"]\n[store.influx]\norg = "o"',
            "config.toml:3: store.influx.token: got none, expected a token, here or in "
            "TWIN_INFLUX_TOKEN",
        ),
        (
            '[store]\nkinds = ["embedded", "embedded"]',
            "config.toml:2: store.kinds: got embedded, embedded, expected each store once",
        ),
        ("a = \n", "config.toml:1: got a syntax error (Invalid value), expected TOML"),
    ],
)  # fmt: skip
def test_wrong_key_type_or_range_is_refused_with_its_place(
    tmp_path: Path, content: str, said: str
) -> None:
    assert refused(tmp_path, content) == [said]


def test_everything_that_is_wrong_is_said_in_the_order_of_lines(tmp_path: Path) -> None:
    said = refused(tmp_path, "[mqtt]\nport = 0\nkeepalive_s = 0\n[care]\nport = -1\n")

    assert [line.split(": ")[0] for line in said] == [f"config.toml:{n}" for n in (2, 3, 5)]


def test_secret_is_never_shown(tmp_path: Path) -> None:
    (said,) = refused(tmp_path, '[care]\ntoken = "hush"\n')

    assert "hush" not in said
    assert said == (
        "config.toml:2: care.token: got something else (not shown), "
        "expected a text of at least 16 characters"
    )
    assert "hush-hush-hush-hush" not in repr(
        accepted(tmp_path, '[care]\ntoken = "hush-hush-hush-hush"')
    )


def test_environment_overrides_secrets_and_is_blamed_for_them(tmp_path: Path) -> None:
    config = accepted(
        tmp_path,
        '[mqtt]\npassword = "file"\n[store]\nkinds = ["influx"]\n[store.influx]\n',
        TWIN_MQTT_PASSWORD="environment",
        TWIN_INFLUX_TOKEN="token",
        TWIN_CARE_TOKEN="sixteen characters",
    )

    assert config.mqtt.password == "environment"
    assert config.store.influx is not None
    assert config.store.influx.token == "token"
    assert config.care.token == "sixteen characters"
    assert refused(tmp_path, "[care]\n", TWIN_CARE_TOKEN="short") == [
        "config.toml: care.token (from TWIN_CARE_TOKEN): got something else (not shown), "
        "expected a text of at least 16 characters"
    ]


def test_a_secret_of_the_environment_that_is_no_text_is_refused_at_once(tmp_path: Path) -> None:
    """A password in Latin-1, as Python hands it over: sent to the broker it was a traceback."""
    latin = "h\udce9las"
    for variable, key in (
        ("TWIN_MQTT_PASSWORD", "mqtt.password"),
        ("TWIN_CARE_TOKEN", "care.token"),
        ("TWIN_OUTWARD_PASSWORD", "outward.broker.password"),
    ):
        assert refused(tmp_path, "[outward.broker]\n", **{variable: latin}) == [
            f"config.toml: {key} (from {variable}): got something else (not shown), "
            "expected UTF-8 text"
        ]


@pytest.mark.parametrize("token", ["", "two\nlines", "line-end\n", " ", "caf\u00e9"])
def test_a_token_that_no_header_can_carry_is_refused_and_not_shown(
    tmp_path: Path, token: str
) -> None:
    """Whoever sends it raises an error that shows it."""
    content = f'[store]\nkinds = ["influx"]\n[store.influx]\ntoken = {json.dumps(token)}\n'
    assert refused(tmp_path, content) == [
        "config.toml:4: store.influx.token: got something else (not shown), "
        "expected a text of one line of ASCII characters"
    ]


def test_token_of_a_database_that_is_not_configured_configures_none(tmp_path: Path) -> None:
    assert accepted(tmp_path, "", TWIN_INFLUX_TOKEN="token").store.influx is None


def test_relative_names_belong_to_the_folder_of_the_file(tmp_path: Path) -> None:
    config = accepted(tmp_path, 'data_dir = "data"\n[model]\nfile = "m.toml"\n')

    assert config.data_dir == tmp_path / "data"
    assert config.model.file == tmp_path / "m.toml"
    assert config.paths.care == tmp_path / "data" / "care" / "latest.bin"


def test_missing_file_and_wrong_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory"):
        read_config(tmp_path / "none.toml", {})
    (tmp_path / "config.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="byte 0 is none, expected UTF-8"):
        read_config(tmp_path / "config.toml", {})


def test_example_is_accepted_as_the_default(tmp_path: Path) -> None:
    assert accepted(tmp_path, example_config()) == Config()


def test_example_with_every_key_uncommented_is_accepted(tmp_path: Path) -> None:
    uncommented = re.sub(r"(?m)^#(?=[a-z\[])", "", example_config())

    config = accepted(tmp_path, uncommented)

    names = {
        ".".join(part for part in key if isinstance(part, str)) for key in key_lines(uncommented)
    }
    assert set(KEYS) <= names
    told = {"username": "twin", "password": "secret", "shared_group": "ingest"}
    assert config.mqtt == Config().mqtt.model_copy(update=told | {"tls": config.mqtt.tls})


def test_every_key_is_described() -> None:
    assert len(KEYS) == len(set(KEYS)) > 40
    assert [key for key, _, _, description in described() if not description] == []


def test_every_secret_is_a_key() -> None:
    assert {".".join(map(str, key)) for key in SECRETS.values()} <= set(KEYS)


def test_shared_group_is_put_before_each_filter_but_those_of_sparkplug(tmp_path: Path) -> None:
    table = '[mqtt]\nshared_group = "ward"\nfilters = ["twin/v1/#", "spBv1.0/#", "$share/x/a"]\n'

    asked = accepted(tmp_path, table).ingest_settings().mqtt.subscriptions

    assert asked == ("$share/ward/twin/v1/#", "spBv1.0/#", "$share/x/a")


def test_shared_group_needs_mqtt_5(tmp_path: Path) -> None:
    (said,) = refused(tmp_path, '[mqtt]\nprotocol = "3.1.1"\nshared_group = "ward"\n')

    assert "config.toml:2: mqtt.protocol" in said
    assert "shared subscriptions" in said


def test_shared_group_is_one_level_of_a_topic(tmp_path: Path) -> None:
    (said,) = refused(tmp_path, '[mqtt]\nshared_group = "a/b"\n')

    assert "expected a name without / + #" in said


MAPPING = """[[mapping]]
name = "one"
topic = "one/{device}"
time = { path = "t", unit = "s" }
[[mapping.fields]]
signal = "heart_rate"
path = "hr"
"""


def test_mappings_of_files_and_folders_are_routes_and_subscribed_to(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "one.toml").write_text(MAPPING, "utf-8")
    topics = '[[ingest.topics]]\ntopic = "ward/{device}"\nformat = "senml"\n'

    settings = accepted(tmp_path, '[ingest]\nmapping_files = ["more"]\n' + topics).ingest_settings()

    assert settings.mqtt.filters == ("twin/v1/#", "ward/+", "one/+")
    assert list(settings.routes.mappings) == ["one"]


def test_what_is_wrong_with_a_mapping_file_is_said_with_its_line(tmp_path: Path) -> None:
    content = MAPPING.replace("hr", "h r").replace("heart_rate", "pulse") + "scale = true\n"
    (tmp_path / "one.toml").write_text(content, "utf-8")

    errors = refused(tmp_path, '[ingest]\nmapping_files = ["one.toml"]\n')

    assert [error.partition(": got")[0] for error in errors] == [
        "one.toml:6: mapping[0].fields[0].signal",
        "one.toml:7: mapping[0].fields[0].path",
        "one.toml:8: mapping[0].fields[0].scale",
    ]


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ('[[ingest.topics]]\ntopic = "a/b"\nformat = "senml"\n', "topics[0].topic"),
        ('[[ingest.topics]]\ntopic = "a/{device}"\nformat = "csv"\n', "topics[0].format"),
        ('[ingest]\nmapping_files = ["none.toml"]\n', "none.toml"),
        (MAPPING.replace("[[mapping", "[[ingest.mapping") * 2, "ingest.mapping[1].name"),
        ('[mqtt]\nfilters = ["$share/a/spBv1.0/#"]\n', "mqtt.filters[0]"),
        ('[mqtt]\nshared_group = "a"\nfilters = ["#"]\n', "mqtt.filters"),
    ],
)
def test_topics_that_cannot_be_are_refused_by_their_key(
    tmp_path: Path, content: str, where: str
) -> None:
    (error, *_) = refused(tmp_path, content)
    assert where in error.partition(": got")[0]


def test_what_is_told_outward_must_not_come_back_through_ingest(tmp_path: Path) -> None:
    told = '[outward]\nenabled = true\nprefix = "{}"\n'
    assert refused(tmp_path, told.format("twin/v1/out")) == [
        'config.toml:3: outward.prefix: got "twin/v1/out", '
        "expected topics that ingest does not read (it reads twin/v1/#)"
    ]
    for reads in ("#", "+/+/+/state", "$share/g/twin-out/#", "twin-out/v1/+/alarm/+"):
        content = f'[mqtt]\nfilters = ["{reads}"]\n' + told.format("twin-out/v1")
        assert "it reads" in refused(tmp_path, content)[0]
    for reads in ("twin-out/v2/#", "+/+/state", "twin-out/v1"):
        accepted(tmp_path, f'[mqtt]\nfilters = ["{reads}"]\n' + told.format("twin-out/v1"))
    elsewhere = '[outward.broker]\nhost = "his.example"\n'
    assert accepted(tmp_path, told.format("twin/v1/out") + elsewhere).outward.enabled


def test_outward_has_the_devices_broker_or_one_of_its_own(tmp_path: Path) -> None:
    same = accepted(tmp_path, '[mqtt]\nhost = "ward"\nusername = "twin"\n').outward_settings()
    assert (same.host, same.username, same.client_id) == ("ward", "twin", "twin-outward")
    own = accepted(
        tmp_path,
        '[outward.broker]\nhost = "his"\nport = 8883\n[outward.broker.tls]\n',
        TWIN_OUTWARD_PASSWORD="secret",
    ).outward_settings()
    assert (own.host, own.port, own.password) == ("his", 8883, "secret")
    assert own.tls is not None


@pytest.mark.parametrize("prefix", ["", "/a", "a/", "a/+/b", "a/#", "$SYS/twin", "a//b"])
def test_a_prefix_that_is_no_topic_is_refused(tmp_path: Path, prefix: str) -> None:
    assert "the beginning of a topic" in refused(tmp_path, f'[outward]\nprefix = "{prefix}"\n')[0]
