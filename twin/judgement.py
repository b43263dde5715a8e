"""What the twin concludes: alarms and NEWS2 scores, as they go through the estimates journal.

One record is a `Judgements`: the transitions of alarms and the score rows of one partition at one
moment. A reader that folds them in order (newest row of an alarm's id, newest score of a patient)
has the present; all rows of an id, in order, are the alarm's story. Times are int64 ns UTC, 0 where
there is none; numbers are in the signal's canonical unit, NaN where there is none.

Words of IEC 60601-1-8: alarm condition, priority, physiological and technical, latching,
acknowledged (responsibility accepted), paused.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from twin.personal import Change, Consistency


class AlarmKind(StrEnum):
    """What an alarm is about."""

    PHYSIOLOGICAL = "physiological"  # the patient: a limit of a vital, or the score
    TECHNICAL = "technical"  # the equipment: no data, poor signal, a gateway silent
    ADVISORY = "advisory"  # a forecast: listed, never sounds, calls nobody


class Priority(StrEnum):
    """How soon somebody must come: at once, promptly, or know of it. An advisory has none."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    NONE = "none"


class AlarmState(StrEnum):
    """Where an alarm is in its life.

    pending → active → acknowledged → closed, or active → latched → closed. Paused and unverified
    are no states of their own but marks on it (`Alarm.paused_until`, `Alarm.unverified`).
    """

    PENDING = "pending"  # the condition holds, its delay has not passed: not shown as an alarm
    ACTIVE = "active"  # somebody must come, nobody has taken it
    ACKNOWLEDGED = "acknowledged"  # `taken_by` has it; the condition still holds
    LATCHED = "latched"  # the condition is gone, nobody has seen it yet (high priority only)
    CLOSED = "closed"  # over; `outcome` says how


class AlarmEvent(StrEnum):
    """Which transition a row is."""

    PENDING = "pending"
    RAISED = "raised"  # pending → active
    ALARMED_AGAIN = "alarmed_again"  # worse, or not handled in time: taken away from `taken_by`
    ACKNOWLEDGED = "acknowledged"
    ESCALATED = "escalated"  # nobody took it in time: `escalation` is the step now reached
    UNVERIFIED = "unverified"  # no good data any more; it stays, nobody knows whether it is true
    VERIFIED = "verified"  # good data again
    PAUSED = "paused"
    RESUMED = "resumed"  # the pause ended, by a person or by time
    LATCHED = "latched"
    CLOSED = "closed"
    SEEN = "seen"  # `actor` opened it; nobody has taken it by that
    NOTE = "note"  # a person wrote `reason` to it


class Alarm(msgspec.Struct, frozen=True, array_like=True):
    """One transition of one alarm, with all that was known then: the newest row is the alarm.

    id: opaque, the same in all rows of the alarm; one alarm lasts from its condition's beginning
    (pending) to `closed`, and the next time gets a new id. patient: "" for a technical alarm that
    concerns no patient. signal: code of the vital, "news2" for the score, "" if it is about no one
    signal. rule: which rule, "signal/priority/side" (`spo2/high/low`) or the technical cause.

    at: the transition's journal time. since: when it became active (its condition's beginning while
    pending). value: the estimate then, as of its newest measurement and not as it is expected to
    be by now; of a person's entry the value; std: its standard deviation.
    worst: the worst value since the beginning. limit: the limit that it is beyond. side: "low" or
    "high". probability: that the true value was beyond the limit. priority may rise with a row
    (then event is `alarmed_again`); it never falls.

    actor: who caused this row; "" = the rules. taken_by: who has it, "" = nobody. reason: of a
    pause, a note or a refusal to go on, as given. paused_until: end of the pause, 0 = not paused.
    escalation: 0 assigned nurse, 1 whole team, 2 shift lead, 3 physician. outcome, when closed:
    "subsided" (pending only), "cleared" (condition gone before or after it was acknowledged),
    "recurred" (of before: latched, and a new alarm took its place), "replaced" (pending only: the
    latched alarm of the same rule calls again), "limits_changed", "alarms_off", or what a person
    closed it with ("acted", "watched", "false", "other"). cause: what it is in one code,
    "below_limit", "above_limit", or the technical cause ("signal_quality", "no_data", …); count:
    how many devices share a technical cause. model: version of the model that made the estimate.
    limit_by, limit_reason: who set the limit and why ("" = the default). joined: id of the alarm of
    the same patient that calls for this one too, and with which it is taken ("" = by itself).
    """

    id: str
    patient: str
    signal: str
    kind: AlarmKind
    rule: str
    priority: Priority
    state: AlarmState
    event: AlarmEvent
    at: int
    since: int
    value: float
    std: float
    worst: float
    limit: float
    side: str
    probability: float
    cause: str
    model: str = ""
    actor: str = ""
    taken_by: str = ""
    reason: str = ""
    paused_until: int = 0
    unverified: bool = False
    escalation: int = 0
    outcome: str = ""
    count: int = 1
    limit_by: str = ""
    limit_reason: str = ""
    joined: str = ""

    @property
    def shown(self) -> str:
        """The state in one word, marks included: paused, unverified, escalated, else `state`."""
        if self.state in (AlarmState.ACTIVE, AlarmState.ACKNOWLEDGED):
            if self.paused_until:
                return "paused"
            if self.unverified:
                return "unverified"
            if self.escalation and self.state == AlarmState.ACTIVE:
                return "escalated"
        return self.state.value


