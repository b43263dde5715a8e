"""Model files that change the shipped one, or declare signals of their own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from ingest.catalogue import BUILT_IN, SIGNALS
from ingest.observation import DeviceId, Observation, PatientId, SignalCode, batch_of
from tests.support.declared import LACTATE, own_catalogue
from tests.support.twins import T0
from twin.estimation.bank import Bank
from twin.estimation.models import ModelError, base_model, parse_model
from twin.estimation.replay import replay
from twin.snapshot import SnapshotUnreadable, capture, restore
from twin.step import Placed, new_state, step


@pytest.fixture(autouse=True)
def _own_catalogue() -> Iterator[None]:
    with own_catalogue():
        yield


def variant(lines: str) -> str:
    return f'name = "mine"\nversion = "1"\nextends = "base"\n{lines}'


def test_a_variant_says_only_what_is_different() -> None:
    model = parse_model(variant('[signal.heart_rate]\nnoise = 2.0\nsource = "mine"'))
    base = base_model().signals

    assert model.signals["heart_rate"].noise == 2.0
    assert model.signals["heart_rate"].deviation_time == base["heart_rate"].deviation_time
    assert {code: m for code, m in model.signals.items() if code != "heart_rate"} == {
        code: m for code, m in base.items() if code != "heart_rate"
    }
    assert model.version.startswith("mine-1+")


def test_a_variant_is_refused_with_its_own_line() -> None:
    cases = {
        "[signal.heart_rate]\nnoise = 2.0": ("mine.toml:4: signal.heart_rate.source", "come from"),
        '[signal.spo2]\nring = 1\nsource = "x"': ("mine.toml:5: signal.spo2.ring", "2 to 64"),
        '[signal.lactate]\nmean = 1.0\nsource = "x"': (
            "mine.toml:4: signal.lactate",
            "declares it",
        ),
    }
    for lines, (where, expected) in cases.items():
        with pytest.raises(ModelError) as refused:
            parse_model(variant(lines), "mine.toml")
        assert refused.value.where == where
        assert expected in refused.value.expected
    with pytest.raises(ModelError, match=r"mine\.toml:3: extends: got 'other', expected \"base\""):
        parse_model(variant("[signal.x]").replace('"base"', '"other"'), "mine.toml")


def test_a_declared_signal_is_refused_with_file_line_and_key() -> None:
    wrong = LACTATE.replace("upper = 30.0", "upper = 0.0")
    with pytest.raises(ModelError, match=r"^ward\.toml:19: signal\.lactate\.catalogue\.upper: got"):
        parse_model(wrong, "ward.toml")


def test_a_deviation_that_would_be_endless_is_refused() -> None:
    wrong = LACTATE.replace("deviation_noise = 0.0002", "deviation_noise = 1e9").replace(
        "deviation_time = 1800.0", "deviation_time = 1e8\nvelocity_time = 1e6\nvelocity_noise = 1e9"
    )
    with pytest.raises(ModelError, match=r"velocity_noise: .* standard deviation of at most 1e9"):
        parse_model(wrong)


def test_a_declared_signal_is_replayed() -> None:
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "patient": "p",
            "device": "patch",
            "signal": "lactate",
            "value": np.round(2 + 0.2 * rng.standard_normal(200), 1),
            "measured_at": pd.date_range("2026-11-25", periods=200, freq="min", tz="UTC"),
        }
    )
    done = replay(frame, model=parse_model(LACTATE), forecast=[600.0]).table.to_pandas()

    now = done[done.horizon_s == 0]
    assert set(done.signal) == {"lactate"}
    assert len(now) == 200
    assert abs(now["mean"].to_numpy()[50:] - 2).max() < 0.3


def test_a_bank_made_before_a_signal_was_declared_refuses_its_model() -> None:
    bank = Bank(base_model())
    with pytest.raises(ModelError, match=r"lactate.*declared at the start"):
        bank.adopt(parse_model(LACTATE))


def test_a_snapshot_names_its_signals_so_that_their_order_may_change() -> None:
    ketone = LACTATE.replace("lactate", "ketone").replace("2524-7", "none")
    both = LACTATE + ketone[ketone.index("[signal.ketone]") :]
    turned = (
        LACTATE[: LACTATE.index("[signal")]
        + both[len(LACTATE) :]
        + LACTATE[LACTATE.index("[signal") :]
    )
    first = new_state(1, parse_model(both))
    said = [
        Observation(PatientId("p"), DeviceId("patch"), SignalCode(code), value, T0, T0, T0)
        for code, value in (("lactate", 7.0), ("heart_rate", 90.0))
    ]
    step(first, [Placed(0, 1, batch_of(said))])
    content = capture(first, 0).encode()
    with own_catalogue():
        second = new_state(1, parse_model(turned))
        assert list(SIGNALS)[len(BUILT_IN) :] == ["ketone", "lactate"]
        restore(second, "p000-1", content)
        found = second.bank.slot_of[second.bank.number_of("p")]
        a = second.bank.slots.of
        assert a["ring_z"][a["ring_start"][found[row_of("lactate")]]] == 7.0
        assert a["ring_z"][a["ring_start"][found[0]]] == 90.0
        assert found[row_of("ketone")] == -1
    with own_catalogue(), pytest.raises(SnapshotUnreadable, match="the signal lactate, which no"):
        restore(new_state(1), "p000-1", content)


def row_of(code: str) -> int:
    return list(SIGNALS).index(code)
