"""Metrics as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from twin.care.settings import Metric


def exposition(metrics: Iterable[Metric]) -> str:
    """Samples in the Prometheus text format, grouped by name."""
    groups: dict[str, list[Metric]] = {}
    for metric in metrics:
        groups.setdefault(metric.name, []).append(metric)
    return "".join(line + "\n" for group in groups.values() for line in _lines(group))


def _lines(group: list[Metric]) -> Iterator[str]:
    name = group[0].name
    yield f"# HELP {name} " + group[0].help.replace("\\", "\\\\").replace("\n", "\\n")
    yield f"# TYPE {name} " + ("counter" if name.endswith("_total") else "gauge")
    for metric in group:
        labels = ",".join(f'{key}="{_escaped(text)}"' for key, text in metric.labels.items())
        yield f"{name}{{{labels}}} {metric.value!r}" if labels else f"{name} {metric.value!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
