"""The documents say what the code does: keys, commands, options, metrics, signals, files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from ingest.catalogue import SIGNALS
from tests.support.reference import DOCUMENT, ROOT, configuration_table, metrics_table, renewed
from twin.cli import app
from twin.config_file import SECRETS

OPERATIONS = DOCUMENT.read_text("utf-8")
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])


def commands(command: Any = None, path: str = "twin") -> Iterator[tuple[str, Any]]:
    """(`twin devices bind`, its command) for each command that does something."""
    command = typer.main.get_command(app) if command is None else command
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name, each in inner.items():
        yield from commands(each, f"{path} {name}")


def section(title: str) -> str:
    """The text under `### title` up to the next heading."""
    found = re.search(rf"^### `{title}`\n(.*?)(?=^##)", OPERATIONS, re.S | re.M)
    assert found is not None, f"docs/operations.md has no section `{title}`"
    return found[1]


@pytest.mark.parametrize("table", [configuration_table, metrics_table])
def test_table_is_as_the_code_says(table: Any) -> None:
    lines = table()

    assert len(lines) > 10
    for line in lines:
        assert f"{line}\n" in OPERATIONS, "renew it with: python -m tests.support.reference"
    assert renewed(OPERATIONS) == OPERATIONS, "renew it with: python -m tests.support.reference"


@pytest.mark.parametrize("path", [path for path, _ in commands()])
def test_command_and_all_its_options_are_documented(path: str) -> None:
    command = dict(commands())[path]
    top = " ".join(path.split()[:2])
    text = section(top)
    for_several = OPERATIONS.partition("### `twin demo`")[0]  # --json, --data-dir, --config
    options = {
        option
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--")
    }

    assert path == top or f"`{path}" in text
    said = {*re.findall(r"--[a-z][a-z0-9-]*", text + for_several)}
    assert options - said == set()


def test_documented_commands_exist() -> None:
    known = {path for path, _ in commands()}
    known |= {" ".join(path.split()[:2]) for path in known} | {"twin --version"}

    for document in DOCUMENTS:
        for written in re.findall(r"`twin ([a-z]+)(?: ([a-z]+))?", document.read_text("utf-8")):
            group = f"twin {written[0]}"
            assert group in known, f"{document.name}: `{group}`"
            inner = {path.split()[2] for path in known if path.startswith(f"{group} ")}
            assert not (inner and written[1]) or written[1] in inner, f"{document.name}: {written}"


def test_every_secret_of_the_environment_is_documented() -> None:
    for variable in SECRETS:
        assert f"`{variable}`" in OPERATIONS


@pytest.mark.parametrize("code", SIGNALS)
def test_signal_is_documented_with_unit_range_and_loinc(code: str) -> None:
    signal = SIGNALS[code]
    wire = (ROOT / "docs" / "wire-format.md").read_text("utf-8")

    (row,) = (line for line in wire.splitlines() if line.startswith(f"| `{code}`"))
    assert signal.unit in row
    assert signal.loinc is None or signal.loinc in row


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_a_document_links_or_names_exist(document: Any) -> None:
    text = document.read_text("utf-8")
    linked = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text)
    named = re.findall(r"`((?:ingest|twin|tests|docs|bench|deploy)/[\w./-]+\.\w+)`", text)

    missing = [name for name in linked if not (document.parent / name).exists()]
    missing += [name for name in named if not (ROOT / name).exists()]
    assert missing == []
