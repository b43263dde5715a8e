"""`twin validate`: two files out, exit codes, what is wrong said, the same bytes again."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.command import twin

LENGTH = 240


def heart_rates(seed: int) -> list[int]:
    rng = np.random.default_rng(seed)
    walk = 70 + seed + np.convolve(rng.normal(0, 2, LENGTH + 40), np.exp(-np.arange(40) / 15))
    return [int(value) for value in np.round(walk[40 : 40 + LENGTH])]


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three wide files: a watch's heart rate each second, and an ECG's that is 1 higher."""
    folder = tmp_path_factory.mktemp("ward")
    written = []
    for seed in range(3):
        file = folder / f"bed-{seed}.csv"
        rows = [f"{t},{rate},{rate + 1}" for t, rate in enumerate(heart_rates(seed))]
        file.write_text("t,HR,ECG\n" + "\n".join(rows) + "\n")
        written.append(file)
    return written


WIDE = ("--columns", "HR=heart_rate", "--time", "t", "--horizons", "60s")


def report(out: Path, name: str = "credibility") -> Any:
    return json.loads((out / f"{name}.json").read_text())


def test_report_is_two_files_and_a_table(tmp_path: Path, ward: list[Path]) -> None:
    out = tmp_path / "new" / "folder"
    ended = twin("validate", *ward, "--out", out, *WIDE, "--name", "ward")

    assert ended.code == 0
    assert sorted(path.name for path in out.iterdir()) == ["ward.html", "ward.json"]
    head, row = (re.split(r"\s{2,}", line) for line in ended.out.splitlines())
    assert head == ["signal", "ahead", "readings", "RMSE", "MAE", "skill", "90 %"]
    assert row[:3] == ["heart_rate", "60s", str(3 * (LENGTH - 60))]
    horizon = report(out, "ward")["signals"]["heart_rate"]["horizons"]["60s"]
    assert [each["person"] for each in horizon["persons"]] == ["bed-0", "bed-1", "bed-2"]


def test_the_same_input_gives_the_same_files_but_for_the_time(
    tmp_path: Path, ward: list[Path]
) -> None:
    texts = []
    for name in ("one", "two"):
        twin("validate", *ward, "--out", tmp_path / name, *WIDE)
        made = report(tmp_path / name)["made_at"]
        texts.append(
            [
                (tmp_path / name / f"credibility.{kind}").read_text().replace(made, "")
                for kind in ("json", "html")
            ]
        )
    assert texts[0] == texts[1]


def test_summary_is_one_line_of_json_on_demand(tmp_path: Path, ward: list[Path]) -> None:
    said = twin("validate", *ward, "--out", tmp_path, *WIDE, "--json").json

    assert said["html"] == str(tmp_path / "credibility.html")
    assert said["failed"] == []
    assert said["metrics"]["heart_rate"]["60s"]["readings"] == 3 * (LENGTH - 60)


def test_numbers_are_those_of_the_recording(tmp_path: Path, ward: list[Path]) -> None:
    twin("validate", *ward, "--out", tmp_path, *WIDE)
    (persistence, *_) = report(tmp_path)["signals"]["heart_rate"]["horizons"]["60s"]["comparisons"]

    rates = np.array([heart_rates(seed) for seed in range(3)], float)
    expected = np.sqrt(np.mean((rates[:, 60:] - rates[:, :-60]) ** 2))
    assert persistence["rmse"] == pytest.approx(expected, rel=1e-5)


def test_columns_can_be_the_reference(tmp_path: Path, ward: list[Path]) -> None:
    twin("validate", *ward, "--out", tmp_path, *WIDE, "--reference-columns", "ECG=heart_rate")
    found = report(tmp_path)["signals"]["heart_rate"]["horizons"]

    assert list(found) == ["now", "60s"]
    assert found["now"]["comparisons"][0]["rmse"] == pytest.approx(1)
    assert found["now"]["metrics"]["bias"] == pytest.approx(-1, abs=0.15)


def test_device_can_be_the_reference_and_is_withheld(tmp_path: Path, ward: list[Path]) -> None:
    both = ("--columns", "HR=heart_rate,ECG=heart_rate", "--time", "t", "--horizons", "60s")
    twin("validate", *ward, "--out", tmp_path, *both, "--reference-device", "ECG")
    found = report(tmp_path)

    assert found["signals"]["heart_rate"]["observations"] == 3 * LENGTH
    now = found["signals"]["heart_rate"]["horizons"]["now"]
    assert now["comparisons"][0]["rmse"] == pytest.approx(1)
    assert "withheld" in found["reference"]


def test_file_can_be_the_reference(tmp_path: Path, ward: list[Path]) -> None:
    reference = tmp_path / "sticks.csv"
    value = heart_rates(0)
    reference.write_text(
        "signal,value,measured_at\n"
        + "".join(f"heart_rate,{value[t] + 2},{t * 1_000_000_000}\n" for t in (100, 150))
    )
    twin("validate", ward[0], "--out", tmp_path, *WIDE, "--reference", reference)
    now = report(tmp_path)["signals"]["heart_rate"]["horizons"]["now"]

    assert now["metrics"]["readings"] == 2
    assert now["comparisons"][0]["mae"] == pytest.approx(2)


