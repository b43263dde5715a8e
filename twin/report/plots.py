"""Plots as inline SVG: no script, readable in black and white, every text escaped.

Each takes numbers and returns a `Markup`; the same numbers stand in a table beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from ingest.instant import SECOND
from twin.bands import Z95
from twin.estimation.horizon_scores import JUDGED, Comparison, Excerpt, HorizonScores, PersonScores
from twin.estimation.scores import LEVELS
from twin.estimation.smoother import Smoothed

_DASHES = ("", "6 3", "2 3", "8 3 2 3")
_BAR, _GAP, _LEFT = 18, 6, 140
#: About so many points of a line, and dots, are drawn.
_MOST = 2_000


def bars(title: str, rows: Sequence[tuple[str, float]], unit: str) -> Markup:
    """Horizontal bars; the first is the twin's."""
    longest = max((value for _, value in rows if math.isfinite(value)), default=0.0) or 1.0
    parts = []
    for n, (name, value) in enumerate(rows):
        y = n * (_BAR + _GAP) + 4
        width = 200 * value / longest if math.isfinite(value) else 0.0
        parts.append(_text(_LEFT - 8, y + 13, name, "end", "strong" if n == 0 else ""))
        parts.append(
            f'<rect class="{"twin" if n == 0 else "other"}" x="{_LEFT}" y="{y}" '
            f'width="{width:.1f}" height="{_BAR}"/>'
        )
        parts.append(_text(_LEFT + width + 6, y + 13, _short(value)))
    height = len(rows) * (_BAR + _GAP) + 24
    parts.append(_text(_LEFT, height - 6, f"RMSE, {unit}", cls="axis"))
    return _svg(390, height, title, parts)


def reliability(title: str, horizons: Sequence[HorizonScores]) -> Markup:
    """Nominal level of central bands against the share of readings inside."""
    size, left, top = 220, 46, 10
    parts = _frame(left, top, size, size)
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(_text(left + tick * size, top + size + 16, f"{tick:.0%}", "middle", "axis"))
        parts.append(_text(left - 6, top + size - tick * size + 4, f"{tick:.0%}", "end", "axis"))
    parts.append(_line([left, left + size], [top + size, top], "ideal"))
    for n, horizon in enumerate(horizons):
        x = [left + level * size for level in (0.0, *LEVELS)]
        y = [top + size - share * size for share in (0.0, *horizon.reliability.tolist())]
        parts.append(_line(x, y, "twin", _DASHES[n % len(_DASHES)]))
        legend = top + 16 + 16 * n
        parts.append(
            _line([left + 10, left + 36], [legend, legend], "twin", _DASHES[n % len(_DASHES)])
        )
        parts.append(_text(left + 42, legend + 4, horizon.name))
    parts.append(_text(left + size / 2, top + size + 32, "nominal level", "middle", "axis"))
    return _svg(left + size + 22, top + size + 40, title, parts)


def histogram(title: str, shares: NDArray[np.float64]) -> Markup:
    """PIT: share of readings in each tenth of the forecast; flat (the line) if calibrated."""
    width, height, left, top = 220, 220, 46, 10
    most = max(0.25, float(np.max(shares)))
    each = width / len(shares)
    parts = _frame(left, top, width, height)
    for n, share in enumerate(shares.tolist()):
        tall = height * share / most
        parts.append(
            f'<rect class="twin" x="{left + n * each + 1:.1f}" y="{top + height - tall:.1f}" '
            f'width="{each - 2:.1f}" height="{tall:.1f}"/>'
        )
    ideal = top + height - height / len(shares) / most
    parts.append(_line([left, left + width], [ideal, ideal], "ideal"))
    parts.append(_text(left - 6, ideal + 4, f"{1 / len(shares):.0%}", "end", "axis"))
    parts.append(_text(left - 6, top + 8, f"{most:.0%}", "end", "axis"))
    for tick in (0.0, 0.5, 1.0):
        parts.append(_text(left + tick * width, top + height + 16, f"{tick:g}", "middle", "axis"))
    below = "where the reading fell in its forecast"
    parts.append(_text(left + width / 2, top + height + 32, below, "middle", "axis"))
    return _svg(left + width + 22, top + height + 40, title, parts)


