"""What if: forecasts of one patient under declared effects, branched from the twin's state.

mean and covariance are moved on by the same F and Q as live; an effect adds its own mean and its
own uncertainty. A scenario has a copy of the state: it is never journalled or stored, and every
output says that it is no measurement. Effects are declared by whoever asks; the twin vouches for
none.

activity  level through a first-order lag (45 s rising, 90 s falling), times a gain ± its std: those
          that are declared, else what the twin has learnt of the person's heart (`personal`)
drug      amount ± std, in full when onset and decay balance: (e^(−t/decay) − e^(−t/onset)) over its
          peak, the shape of a substance taken up and eliminated at constant rates (Bateman 1910)
lost      a device that measures no more: `known_std` is how sure the twin will be of the value
          then, with the devices that are left going on at their interval and noise
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.catalogue import SIGNALS
from ingest.instant import SECOND
from twin.bands import Z50, Z90, Z95
from twin.estimation.bank import SIGNAL_ROW, Bank
from twin.estimation.kalman import PDD, PDV, PMD, PMM, PMV, PVV
from twin.estimation.models import SHARED
from twin.estimation.smoother import transition
from twin.estimation.tracker import TH, WIDTHS

MOST_POINTS = 2_000
RISING_S, FALLING_S = 45.0, 90.0
#: The fastest rhythm at which a device is taken to go on (s): faster gains nothing and costs time.
_FASTEST_S = 1.0
#: So many measurements of each step are gone through one by one.
_PARTS = 100
Numbers = NDArray[np.float64]
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=30 * 86_400)]
_Time = Annotated[float, msgspec.Meta(gt=0, le=30 * 86_400)]
_Spread = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
_Amount = Annotated[float, msgspec.Meta(ge=-1e6, le=1e6)]


class Activity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A level of activity from begins_s to ends_s, and what one unit of it does to a signal.

    Without gain and gain_std: the person's own, of the heart rate, to a level of the signal
    `measured`, in its unit.
    """

    ends_s: _Time
    level: _Spread
    gain: _Amount | None = None
    gain_std: _Spread | None = None
    begins_s: _Seconds = 0.0
    signal: str = "heart_rate"
    measured: str = "activity"


