"""A recording as its devices are declared: older by their delay, with their noise, less their bias.

delay    measured_at is earlier by it: a delayed average is of then.
noise    of a value, where the row says none.
bias     each device's bias b is an Ornstein–Uhlenbeck process; where several devices measure the
         same, their block means differ by their biases, and b is filtered from that (Kalman 1960),
         the level of each block being unknown. A value is less by what was known of its device's b
         before its block; what is not known of b is added to its variance.

Everything is a function of the recording sorted by measured time, and never looks ahead.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import SIGNALS
from ingest.instant import MINUTE, SECOND
from ingest.recording import Recording
from twin.estimation.device_tables import NOTHING, DeviceNoise, DeviceTable, table_of
from twin.estimation.models import ModelFile

#: Blocks in which devices are compared, and how many values of each there must be in one.
BLOCK = 5 * MINUTE
LEAST_VALUES = 2
#: Of the level of a block nothing is known: its variance in units of the signal's spread².
_FLAT = 1e4
Numbers = NDArray[np.float64]


def as_declared(recording: Recording, model: ModelFile) -> Recording:
    """The recording with what the model's device tables say; without any, the very same object."""
    tables = {d: table_of(model.devices, d) for d in set(recording.device)}
    if not any(tables.values()):
        return recording
    delay = {d: round((0.0 if t is None else t.delay) * SECOND) for d, t in tables.items()}
    shift = np.array([delay[d] for d in recording.device], np.int64)
    made = replace(recording, measured_at=recording.measured_at - shift)
    value, noise = made.value.copy(), made.noise_std.copy()
    keys = defaultdict[tuple[str, str], list[int]](list)
    for n, key in enumerate(zip(made.patient, made.signal, strict=True)):
        keys[key].append(n)
    for (_, code), places in keys.items():
        if code in model.signals:
            rows = np.array(places)[np.argsort(made.measured_at[places], kind="stable")]
            _correct(made, rows, code, model, tables, value, noise)
    return replace(made, value=value, noise_std=noise)


def _correct(
    recording: Recording,
    rows: NDArray[np.int64],
    code: str,
    model: ModelFile,
    tables: Mapping[str, DeviceTable | None],
    value: Numbers,
    noise: Numbers,
) -> None:
    """Write the values and noises of a key's rows (by time)."""
    devices = sorted({recording.device[n] for n in rows})
    said = [NOTHING if (t := tables[d]) is None else t.signals.get(code, NOTHING) for d in devices]
    if all(each == NOTHING for each in said):
        return
    which = np.array([devices.index(recording.device[n]) for n in rows])
    at, z = recording.measured_at[rows], recording.value[rows]
    constants = model.signals[code]
    own = noise[rows].astype(np.float64)
    for d, each in enumerate(said):
        mine = which == d
        own[mine] = np.where(own[mine] > 0, own[mine], each.noise or constants.noise)
    b, var = biases(at, which, z, own, said, constants.spread)
    changed = np.array([each != NOTHING for each in said])[which]
    signal = SIGNALS[code]
    value[rows] = np.where(changed & (b != 0), np.clip(z - b, signal.lower, signal.upper), z)
    noise[rows] = np.where(changed, np.sqrt(own**2 + var), noise[rows])


def biases(
    at: NDArray[np.int64],
    which: NDArray[np.int64],
    value: Numbers,
    noise: Numbers,
    said: Sequence[DeviceNoise],
    spread: float,
) -> tuple[Numbers, Numbers]:
    """(n,) what was known of each value's bias before its block, and the variance of what was not.

    at (ns, in order), which (n,) indexes of said, noise (n,) standard deviations. What a device
    says twice of one stamp counts once.
    """
    k = len(said)
    prior = np.array([each.bias**2 for each in said])
    known, doubt = np.zeros(len(at)), np.zeros(len(at))
    if not prior.any() or not len(at):
        return known, doubt
    b, P, before = np.zeros(k), np.diag(prior), int(at[0] // BLOCK)
    times = np.array([each.bias_time for each in said])
    cuts = np.flatnonzero(np.diff(at // BLOCK)) + 1
    once = np.zeros(len(at), bool)
    once[np.unique(np.stack([at, which]), axis=1, return_index=True)[1]] = True
    for rows in np.split(np.arange(len(at)), cuts):
        block = int(at[rows[0]] // BLOCK)
        fade = np.exp(-(block - before) * (BLOCK / SECOND) / times)
        b, P, before = fade * b, P * np.outer(fade, fade) + np.diag((1 - fade**2) * prior), block
        known[rows], doubt[rows] = b[which[rows]], np.diag(P)[which[rows]]
        rows = rows[once[rows]]
        b, P = _compared(b, P, which[rows], value[rows], noise[rows], spread)
    return known, doubt


def _compared(
    b: Numbers, P: Numbers, which: NDArray[np.int64], value: Numbers, noise: Numbers, spread: float
) -> tuple[Numbers, Numbers]:
    """b and P after a block, in which devices that have values enough are compared by medians."""
    k = len(b)
    seen = [d for d in range(k) if np.count_nonzero(which == d) >= LEAST_VALUES]
    if len(seen) < 2:
        return b, P
    middle = float(np.median(value))
    x, full = np.append(b, middle), np.zeros((k + 1, k + 1))
    full[:k, :k], full[k, k] = P, _FLAT * spread**2
    for d in seen:
        mine = which == d
        z = value[mine]
        # A median of values that wander as much as they do here, and as noisy as the device is.
        r = (float(np.var(z)) + float(np.mean(noise[mine] ** 2))) / len(z) + np.finfo(float).eps
        h = np.zeros(k + 1)
        h[d] = h[k] = 1.0
        g = full @ h
        s = float(h @ g) + r
        x = x + g * (float(np.median(z)) - float(h @ x)) / s
        full = full - np.outer(g, g) / s
    return x[:k], full[:k, :k]
