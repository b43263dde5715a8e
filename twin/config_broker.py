"""The tables of the configuration that are about brokers: the devices', and whom we publish to."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from ingest.settings import MqttSettings, TlsSettings
from twin.config_table import STRICT
from twin.config_values import (
    FileName,
    Name,
    Port,
    ShareName,
    TopicFilter,
    TopicPrefix,
    check_pair,
    refusal,
)


class TlsTable(BaseModel):
    """TLS to the broker. The table's presence, even empty, turns it on."""

    model_config = STRICT

    authority: Annotated[FileName | None, Field(examples=["ca.pem"])] = None
    """Certificate authority that signed the broker's certificate (PEM); without it, those of the
    system."""
    certificate: Annotated[FileName | None, Field(examples=["twin.pem"])] = None
    """Our own certificate (PEM), with `key`."""
    key: Annotated[FileName | None, Field(examples=["twin.key"])] = None
    """Private key of `certificate` (PEM)."""

    @model_validator(mode="after")
    def _both(self) -> Self:
        check_pair(self.certificate, self.key)
        return self


class MqttTable(BaseModel):
    """The broker that the devices publish to."""

    model_config = STRICT

    host: Name = "127.0.0.1"
    """Name or address of the broker."""
    port: Port = 1883
    """Its port; with TLS usually 8883."""
    protocol: Literal["5", "3.1.1"] = "5"
    """MQTT version. NATS speaks only 3.1.1."""
    client_id: Name = "twin-ingest"
    """The broker keeps our session, and what we have not acknowledged, under this name; two
    processes with one name throw each other out."""
    username: Annotated[str | None, Field(examples=["twin"])] = None
    """Who we are to the broker."""
    password: Annotated[str | None, Field(examples=["secret"], repr=False)] = None
    """Our password; better in the environment variable TWIN_MQTT_PASSWORD, which overrides it."""
    keepalive_s: Annotated[int, Field(ge=1, le=65_535)] = 30
    """Silence after which the connection is probed."""
    session_expiry_s: Annotated[int, Field(ge=0, le=2**32 - 1)] = 7 * 86_400
    """How long the broker keeps our session while we are away (MQTT 5; with 3.1.1 the broker's own
    limit holds)."""
    receive_maximum: Annotated[int, Field(ge=1, le=65_535)] = 4_000
    """Unacknowledged messages that may be under way to us (MQTT 5). The highest rate is this
    divided by the time of a commit."""
    filters: Annotated[list[TopicFilter], Field(min_length=1)] = ["twin/v1/#"]
    """Topic filters that we subscribe to, QoS 1."""
    shared_group: Annotated[ShareName | None, Field(examples=["ingest"])] = None
    """Several ingest processes, each under a `client_id` of its own, share the filters under this
    name (MQTT 5): each message comes to one of them. Without it, all messages come to this one."""
    reconnect_max_s: Annotated[float, Field(ge=1, le=3_600)] = 30.0
    """Longest pause between two attempts to connect."""
    reader: Literal["bulk", "stock"] = "bulk"
    """How messages are read from the broker's socket: many at once, or one by one as paho-mqtt
    does it, at a multiple of the cost."""
    tls: TlsTable | None = None

    @model_validator(mode="after")
    def _shared(self) -> Self:
        if self.shared_group is not None and self.protocol != "5":
            raise refusal('protocol "5", which has shared subscriptions', "protocol", '"3.1.1"')
        if self.shared_group is not None and "#" in self.filters:
            expected = "filters with a first level: Sparkplug's topics are never shared"
            raise refusal(expected, "filters", '"#"')
        return self


class BrokerTable(BaseModel):
    """Another broker than the devices' to publish to; the table's presence turns it on."""

    model_config = STRICT

    host: Name = "127.0.0.1"
    """Name or address of that broker."""
    port: Port = 1883
    """Its port; with TLS usually 8883."""
    protocol: Literal["5", "3.1.1"] = "5"
    """MQTT version. NATS speaks only 3.1.1."""
    username: Annotated[str | None, Field(examples=["twin"])] = None
    """Who we are to that broker."""
    password: Annotated[str | None, Field(examples=["secret"], repr=False)] = None
    """Our password there; better in the environment variable TWIN_OUTWARD_PASSWORD, which overrides
    it."""
    keepalive_s: Annotated[int, Field(ge=1, le=65_535)] = 30
    """Silence after which the connection is probed."""
    reconnect_max_s: Annotated[float, Field(ge=1, le=3_600)] = 30.0
    """Longest pause between two attempts to connect."""
    tls: TlsTable | None = None


class OutwardTable(BaseModel):
    """What the twin tells other systems over MQTT: retained states, and alarms."""

    model_config = STRICT

    enabled: bool = False
    """Publish. The process with the role `care` does it; in wellness without alarms."""
    prefix: TopicPrefix = "twin-out/v1"
    """Topics are `<prefix>/<patient>/state` and `<prefix>/<patient>/alarm/<id>`. On the devices'
    broker it lies outside of all that ingest reads."""
    client_id: Name = "twin-outward"
    """Our name at the broker; no other client has it. A broker that goes by certificates' names
    (`use_username_as_clientid`) says it itself, so give `broker` a certificate of its own there."""
    broker: BrokerTable | None = None


def connection_of(table: MqttTable | BrokerTable, client_id: str) -> MqttSettings:
    """How a broker is reached."""
    tls = table.tls
    return MqttSettings(
        table.host,
        table.port,
        table.protocol,
        client_id,
        table.username,
        table.password,
        None if tls is None else TlsSettings(tls.authority, tls.certificate, tls.key),
        table.keepalive_s,
        reconnect_max_s=table.reconnect_max_s,
    )


def overlaps(topic_filter: str, prefix: str) -> bool:
    """Whether a subscription gets anything of `<prefix>/<patient>/state` or `…/alarm/<id>`."""
    wanted = topic_filter.split("/")
    if wanted[0] == "$share":
        wanted = wanted[2:]
    for last in (("state",), ("alarm", None)):
        topic = [*prefix.split("/"), None, *last]
        if wanted[-1] == "#":
            pairs = list(zip(wanted[:-1], topic, strict=False))
            fits = len(wanted) - 1 <= len(topic)
        else:
            pairs, fits = list(zip(wanted, topic, strict=False)), len(wanted) == len(topic)
        if fits and all(ours is None or each in ("+", ours) for each, ours in pairs):
            return True
    return False
