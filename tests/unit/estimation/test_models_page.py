"""docs/models.md says what the code and the shipped model file say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from twin.estimate import Status
from twin.estimation.models import SignalModel, base_model

PAGE = (Path(__file__).parents[3] / "docs/models.md").read_text("utf-8")
MODELS = base_model().signals


def numbers(cell: str) -> list[float]:
    return [float(n) for n in re.findall(r"\d+(?:\.\d+)?", cell.replace(" ", ""))]


def row_of(code: str) -> list[str]:
    (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| {code} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("code", MODELS)
def test_the_table_of_constants_is_the_shipped_model_file(code: str) -> None:
    model = MODELS[code]
    _, population, tm, tg, tv, spread_of_d, noise, ring, source = row_of(code)
    assert numbers(population) == [model.mean, model.spread]
    assert numbers(tm) == [model.level_time]
    assert numbers(tg) == [model.deviation_time]
    assert numbers(tv) == ([model.velocity_time] if model.velocity_time else [])
    assert numbers(spread_of_d)[0] == pytest.approx(model.stationary()[0] ** 0.5, rel=0.02)
    assert numbers(noise) == [model.noise]
    assert numbers(ring) == [model.ring]
    assert ("prior" in source) == ("prior" in model.source)


def test_the_constants_that_all_signals_share_are_those_on_the_page() -> None:
    shared = {(m.robust, m.gate, m.step_samples, m.step_samples_several) for m in MODELS.values()}
    assert shared == {(1.5, 9.0, 3, 8)}
    assert {m.trend_time for m in MODELS.values()} == {900.0}
    assert "c = 1.5 (`robust`),\ngate 9, 3 and 8 samples for a step, T = 900 s" in PAGE


def test_every_required_constant_and_every_status_by_age_is_named() -> None:
    required = [
        name
        for name, f in SignalModel.__dataclass_fields__.items()
        if f.default is f.default_factory
    ]
    assert required
    for name in [*required, *(s.name.lower() for s in Status if s is not Status.DIVERGED)]:
        assert f"`{name}`" in PAGE, name