def persons(title: str, each: Sequence[PersonScores]) -> Markup:
    """90 % coverage of each person, in order; filled where long enough to be judged."""
    ordered = sorted(each, key=lambda one: one.coverage[1])
    lowest = min(one.coverage[1] for one in ordered)
    lowest = max(0.0, min(0.7, math.floor(10 * lowest - 0.5) / 10))
    width, height, left, top = 360, 150, 46, 10

    def up(share: float) -> float:
        return top + height - height * (share - lowest) / (1.0 - lowest)

    parts = [
        f'<rect class="aim" x="{left}" y="{up(0.95):.1f}" width="{width}" '
        f'height="{up(0.85) - up(0.95):.1f}"/>',
        *_frame(left, top, width, height),
        _line([left, left + width], [up(0.9), up(0.9)], "ideal"),
    ]
    parts += [_text(left - 6, up(t) + 4, f"{t:.0%}", "end", "axis") for t in (lowest, 0.9, 1.0)]
    for n, one in enumerate(ordered):
        x = left + width * (n + 0.5) / len(ordered)
        kind = "judged" if one.independent >= JUDGED else "few"
        parts.append(
            f'<circle class="{kind}" cx="{x:.1f}" cy="{up(one.coverage[1]):.1f}" r="3.5"/>'
        )
    words = "persons, by coverage of the 90 % band"
    parts.append(_text(left + width / 2, top + height + 18, words, "middle", "axis"))
    return _svg(left + width + 22, top + height + 26, title, parts)


def excerpt(title: str, shown: Excerpt, unit: str) -> Markup:
    """Reference against the forecast made for the same moment, with its 90 % band."""
    width, height, left, top = 780, 190, 52, 10
    low, high = float(np.min(shown.low)), float(np.max(shown.high))
    low, high = min(low, float(np.min(shown.truth))), max(high, float(np.max(shown.truth)))
    span, length = max(high - low, 1e-9), max(float(shown.seconds[-1]), 1e-9)
    x = [left + width * t / length for t in shown.seconds.tolist()]

    def up(values: NDArray[np.float64]) -> list[float]:
        return [top + height - height * (value - low) / span for value in values.tolist()]

    around = [*zip(x, up(shown.high), strict=True), *zip(x, up(shown.low), strict=True)][: len(x)]
    around += [*zip(x, up(shown.low), strict=True)][::-1]
    band = " ".join(f"{a:.1f},{b:.1f}" for a, b in around)
    parts = [f'<polygon class="band" points="{band}"/>', *_frame(left, top, width, height)]
    parts.append(_line(x, up(shown.mean), "twin"))
    parts += [
        f'<circle class="truth" cx="{a:.1f}" cy="{b:.1f}" r="1.6"/>'
        for a, b in zip(x, up(shown.truth), strict=True)
    ]
    parts.append(_text(left - 6, top + 8, _short(high), "end", "axis"))
    parts.append(_text(left - 6, top + height, _short(low), "end", "axis"))
    parts.append(_text(left - 6, top + height / 2, unit, "end", "axis"))
    parts.append(_text(left, top + height + 16, "0", "middle", "axis"))
    parts.append(_text(left + width, top + height + 16, _duration(length), "end", "axis"))
    words = "dots: reference · line: forecast made that long before · shade: its 90 % band"
    parts.append(_text(left + width / 2, top + height + 16, words, "middle", "axis"))
    return _svg(left + width + 22, top + height + 26, title, parts)


