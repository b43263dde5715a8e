"""What deploy/ ships can be read, and its command lines and configurations are ours."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from tests.support.reference import DOCUMENT, metrics_table
from twin.cli import app
from twin.config_file import read_config

DEPLOY = Path(__file__).parents[2] / "deploy"
SECRETS = {
    "TWIN_INFLUX_TOKEN": "a-token-of-the-database",
    "TWIN_CARE_TOKEN": "a-token-of-the-page",
}
ROLES = {"ingest", "worker", "store", "care"}
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def read(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text("utf-8"))


def documents(name: str) -> list[Any]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text("utf-8")))


def assert_command(words: Sequence[str]) -> None:
    """The real command line takes these words; nothing is run."""
    command: Any = typer.main.get_command(app)
    left, context = list(words), None
    while hasattr(command, "resolve_command"):
        context = command.make_context("twin", left, parent=context)
        left = [*context._protected_args, *context.args]
        _, command, left = command.resolve_command(context, left)
    command.make_context(command.name, left, parent=context)


def test_an_unknown_option_would_be_seen() -> None:
    with pytest.raises(Exception, match="No such option"):
        assert_command(["run", "-c", "x", "--rolle", "all"])


def test_every_yaml_and_json_file_can_be_read() -> None:
    found = [p for p in DEPLOY.rglob("*") if p.suffix in (".yml", ".yaml", ".json")]
    assert len(found) >= 10
    for path in found:
        text = path.read_text("utf-8")
        assert json.loads(text) if path.suffix == ".json" else list(yaml.safe_load_all(text))


@pytest.mark.parametrize("name", ["twin/config.toml", "kubernetes/config.toml"])
def test_configuration_is_accepted(name: str) -> None:
    config = read_config(DEPLOY / name, SECRETS)

    assert config.monitor.port == 9464
    assert config.store.influx is not None
    assert (DEPLOY / name).read_bytes() == (DEPLOY / "twin/config.toml").read_bytes()


def test_compose_runs_every_role_with_commands_that_exist() -> None:
    services = read("compose.yaml")["services"]
    config = read_config(DEPLOY / "twin/config.toml", SECRETS)
    ours = {name: each for name, each in services.items() if each["image"] == "wearable-twin"}

    for each in ours.values():
        assert_command(each["command"])
        for volume in each["volumes"]:
            source = volume.partition(":")[0]
            assert not source.startswith(".") or (DEPLOY / source).exists()
    roles = {each["command"][-1] for each in ours.values() if "--role" in each["command"]}
    assert roles == ROLES <= ours.keys()
    assert config.mqtt.host in services
    assert config.store.influx is not None
    assert config.store.influx.url.split("/")[2].partition(":")[0] in services
    named = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    example = (DEPLOY / "env.example").read_text("utf-8")
    assert {line.partition("=")[0] for line in example.splitlines() if "=" in line} == named
    for name, each in services.items():
        for port in each.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name}: {port} is open to the network"


def test_kubernetes_runs_every_role_as_nobody_in_particular() -> None:
    kinds = {each["kind"]: each for each in documents("kubernetes/twin.yaml")}
    pod = kinds["StatefulSet"]["spec"]["template"]["spec"]
    ports = []

    for container in pod["containers"]:
        assert_command(container["args"])
        assert container["args"][4] == container["name"]
        monitor = int(container["args"][6])
        ports.append(monitor)
        assert container["livenessProbe"]["httpGet"]["port"] == monitor
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert {"memory"} <= container["resources"]["limits"].keys()
    assert {each["name"] for each in pod["containers"]} == ROLES
    assert len(set(ports)) == len(ports)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert_command(kinds["Job"]["spec"]["template"]["spec"]["containers"][0]["args"])
    assert kinds["Service"]["spec"]["selector"] == {"app": "twin"}
    kustomization = read("kubernetes/kustomization.yaml")
    for name in (*kustomization["resources"], *kustomization["configMapGenerator"][0]["files"]):
        assert (DEPLOY / "kubernetes" / name).exists()
    assert set(documents("kubernetes/secret.example.yaml")[0]["stringData"]) == set(SECRETS)


def exec_lines(unit: Path) -> Iterator[list[str]]:
    for line in unit.read_text("utf-8").splitlines():
        if line.startswith("ExecStart="):
            said = line.partition("=")[2].replace("%i", "ingest").replace("${MONITOR_PORT}", "0")
            said = re.sub(r"\$\(.*?\)", "today", said)
            inner = re.search(r"bin/twin ([^']*)", said)
            assert inner is not None
            yield shlex.split(inner[1])


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_units_start_commands_that_exist(unit: Path) -> None:
    commands = list(exec_lines(unit))

    assert commands
    for words in commands:
        assert_command(words)


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd-analyze is missing: apt-get install -y systemd")
    for unit in (DEPLOY / "systemd").iterdir():
        # What it starts is not installed here; systemd asks that it be there.
        text = unit.read_text("utf-8").replace("/opt/wearable-twin/bin/twin", "/bin/true")
        (tmp_path / unit.name).write_text(text)
    units = [
        str(path if "@" not in path.name else path.with_name("wearable-twin@ingest.service"))
        for path in tmp_path.iterdir()
    ]
    done = subprocess.run(
        [verify, "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "wearable-twin" in line]
    assert ours == []


def test_dockerfile_runs_as_a_user_of_its_own_and_copies_what_is_there() -> None:
    lines = (DEPLOY / "Dockerfile").read_text("utf-8").splitlines()
    root = DEPLOY.parent

    assert [line for line in lines if line.startswith("USER")] == ["USER 10001"]
    for line in lines:
        if line.startswith("COPY") and "--from" not in line:
            assert all((root / name).exists() for name in line.split()[1:-1]), line
    assert [line for line in lines if line.startswith("FROM")][-1].endswith("-slim-bookworm")
    command = next(line for line in lines if line.startswith("CMD"))
    assert_command(json.loads(command.partition(" ")[2]))


def expressions() -> Iterator[str]:
    for group in read("prometheus/alerts.yml")["groups"]:
        for rule in group["rules"]:
            yield rule["expr"]
    board = json.loads((DEPLOY / "grafana/boards/operations.json").read_text("utf-8"))
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield target["expr"]


def test_alerts_and_boards_ask_for_metrics_that_there_are() -> None:
    known = set(re.findall(r"`(twin_\w+)`", "\n".join(metrics_table())))
    asked = {name for each in expressions() for name in re.findall(r"\btwin_\w+", each)}

    assert len(asked) > 10
    assert asked - known == set()


def test_every_alert_is_in_the_runbook() -> None:
    runbook = DOCUMENT.read_text("utf-8").partition("## Runbook")[2]
    names = [
        rule["alert"]
        for group in read("prometheus/alerts.yml")["groups"]
        for rule in group["rules"]
    ]

    assert len(names) > 10
    for name in names:
        assert f"| `{name}` |" in runbook


def test_every_role_is_scraped_and_the_sources_of_the_boards_are_provisioned() -> None:
    (job,) = read("prometheus/prometheus.yml")["scrape_configs"]
    targets = {target.partition(":")[0] for target in job["static_configs"][0]["targets"]}
    sources = {each["uid"] for each in read("grafana/provisioning/datasources/sources.yaml")[
        "datasources"]}  # fmt: skip

    assert targets == ROLES
    for board in (DEPLOY / "grafana/boards").iterdir():
        for panel in json.loads(board.read_text("utf-8"))["panels"]:
            assert panel["datasource"]["uid"] in sources
