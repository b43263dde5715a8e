"""What limits would have raised: a back-test on the record, before they are enabled.

The recorded observations go through the whole step once with the limits in question; no state of
the running twin is touched. Somebody is thought to take every alarm two minutes after it calls.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from ingest.instant import DAY, HOUR, MINUTE, format_instant
from ingest.observation import Command
from ingest.recording import Recording
from twin.estimate import Output
from twin.estimation.models import ModelFile
from twin.judgement import Alarm, AlarmEvent, AlarmKind, AlarmState, Judgements
from twin.offline import assess

#: Alarms that a ward can answer, for each patient and day, all and high (docs/alarms.md).
BUDGET, BUDGET_HIGH = 2.0, 0.2
#: Transitions at which somebody is called.
CALLS = frozenset({AlarmEvent.RAISED, AlarmEvent.ALARMED_AGAIN})
#: An alarm that calls is taken after so long.
TAKEN_AFTER = 2 * MINUTE
_WIDTH, _HEIGHT, _BAR = 960, 160, 140


def is_call(row: Alarm) -> bool:
    """Does this transition call somebody? What joins another alarm, or foresees one, does not."""
    return row.event in CALLS and row.kind != AlarmKind.ADVISORY and not row.joined


@dataclass(slots=True)
class Attendant:
    """Takes every alarm that calls, so long (ns) afterwards: an `Answer` of `twin.offline`."""

    after: int = TAKEN_AFTER
    #: Alarm → (when it is taken, of whom it is).
    _due: dict[str, tuple[int, str]] = field(default_factory=dict)

    def __call__(self, said: Sequence[Output], at: int) -> list[Command]:
        for output in said:
            for row in output.alarms if isinstance(output, Judgements) else ():
                if row.state in (AlarmState.ACKNOWLEDGED, AlarmState.CLOSED):
                    self._due.pop(row.id, None)
                elif is_call(row):
                    self._due.setdefault(row.id, (row.at + self.after, row.patient))
        due = [(id, patient) for id, (when, patient) in self._due.items() if when <= at]  # noqa: A001
        for alarm, _patient in due:
            del self._due[alarm]
        return [
            Command(f"{alarm}-{at}", "acknowledge", "back-test", at, {"alarm": alarm}, patient)
            for alarm, patient in due
        ]


@dataclass(frozen=True, slots=True)
class Backtest:
    """Alarms that would have been raised (advisories left out), oldest first.

    begin, end: first and last receipt of the record, ns UTC; patients: those in it; by_rule: (rule,
    priority) → how many; each_day, each_day_high: for each patient and day.
    """

    raised: Sequence[Alarm]
    patients: int
    begin: int
    end: int
    by_rule: dict[tuple[str, str], int]
    each_day: float
    each_day_high: float

    @property
    def within_budget(self) -> bool:
        """Whether a ward could answer them."""
        return self.each_day <= BUDGET and self.each_day_high <= BUDGET_HIGH


def backtest(
    recording: Recording, commands: Sequence[Command] = (), model: ModelFile | None = None
) -> Backtest:
    """What these limits (commands `limits`, with entries) would have raised on the recording.

    Raises ValueError: nothing in it is usable, or limits that cannot hold together.
    """
    done = assess(recording, commands, model, scores=False, answer=Attendant())
    given = {command.id for command in commands}
    if refused := [each for each in done.refused if each[0] in given]:
        raise ValueError(": ".join(refused[0]))
    raised = [
        row
        for row in done.alarms
        if row.event == AlarmEvent.RAISED and row.kind != AlarmKind.ADVISORY
    ]
    begin, end = int(recording.received_at.min()), int(recording.received_at.max())
    patients = len(set(recording.patient))
    days = max((end - begin) / DAY, 1 / 24) * patients
    by_rule = Counter((row.rule, row.priority.value) for row in raised)
    high = sum(n for (_, priority), n in by_rule.items() if priority == "high")
    counts = dict(sorted(by_rule.items()))
    return Backtest(raised, patients, begin, end, counts, len(raised) / days, high / days)


def backtest_page(found: Backtest) -> str:
    """The back-test as a page: counts, budget, a bar for each hour. No script, no identities."""
    rows = "".join(
        f"<tr><td>{escape(rule)}</td><td>{escape(priority)}</td><td>{count}</td></tr>"
        for (rule, priority), count in found.by_rule.items()
    )
    span = f"{format_instant(found.begin)} – {format_instant(found.end)}"
    verdict = "within" if found.within_budget else "beyond"
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Back-test of limits</title>'
        "<style>body{font:16px system-ui;margin:2em;max-width:60em}td,th{padding:2px 12px;"
        "text-align:left}rect{fill:#0072b2}</style><h1>Back-test of limits</h1>"
        f"<p>{span}. These limits would have raised {len(found.raised)} alarms for "
        f"{found.patients} patients: {found.each_day:.2f} for each patient and day, "
        f"{found.each_day_high:.2f} of them high; {verdict} the budget of {BUDGET:g} and "
        f"{BUDGET_HIGH:g}.</p>{_plot(found)}"
        f"<table><tr><th>rule</th><th>priority</th><th>alarms</th></tr>{rows}</table></html>"
    )


def _plot(found: Backtest) -> str:
    """Alarms of each hour (of each day where there are more than two weeks)."""
    step = HOUR if found.end - found.begin <= 14 * DAY else DAY
    count = (found.end - found.begin) // step + 1
    of = Counter((row.at - found.begin) // step for row in found.raised)
    most = max(of.values(), default=1)
    width = _WIDTH / count
    bars = "".join(
        f'<rect x="{n * width:.1f}" y="{_BAR - _BAR * k / most:.1f}" '
        f'width="{max(width - 1, 1):.1f}" height="{_BAR * k / most:.1f}"><title>{k}</title></rect>'
        for n, k in sorted(of.items())
    )
    unit = "hour" if step == HOUR else "day"
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="Alarms of each {unit}, '
        f'at most {most}">{bars}<text x="0" y="{_HEIGHT - 4}">alarms of each {unit}, '
        f"at most {most}</text></svg>"
    )
