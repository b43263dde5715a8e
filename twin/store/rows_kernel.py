"""Rows of an estimate batch in the form in which they are stored, compiled.

Numbers are rounded as `blocks.rounded_to` does it; a property test compares them. source: rows of
dtype ESTIMATE_ROW; chosen: indexes of those that are stored; series: (n,) of each chosen one; rows:
(n,) of the layout's dtype, which are written.
"""

from __future__ import annotations

from pathlib import Path

from numpy import rint

from ingest.compiled import kernels
from twin.store.columns_kernel import SOURCES, number_of_series, stamp

_MILLISECOND = 1_000_000

compiled, inlined = kernels(Path(__file__).with_name(name) for name in (*SOURCES, "rows_kernel.py"))


@inlined
def _rounded(number, per_unit):  # type: ignore[no-untyped-def]
    return rint(number * per_unit) / per_unit + 0.0  # adding zero turns −0.0 into 0.0


@compiled
def estimates(source, chosen, series, per_unit, plain, models, model, rows):  # type: ignore[no-untyped-def]
    """per_unit: (signals,) steps in one unit of each; plain: of what has no unit; models, model:
    the numbers of the model versions, and of each row of source which it is."""
    for j in range(chosen.shape[0]):
        said, row = source[chosen[j]], rows[j]
        unit = per_unit[said.signal]
        row.series, row.time = series[j], said.as_of
        row.mean, row.std = _rounded(said.mean, unit), _rounded(said.std, unit)
        row.scale50, row.scale90, row.scale95 = said.scale50, said.scale90, said.scale95
        row.trend, row.trend_std = _rounded(said.trend, unit), _rounded(said.trend_std, unit)
        row.nis, row.weight = _rounded(said.nis, plain), _rounded(said.weight, plain)
        row.known_at = said.received_at // _MILLISECOND * _MILLISECOND
        row.model, row.status = models[model[chosen[j]]], said.status


@compiled
def observations(source, chosen, series, rows):  # type: ignore[no-untyped-def]
    """The same of observations, which are kept as they are."""
    for j in range(chosen.shape[0]):
        said, row = source[chosen[j]], rows[j]
        row.series, row.time, row.value = series[j], said.measured_at, said.value
        row.received_at, row.device_stamp = said.received_at, said.device_stamp
        row.noise_std, row.quality, row.verdict = said.noise_std, said.quality, said.verdict


@compiled
def numbers(source, chosen, patients, signals, devices, every, known, of_device, series, other):  # type: ignore[no-untyped-def]
    """Write into series (n,) the number of each chosen row's, as far as it is known; how many rows
    are of another device than the series that is known, and into other (n,) which. −1: a row names
    nobody of its batch.

    patients, signals, devices, every, known, of_device (patients, signals): see `KnownSeries`.
    """
    others = 0
    for j in range(chosen.shape[0]):
        said = source[chosen[j]]
        device = said.device if every else 0
        if (
            said.patient >= patients.shape[0]
            or said.signal >= signals.shape[0]
            or device >= devices.shape[0]
        ):
            return -1
        patient, signal = patients[said.patient], signals[said.signal]
        series[j] = known[patient, signal]
        if of_device[patient, signal] != devices[device]:
            other[others] = j
            others += 1
    return others


@compiled
def all_newer(rows, item, newest, before):  # type: ignore[no-untyped-def]
    """Whether each row is newer than all that is known of its series and than those before it here;
    then newest (series,) says so, else it is as it was.

    rows: bytes of rows of `item` bytes each; before: (n,), scratch."""
    for i in range(before.shape[0]):
        number, time = number_of_series(rows, i * item), stamp(rows, i * item)
        before[i] = newest[number]
        if time <= before[i]:
            for j in range(i - 1, -1, -1):
                newest[number_of_series(rows, j * item)] = before[j]
            return False
        newest[number] = time
    return True


@compiled
def count(rows, item, n, device, counts):  # type: ignore[no-untyped-def]
    """Add the n rows to counts, by device; False, and nothing is added, where a series' device is
    not known.

    rows: bytes of rows of `item` bytes each; device (series,): number of each one's, 0: unknown."""
    for i in range(n):
        if device[number_of_series(rows, i * item)] == 0:
            return False
    for i in range(n):
        counts[device[number_of_series(rows, i * item)]] += 1
    return True


@compiled
def in_another(rows, item, newest, length, other):  # type: ignore[no-untyped-def]
    """Write into other (n,) which rows are not of the `length` ns from the stamp on that newest
    (series,) says of their series; how many. −1: newest knows too few series.

    rows: bytes of rows of `item` bytes each."""
    others = 0
    for i in range(other.shape[0]):
        number = number_of_series(rows, i * item)
        if number >= newest.shape[0]:
            return -1
        if not 0 <= stamp(rows, i * item) - newest[number] < length:
            other[others] = i
            others += 1
    return others