def test_other_model_is_compared(tmp_path: Path, ward: list[Path]) -> None:
    model = tmp_path / "loud.toml"
    shipped = files("twin.estimation").joinpath("base.toml").read_text("utf-8")
    model.write_text(re.sub(r"(?m)^noise = .*$", "noise = 9.0", shipped))
    twin("validate", *ward, "--out", tmp_path, *WIDE, "--compare", model)
    found = report(tmp_path)
    rows = found["signals"]["heart_rate"]["horizons"]["60s"]["comparisons"]

    (other,) = (row for row in rows if row["name"] == "other model")
    assert other["rmse"] != other["twin_rmse"]
    assert found["models"]["model"] != found["models"]["compare"]
    assert [each["role"] for each in found["files"]] == ["recording"] * 3 + ["other model"]


def test_kept_thresholds_end_with_0_and_others_with_1(tmp_path: Path, ward: list[Path]) -> None:
    limits = tmp_path / "limits.toml"
    limits.write_text('[statement]\ncontext = "a ward"\n[heart_rate.60s]\nrmse = 99\n')
    kept = twin("validate", *ward, "--out", tmp_path, *WIDE, "--thresholds", limits)
    assert kept.code == 0
    assert report(tmp_path)["passed"] is True

    limits.write_text("[heart_rate.60s]\nrmse = 0.01\n[spo2.60s]\nrmse = 99\n")
    failed = twin("validate", *ward, "--out", tmp_path, *WIDE, "--thresholds", limits)
    assert failed.code == 1
    assert "2 not kept: heart_rate 60s rmse ≤ 0.01; spo2 60s rmse ≤ 99" in failed.err
    found = report(tmp_path)
    assert found["passed"] is False
    assert [(each["passed"], each["found"] is None) for each in found["thresholds"]] == [
        (False, False),
        (False, True),
    ]


def test_horizon_of_a_threshold_is_judged_unasked(tmp_path: Path, ward: list[Path]) -> None:
    limits = tmp_path / "limits.toml"
    limits.write_text("[heart_rate.90s]\nrmse = 99\n")
    ended = twin("validate", *ward, "--out", tmp_path, *WIDE, "--thresholds", limits)

    assert ended.code == 0
    assert list(report(tmp_path)["signals"]["heart_rate"]["horizons"]) == ["60s", "90s"]


def test_options_come_before_what_the_file_states(tmp_path: Path, ward: list[Path]) -> None:
    limits = tmp_path / "limits.toml"
    limits.write_text(
        '[statement]\nquestion = "file"\ncontext = "file"\n[heart_rate.60s]\nrmse = 99\n'
    )
    asked = ("--thresholds", limits, "--question", "option")
    twin("validate", *ward, "--out", tmp_path, *WIDE, *asked)

    stated = report(tmp_path)["statement"]
    assert (stated["question"], stated["context"]) == ("option", "file")


def test_report_holds_no_id_of_a_patient_and_nothing_unescaped(tmp_path: Path) -> None:
    long = tmp_path / "ward.csv"
    rows = [
        f"{patient},watch,heart_rate,{rate},{t * 1_000_000_000}"
        for patient, seed in (("Jane-Doe", 1), ("John-Roe", 2))
        for t, rate in enumerate(heart_rates(seed))
    ]
    long.write_text("patient,device,signal,value,measured_at\n" + "\n".join(rows) + "\n")
    hostile = '<script>alert(1)</script>"&'
    asked = ("--horizons", "60s", "--question", hostile, "--name", "a<b>&c")
    assert twin("validate", long, "--out", tmp_path, *asked).code == 0

    page = (tmp_path / "a<b>&c.html").read_text()
    data = (tmp_path / "a<b>&c.json").read_text()
    assert "Jane" not in page + data
    assert "Roe" not in page + data
    assert "ward #1" in page
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