class Component(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One of the seven parameters of a score.

    parameter: one of `PARAMETERS`. points: 0–3, −1 where it is missing or too old. value: what was
    scored, rounded as reported; of consciousness the letter's place in "ACVPU", of oxygen 0 air, 1
    oxygen. at: time of its newest input (0: never any), also when too old to count. source:
    "device" or "entry" ("" = none yet); actor: who entered it.
    """

    parameter: str
    points: int
    value: float
    at: int
    source: str = ""
    actor: str = ""


#: The parameters of NEWS2 in the order of the RCP's chart.
PARAMETERS = (
    "respiratory_rate",
    "spo2",
    "oxygen",
    "systolic_bp",
    "pulse",
    "consciousness",
    "temperature",
)


class Chances(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The score as a probability: expected score, P(≥ 5), P(≥ 7), P(any parameter 3).

    Of what is known: a parameter of which nothing is known counts 0, a vital that was not measured
    lately counts with all that it may be by now.
    """

    expected: float
    p5: float
    p7: float
    p_any3: float


class Score(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """NEWS2 of one patient at one moment. Written when it changes, and once a minute.

    score: sum of the points that are known, 0–20; a lower bound where not `complete` ("5+").
    any3: a single parameter scores 3. spo2_scale 1 or 2. now, in_one_hour: as probabilities.
    validated_by: "" = NEWS2 auto (computed, smoothed); else the person who validated this set as an
    observation: only that is *the* NEWS2. components: seven, in the order of `PARAMETERS`.
    """

    patient: str
    at: int
    score: int
    complete: bool
    any3: bool
    spo2_scale: int
    now: Chances
    in_one_hour: Chances
    components: tuple[Component, ...]
    model: str = ""
    validated_by: str = ""


class LimitSet(msgspec.Struct, frozen=True, array_like=True):
    """Somebody set limits, at one level: the newest of a level, signal and priority holds.

    patient: "" of the ward's (profile "") or a profile's; profile alone with a patient and no
    signal: this patient has that profile from now on ("" = none). removed: what was set there goes,
    the level before holds. low, high NaN = none; delay_s, hysteresis as in docs/alarms.md. What
    nobody set is `twin.assessment.limits.DEFAULTS`.
    """

    patient: str
    profile: str
    signal: str
    priority: str
    removed: bool
    low: float
    high: float
    delay_s: float
    hysteresis: float
    author: str
    reason: str
    review_at: int
    at: int


class Pause(msgspec.Struct, frozen=True, array_like=True):
    """A pause of all alarms of one signal of one patient began, or ended (`until` 0).

    It is said beside the rows of the alarm that it concerns, and also where there is none.
    """

    patient: str
    signal: str
    until: int
    reason: str
    actor: str
    at: int


class Switched(msgspec.Struct, frozen=True, array_like=True):
    """Alarms were switched on or off for everybody, and the mode that is in force.

    Said in every partition of its journal: the newest holds.
    """

    alarms: bool
    mode: str
    actor: str
    at: int


class Entered(msgspec.Struct, frozen=True, array_like=True):
    """What a person entered about a patient, as it stands in the patient's journal.

    id: of the command. kind: of the entry (`note`, `consciousness`, `systolic_bp`, `validated`, …);
    value: the words of a note, or what was entered, canonical unit. at: ns UTC, of what was seen.
    """

    patient: str
    id: str
    kind: str
    value: str
    at: int
    actor: str


class Judgements(msgspec.Struct, frozen=True, array_like=True):
    """Alarm transitions, scores and changed settings of one partition at one moment.

    Alarms, scores and changes are sorted by patient. What a tick says of scores are
    `twin.score_row.ScoreRows`.
    """

    alarms: tuple[Alarm, ...] = ()
    scores: Sequence[Score] = ()
    limits: tuple[LimitSet, ...] = ()
    pauses: tuple[Pause, ...] = ()
    switched: tuple[Switched, ...] = ()
    changes: tuple[Change, ...] = ()
    entries: tuple[Entered, ...] = ()
    consistency: tuple[Consistency, ...] = ()