def history(
    title: str,
    at: NDArray[np.int64],
    value: NDArray[np.float64],
    smoothed: Smoothed,
    unit: str,
) -> Markup:
    """Measurements (stamps in ns), the filtered mean, and the smoothed one with its 95 % band.

    The dots are pale and lie below: a thousand of them must not hide the lines. A line ends at a
    gap: where for ten usual intervals nothing was measured. Of many points every so manieth is
    drawn.
    """
    width, height, left, top = 780, 260, 52, 10
    start, end = int(smoothed.at[0]), int(smoothed.at[-1])
    keep = slice(None, None, max(1, len(smoothed.at) // _MOST))
    times, mean, before = smoothed.at[keep], smoothed.mean[keep], smoothed.filtered_mean[keep]
    half = Z95 * smoothed.std[keep]
    edges = np.concatenate([mean - half, mean + half, value, before])
    low, high = float(np.min(edges)), float(np.max(edges))
    span, length = max(high - low, 1e-9), max(end - start, 1)

    def right(stamps: NDArray[np.int64]) -> list[float]:
        return [left + width * (t - start) / length for t in stamps.tolist()]

    def up(values: NDArray[np.float64]) -> list[float]:
        return [top + height - height * (v - low) / span for v in values.tolist()]

    every = slice(None, None, max(1, len(at) // _MOST))
    dots = (
        f'<circle class="truth" cx="{a:.1f}" cy="{b:.1f}" r="1.6"/>'
        for a, b in zip(right(at[every]), up(value[every]), strict=True)
    )
    parts = ['<g class="pale">', *dots, "</g>"]
    apart = np.diff(times)
    usual = max(float(np.median(apart)), 1.0) if len(apart) else 1.0
    cuts = np.flatnonzero(apart > 10 * usual) + 1
    for run in np.split(np.arange(len(times)), cuts):
        x = right(times[run])
        upper, lower = up((mean + half)[run]), up((mean - half)[run])
        around = [*zip(x, upper, strict=True), *reversed([*zip(x, lower, strict=True)])]
        band = " ".join(f"{a:.1f},{b:.1f}" for a, b in around)
        parts.append(f'<polygon class="band" points="{band}"/>')
        parts.append(_line(x, up(before[run]), "ideal"))
        parts.append(_line(x, up(mean[run]), "twin"))
    parts += _frame(left, top, width, height)
    for tick in _ticks(low, high):
        y = top + height - height * (tick - low) / span
        parts.append(_text(left - 6, y + 4, f"{tick:g}", "end", "axis"))
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        since = _duration(tick * length / SECOND) if tick else "0"
        where = "end" if tick == 1 else "middle"
        parts.append(_text(left + tick * width, top + height + 16, since, where, "axis"))
    words = "dots: measured · dashed: as filtered · line and shade: afterwards, 95 % band"
    parts.append(_text(left + width / 2, top + height + 34, f"{unit} · {words}", "middle", "axis"))
    return _svg(left + width + 22, top + height + 44, title, parts)


def compared(horizon: HorizonScores) -> list[tuple[str, float]]:
    """Rows of `bars`: the twin, then everything that forecast the same readings."""
    others: Sequence[Comparison] = horizon.comparisons
    return [("twin", horizon.metrics["rmse"]), *((each.name, each.rmse) for each in others)]


def _ticks(low: float, high: float) -> Sequence[float]:
    """About five round numbers from low to high."""
    rough = max(high - low, 1e-9) / 5
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * n for n in (1, 2, 5, 10) if size * n >= rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [n * step for n in range(first, last + 1)]


def _duration(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def _short(value: float) -> str:
    if not math.isfinite(value):
        return "–"
    return f"{value:#.3g}".rstrip(".") if abs(value) < 1000 else f"{value:.0f}"


def _svg(width: float, height: float, title: str, parts: Sequence[str]) -> Markup:
    inner = "".join(parts)
    return Markup(
        f'<svg role="img" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" aria-label="{escape(title)}">{inner}</svg>'
    )


def _frame(left: float, top: float, width: float, height: float) -> list[str]:
    return [f'<rect class="frame" x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}"/>']


def _line(x: Sequence[float], y: Sequence[float], cls: str, dash: str = "") -> str:
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<polyline class="{cls}" points="{points}"{dashed}/>'


def _text(x: float, y: float, text: str, anchor: str = "start", cls: str = "") -> str:
    kind = f' class="{cls}"' if cls else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{escape(text)}</text>'