class Drug(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The declared effect of a drug on a signal: amount ± std at its peak."""

    signal: str
    amount: _Amount
    std: _Spread
    onset_s: _Time
    decay_s: _Time
    begins_s: _Seconds = 0.0
    name: Annotated[str, msgspec.Meta(max_length=200)] = ""


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked: how far ahead, in which steps (s), and the effects. lost: ids of devices."""

    name: Annotated[str, msgspec.Meta(max_length=200)] = ""
    horizon_s: _Time = 3600.0
    step_s: Annotated[float, msgspec.Meta(ge=1, le=86_400)] = 60.0
    activity: Annotated[list[Activity], msgspec.Meta(max_length=50)] = []
    drug: Annotated[list[Drug], msgspec.Meta(max_length=50)] = []
    lost: Annotated[list[str], msgspec.Meta(max_length=50)] = []


class Response(msgspec.Struct, frozen=True):
    """How a person's heart answers a signal that says how active the person is.

    resting ± resting_std: heart rate at rest, /min; gain ± gain_std: /min for one unit of the
    signal; minutes learnt (0: what is assumed of people).
    """

    resting: float
    resting_std: float
    gain: float
    gain_std: float
    minutes: float


class ScenarioError(ValueError):
    """A scenario that cannot be asked; says where, what and what was expected."""


def read_scenario(content: bytes, named: str, toml: bool) -> Scenario:
    """The scenario in a TOML or JSON text. Raises ScenarioError naming the place."""
    try:
        decode = msgspec.toml.decode if toml else msgspec.json.decode
        made = decode(content, type=Scenario)
    except msgspec.ValidationError as error:
        raise ScenarioError(f"{named}: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise ScenarioError(f"{named}: {error}") from None
    except RecursionError:
        raise ScenarioError(f"{named}: nested too deeply") from None
    for where, wrong in _wrong(made):
        raise ScenarioError(f"{named}: {where}: {wrong}")
    return made


def personal(asked: Scenario, known: Mapping[str, Response]) -> Scenario:
    """The scenario with the person's own gain where an activity declares none.

    known: signal that is measured → the answer to it. Raises ScenarioError: an activity of which
    no gain is known, or with half of one.
    """
    made = []
    for i, activity in enumerate(asked.activity):
        said = activity.gain is not None, activity.gain_std is not None
        if any(said) != all(said):
            name = "gain" if said[1] else "gain_std"
            raise ScenarioError(f"activity[{i}].{name}: expected with its other half, or neither")
        if not any(said):
            if activity.signal != "heart_rate":
                raise ScenarioError(
                    f"activity[{i}].gain: expected, of {activity.signal} none is learnt"
                )
            if activity.measured not in known:
                expected = ", ".join(known) or "a gain, for the model assumes none"
                got = f"activity[{i}].measured: got {activity.measured!r}"
                raise ScenarioError(f"{got}, expected one of {expected}")
            own = known[activity.measured]
            activity = msgspec.structs.replace(activity, gain=own.gain, gain_std=own.gain_std)
        made.append(activity)
    return msgspec.structs.replace(asked, activity=made)


def _wrong(asked: Scenario) -> list[tuple[str, str]]:
    found = []
    if asked.horizon_s / asked.step_s > MOST_POINTS:
        found.append(("step_s", f"expected at most {MOST_POINTS} steps to the horizon"))
    if asked.step_s > asked.horizon_s:
        found.append(("step_s", "expected at most horizon_s"))
    for i, activity in enumerate(asked.activity):
        if activity.ends_s <= activity.begins_s:
            found.append((f"activity[{i}].ends_s", "expected after begins_s"))
    for i, drug in enumerate(asked.drug):
        if drug.onset_s >= drug.decay_s:
            found.append((f"drug[{i}].onset_s", "expected less than decay_s"))
    for kind, i, effect in _effects_of(asked):
        if effect.signal not in SIGNALS:
            codes = ", ".join(SIGNALS)
            where = f"{kind}[{i}].signal"
            found.append((where, f"got {effect.signal!r}, expected one of {codes}"))
    return found


def _effects_of(asked: Scenario) -> Iterator[tuple[str, int, Activity | Drug]]:
    """(kind, place, effect) of all that are declared."""
    for i, activity in enumerate(asked.activity):
        yield "activity", i, activity
    for i, drug in enumerate(asked.drug):
        yield "drug", i, drug


@dataclass(frozen=True, slots=True)
class Curve:
    """One signal of a scenario. at (n,) ns UTC; mean and std of the true value as seen from now;
    halves (3, n): half-widths of the 50, 90 and 95 % bands; known_std: of the value by then."""

    signal: str
    at: NDArray[np.int64]
    mean: Numbers
    std: Numbers
    halves: Numbers
    known_std: Numbers


def curves(bank: Bank, patient: str, devices: Sequence[str], asked: Scenario) -> list[Curve]:
    """Every signal of the patient under the scenario. devices: names by the bank's numbers.

    Activities have a gain (`personal`). Nothing of the bank is changed. Raises ScenarioError: the
    patient, a signal or a device that the twin does not know, an activity without a gain.
    """
    asked = personal(asked, {})
    slots = _slots_of(bank, patient)
    a = bank.slots.of
    heard = {code: _rhythms(bank, slot, devices) for code, slot in slots.items()}
    known = sorted({device for each in heard.values() for device in each})
    for i, device in enumerate(asked.lost):
        if device not in known:
            expected = ", ".join(known)
            raise ScenarioError(f"lost[{i}]: got {device!r}, expected one of {expected}")
    for kind, i, effect in _effects_of(asked):
        if effect.signal not in slots:
            expected = ", ".join(slots)
            where = f"{kind}[{i}].signal"
            raise ScenarioError(f"{where}: got {effect.signal!r}, expected one of {expected}")
    seconds = np.arange(0.0, asked.horizon_s + 0.5 * asked.step_s, asked.step_s)
    now = max(int(a["state_t"][slot]) for slot in slots.values())
    made = []
    for code, slot in slots.items():
        left = [each for device, each in heard[code].items() if device not in asked.lost]
        made.append(_curve(bank, code, slot, now, seconds, left, asked))
    return made


def _slots_of(bank: Bank, patient: str) -> Mapping[str, int]:
    number = bank.patients.numbers.get(patient)
    a, slots = bank.slots.of, bank.known()
    mine = slots[a["patient"][slots] == (-1 if number is None else number)]
    if number is None or not len(mine):
        raise ScenarioError(f"patient: got {patient!r}, of whom nothing was measured")
    codes = tuple(SIGNALS)
    found = {codes[a["model"][slot]]: int(slot) for slot in mine}
    return {code: found[code] for code in codes if code in found}


def _rhythms(bank: Bank, slot: int, devices: Sequence[str]) -> dict[str, tuple[float, float]]:
    """device → (interval s, noise variance), by what of it is in the ring."""
    a = bank.slots.of
    index = bank.slots.ring_index(np.array([slot]))
    stamps, numbers, noise = (a[name][index] for name in ("ring_t", "ring_device", "ring_r"))
    found = {}
    for number in np.unique(numbers).tolist():
        own = stamps[numbers == number]
        usual = float(bank.expected[a["model"][slot]]) / SECOND
        apart = float(np.diff(own).mean()) / SECOND if len(own) > 1 else usual
        variance = float(np.median(noise[numbers == number]))
        found[devices[number]] = (max(apart, _FASTEST_S), variance)
    return found


def _curve(
    bank: Bank,
    code: str,
    slot: int,
    now: int,
    seconds: Numbers,
    left: Sequence[tuple[float, float]],
    asked: Scenario,
) -> Curve:
    a, row, n = bank.slots.of, SIGNAL_ROW[code], len(seconds)
    behind = (now - int(a["state_t"][slot])) / SECOND
    mean, std = bank.ahead(np.full(n, slot), seconds + behind)
    th, signal = TH * a["waiting"][[slot], WIDTHS:], np.array([row])
    scales = np.concatenate([bank.scales(th, signal, float(s)) for s in seconds])
    shift, var = _effects(code, seconds, asked)
    total = np.sqrt(std**2 + var)
    z = np.array([Z50, Z90, Z95])
    halves = np.sqrt((z * scales * std[:, None]) ** 2 + z**2 * var[:, None]).T
    known = _known(bank, slot, row, seconds, left)
    signal_of = SIGNALS[code]
    bounded = np.clip(mean + shift, signal_of.lower, signal_of.upper)
    at = now + np.round(seconds * SECOND).astype(np.int64)
    return Curve(code, at, bounded, total, halves, np.sqrt(known**2 + var))


def _effects(code: str, seconds: Numbers, asked: Scenario) -> tuple[Numbers, Numbers]:
    """(shift of the mean, variance) (n,) of all effects on a signal; each is independent."""
    shift, var = np.zeros(len(seconds)), np.zeros(len(seconds))
    for activity in asked.activity:
        if activity.signal == code:
            felt = lagged(activity, seconds)
            shift += (activity.gain or 0.0) * felt
            var += ((activity.gain_std or 0.0) * felt) ** 2
    for drug in asked.drug:
        if drug.signal == code:
            share = taken_up(drug, seconds)
            shift += drug.amount * share
            var += (drug.std * share) ** 2
    return shift, var


def lagged(activity: Activity, seconds: Numbers) -> Numbers:
    """The level as the body answers it: it rises and falls exponentially."""
    t = np.maximum(seconds - activity.begins_s, 0.0)
    lasts = activity.ends_s - activity.begins_s
    rise = 1.0 - np.exp(-np.minimum(t, lasts) / RISING_S)
    return np.asarray(activity.level * rise * np.exp(-np.maximum(t - lasts, 0.0) / FALLING_S))


def taken_up(drug: Drug, seconds: Numbers) -> Numbers:
    """Share (n,) of the drug's amount: 0 before, 1 at its peak."""
    t = np.maximum(seconds - drug.begins_s, 0.0)
    rate = 1.0 / drug.onset_s - 1.0 / drug.decay_s
    peak = np.log(drug.decay_s / drug.onset_s) / rate

    def shape(at: Numbers) -> Numbers:
        return np.exp(-at / drug.decay_s) - np.exp(-at / drug.onset_s)

    return np.asarray(shape(t) / shape(np.array([peak]))[0], np.float64)


def _known(
    bank: Bank, slot: int, row: int, seconds: Numbers, left: Sequence[tuple[float, float]]
) -> Numbers:
    """std (n,) of the estimate while these devices (interval, variance) go on; of none: without."""
    x = bank.slots.of["state"][slot]
    P = np.array(
        [[x[PMM], x[PMD], x[PMV]], [x[PMD], x[PDD], x[PDV]], [x[PMV], x[PDV], x[PVV]]], np.float64
    )
    h = np.array([1.0, 1.0, 0.0])
    shared = 1.0 + (bank.params[row, SHARED] if len(left) > 1 else 0.0)
    information = sum(1.0 / (variance * shared * interval) for interval, variance in left)
    step = float(seconds[1] - seconds[0])
    interval = min((interval for interval, _ in left), default=step)
    parts = max(1, round(step / interval))
    # Of a long step the last part is enough: by then the measurements before it are told no more.
    part, parts = step / parts, min(parts, _PARTS)
    F, Q = transition(bank.params, row, part)
    F_rest, Q_rest = transition(bank.params, row, max(step - parts * part, 1e-9))
    found = np.empty(len(seconds))
    for i in range(len(seconds)):
        found[i] = np.sqrt(max(float(h @ P @ h), 0.0))
        P = F_rest @ P @ F_rest.T + Q_rest
        for _ in range(parts):
            P = F @ P @ F.T + Q
            if information:
                g = P @ h
                P = P - np.outer(g, g) / (float(h @ g) + 1.0 / (information * part))
    return found
