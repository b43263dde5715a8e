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
    _, population, tm, tg, tv, spread_of_d, noise, ring, weights, trend, source = row_of(code)
    assert numbers(population) == [model.mean, model.spread]
    assert numbers(tm) == [model.level_time]
    assert numbers(tg) == [model.deviation_time]
    assert numbers(tv) == ([model.velocity_time] if model.velocity_time else [])
    assert numbers(spread_of_d)[0] == pytest.approx(model.stationary()[0] ** 0.5, rel=0.02)
    assert numbers(noise) == [model.noise]
    assert numbers(ring) == [model.ring]
    steps = [model.step_samples, model.step_samples_several]
    assert numbers(weights.replace(",", ";")) == [model.robust, model.gate, *steps]
    assert numbers(trend) == [model.trend_time]
    assert ("prior" in source) == ("prior" in model.source)


def test_every_required_constant_and_every_status_is_named() -> None:
    required = [
        name
        for name, f in SignalModel.__dataclass_fields__.items()
        if f.default is f.default_factory
    ]
    assert required
    for name in [*required, *(s.name.lower() for s in Status)]:
        assert f"`{name}`" in PAGE, name
