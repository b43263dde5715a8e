"""The commands of docs/devices.md, in its order, as a new user types them.

Those that publish are run against a broker by tests/integration/test_formats.py, those that need a
running line by test_devices_page_live.py there, the certificates' by test_edge_security.py.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from ingest.journal.sqlite import SqliteJournal
from ingest.quarantine import Quarantine
from ingest.settings import QuarantineSettings
from tests.support.command import twin
from tests.support.sparkplug import by_alias, double, payload

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "devices.md").read_text("utf-8")
INLINE = [" ".join(each.split()) for each in re.findall(r"`(twin [^`]+)`", PAGE)]
#: Run here; what is named in the text without being a whole command is not.
RUN = (
    "twin quarantine list -c trial.toml",
    "twin devices models --read models.toml",
    "twin devices add watch-7 --model band-2 --serial S-0042",
    "twin patients add --id p-1",
    "twin devices bind watch-7 p-1",
    "twin devices list",
    "twin devices add phone-3 --clock-offset 32400",
    "twin quarantine replay --device phone-3",
    "twin patients consent p-1 --basis consent --signals heart_rate,spo2"
    " --from 2026-11-25T00:00:00Z",
    "twin patients withdraw p-1",
    "twin devices certificate twin-ingest-2 --ingest --out certs",
)  # fmt: skip
#: Run by tests/integration/test_devices_page_live.py, or in another form below.
ELSEWHERE = (
    "twin devices tail watch-1 -c trial.toml",
    "twin decode --format sparkplug birth.bin data.bin",
    "twin devices approve watch-7 --patient p-1",
    "twin devices unbind watch-7",
    "twin devices retire watch-7",
    "twin devices certificate watch-7 --revoke",
)
#: Named, not given: `twin run`, and what has a FILE in it.
NAMED = ("twin demo", "twin run", "twin check -c", "twin devices ledger")


def test_every_whole_command_of_the_page_is_typed_by_a_test() -> None:
    whole = {command for command in INLINE if "FILE" not in command.split()}
    assert whole == {*RUN, *ELSEWHERE, *NAMED}


@pytest.fixture
def beginner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the page's files and the checkout's mappings."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trial").mkdir()  # with what `twin run` has made
    SqliteJournal(tmp_path / "trial" / "journal").close()
    Quarantine(tmp_path / "trial" / "quarantine.db", QuarantineSettings()).close()
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    found = re.search(r"cat > trial.toml <<'END'\n(.*?)END\n", PAGE, re.S)
    models = re.search(r"```toml\n(\[\[models\]\].*?)```", PAGE, re.S)
    assert found is not None
    assert models is not None
    (tmp_path / "trial.toml").write_text(found[1], "utf-8")
    (tmp_path / "models.toml").write_text(models[1], "utf-8")
    return tmp_path


def typed(command: str) -> str:
    """What the command prints, with the trial's configuration; it must succeed."""
    words = shlex.split(command, comments=True)[1:]
    ended = twin(*words, *(() if "-c" in words else ("-c", "trial.toml")))
    assert ended.code == 0, f"{command}: {ended.err}"
    return ended.out + ended.err


def test_each_command_of_the_page_does_what_it_is_there_for(beginner: Path) -> None:
    assert [command for command in INLINE if command in RUN] == list(RUN)
    said = {command: typed(command) for command in RUN}

    listed = typed("twin devices list")
    assert "watch-7" in listed
    assert "p-1" in listed
    assert "band-2" in typed("twin devices models")
    assert "watch-7" in said["twin devices list"]
    assert (beginner / "certs" / "twin-ingest-2.pem").exists()


def test_the_certificates_of_a_trial_are_made_by_the_page_commands(beginner: Path) -> None:
    (block,) = re.findall(r"```sh\n(twin devices certificate.*?)```", PAGE, re.S)
    for line in block.splitlines():
        typed(line)
    made = {path.name for path in (beginner / "certs").iterdir()}
    named = ("mqtt.example.org", "twin-ingest", "watch-7")
    assert made >= {"ca.pem", *(f"{name}.{kind}" for name in named for kind in ("pem", "key"))}
    typed("twin devices certificate watch-7 --revoke")


def test_the_registry_file_of_the_page_is_taken_whole(beginner: Path) -> None:
    configuration = (beginner / "trial.toml").read_text("utf-8")
    with_file = configuration.replace("[devices]\n", '[devices]\nfile = "models.toml"\n')
    (beginner / "trial.toml").write_text(with_file, "utf-8")
    assert twin("check", "-c", "trial.toml").code == 0
    assert typed("twin devices enrol models.toml") == "3 lines changed something\n"


def test_the_other_tables_of_the_page_are_taken_too(beginner: Path) -> None:
    found = re.findall(r"```toml\n(\[\[(?:models|consents)\]\].*?)```", PAGE, re.S)
    assert len(found) == 3
    typed("twin patients add --id p-2")
    (beginner / "all.toml").write_text("\n".join(found), "utf-8")
    assert "nothing more is kept of p-2" in typed("twin devices enrol all.toml")
    assert typed("twin devices enrol all.toml") == "0 lines changed something\n"
    listed = typed("twin devices models")
    assert "times in s; times of Europe/Paris" in listed
    assert "consent" in typed("twin patients consent p-1")


def test_a_payload_can_be_tried_in_each_way_that_the_page_names(beginner: Path) -> None:
    (beginner / "senml.json").write_text('[{"n":"heart_rate","u":"/min","v":62,"t":1795600000}]')
    ended = twin("decode", "senml.json", "--format", "senml")
    assert (ended.code, '"heart_rate"' in ended.out) == (0, True)
    withings = '{"body": {"measuregrps": [{"date": 1795600000, "measures": [{"type": 11, '
    (beginner / "vendor.json").write_text(withings + '"value": 67, "unit": 0}]}]}}')
    mapping = ("--mapping", "deploy/mappings/withings.toml")
    ended = twin("decode", "vendor.json", "--format", "mapped", *mapping)
    assert (ended.code, "67.0" in ended.out) == (0, True)
    birth = payload(double("vitals/heart_rate", 66.0, alias=1), seq=1, timestamp=1795600000000)
    (beginner / "birth.bin").write_bytes(birth)
    data = payload(by_alias(1, 71), seq=2, timestamp=1795600001000)
    (beginner / "data.bin").write_bytes(data)
    ended = twin("decode", "--format", "sparkplug", "birth.bin", "data.bin")
    assert (ended.code, "71.0" in ended.out) == (0, True)