class Outline(HTMLParser):
    """Tags as they open, and whether every one is closed where it should be."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_page_is_whole_loads_nothing_and_names_its_plots(tmp_path: Path, ward: list[Path]) -> None:
    twin("validate", *ward, "--out", tmp_path, *WIDE)
    text = (tmp_path / "credibility.html").read_text()
    outline = Outline()
    outline.feed(text)

    assert outline.open == []
    assert {tag for tag, _ in outline.seen} & {"script", "link", "img", "iframe"} == set()
    assert not any(name in each for _, each in outline.seen for name in ("src", "href", "onload"))
    plots = [each for tag, each in outline.seen if tag == "svg"]
    assert len(plots) >= 5
    assert all(each["role"] == "img" and each["aria-label"] for each in plots)
    assert "nan" not in text.lower().replace("finance", "")
    for heading in (
        *("Question of interest", "Context of use", "Model influence", "Decision consequence"),
        *("Model risk", "Verification", "Validation", "Uncertainty quantification"),
        *("Applicability", "Known failure modes"),
    ):
        assert f">{heading}<" in text


def test_horizon_beyond_the_recording_is_said_and_not_drawn(
    tmp_path: Path, ward: list[Path]
) -> None:
    columns = WIDE[:4]
    ended = twin("validate", *ward, "--out", tmp_path, *columns, "--horizons", "60s,1h")
    assert ended.code == 0
    assert "nan" not in ended.out

    assert (
        "Not judged: no reading lies that long after an estimate."
        in (tmp_path / "credibility.html").read_text()
    )
    metrics = report(tmp_path)["signals"]["heart_rate"]["horizons"]["1h"]["metrics"]
    assert (metrics["readings"], metrics["rmse"]) == (0, None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--horizons", "1h,2h"), "no reading of heart_rate lies 1h, 2h after an estimate"),
        (("--reference", "other.csv"), "no reading of heart_rate at now, 60s"),
    ],
)
def test_nothing_to_judge_is_said_and_gives_no_report(
    tmp_path: Path, ward: list[Path], arguments: tuple[str, str], said: str
) -> None:
    option, value = arguments
    if option == "--reference":
        value = str(tmp_path / value)
        row = "bed-0,d,heart_rate,70,2026-11-25T08:00:00Z\n"  # a year later
        Path(value).write_text("patient,device,signal,value,measured_at\n" + row)
    ended = twin("validate", *ward, "--out", tmp_path / "out", *WIDE[:4], option, value)

    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--horizons", "soon"), "--horizons: got 'soon'"),
        (("--horizons", "0s"), "--horizons: expected times above 0"),
        (("--horizons", ""), "--horizons: got ''"),
        (("--name", "../up"), "--name: got '../up'"),
        (("--name", ".hidden"), "--name: got '.hidden'"),
        (("--reference-device", "strap"), "--reference-device: got 'strap', expected one of"),
        (("--reference-columns", "ECG"), "--reference-columns: expected COLUMN=signal"),
        (("--reference-columns", "EEG=heart_rate"), "EEG"),
        (("--reference", "absent.csv"), "absent.csv: No such file"),
        (("--model", "absent.toml"), "absent.toml: No such file"),
        (("--thresholds", "absent.toml"), "absent.toml: No such file"),
        (
            ("--reference-device", "a", "--reference-columns", "ECG=heart_rate"),
            "expected one of --reference, --reference-device, --reference-columns",
        ),
    ],
)
def test_wrong_usage_ends_with_2_and_writes_nothing(
    tmp_path: Path, ward: list[Path], arguments: tuple[str, ...], said: str
) -> None:
    out = tmp_path / "out"
    ended = twin("validate", *ward, "--out", out, *WIDE[:4], *arguments)

    assert ended.code == 2
    assert said in ended.err
    assert not out.exists()


def test_wrong_thresholds_end_with_2_before_anything_is_computed(
    tmp_path: Path, ward: list[Path]
) -> None:
    limits = tmp_path / "limits.toml"
    limits.write_text("[heart_rate.60s]\nskil = 1\n")
    ended = twin("validate", *ward, "--out", tmp_path / "out", *WIDE, "--thresholds", limits)

    assert ended.code == 2
    assert "heart_rate.60s.skil" in ended.err


def test_two_files_of_one_name_are_not_taken_for_one_person(
    tmp_path: Path, ward: list[Path]
) -> None:
    twins = tmp_path / "bed-0.csv"
    twins.write_text(ward[1].read_text())
    ended = twin("validate", ward[0], twins, "--out", tmp_path / "out", *WIDE)

    assert ended.code == 2
    assert "another recording is called 'bed-0'" in ended.err


def test_recording_without_a_usable_observation_ends_with_2(tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_text("t,HR\n0,900\n1,\n")
    ended = twin("validate", empty, "--out", tmp_path / "out", *WIDE)

    assert ended.code == 2
    assert "no observation that the model can use" in ended.err


def test_reference_of_other_people_ends_with_2(tmp_path: Path, ward: list[Path]) -> None:
    reference = tmp_path / "others.csv"
    reference.write_text("patient,signal,value,measured_at\nx,heart_rate,70,0\n")
    ended = twin("validate", *ward, "--out", tmp_path / "out", *WIDE, "--reference", reference)

    assert ended.code == 2
    assert "the same ids" in ended.err


def test_folder_that_cannot_be_made_is_wrong_input(tmp_path: Path, ward: list[Path]) -> None:
    (tmp_path / "file").write_text("")
    ended = twin("validate", *ward, "--out", tmp_path / "file" / "out", *WIDE)

    assert ended.code == 2


def test_one_observation_is_enough_for_a_report_where_it_can_be_judged(tmp_path: Path) -> None:
    one = tmp_path / "one.csv"
    one.write_text("t,HR,ECG\n0,70,71\n")
    judged = ("--reference-columns", "ECG=heart_rate")
    assert twin("validate", one, "--out", tmp_path / "out", *WIDE, *judged).code == 0
    assert twin("validate", one, "--out", tmp_path / "none", *WIDE).code == 2
