"""The hours in which somebody watches, and the notice outside them, in words."""

from __future__ import annotations

from twin.care.purpose import DAY_MINUTES, EVERY_DAY, Purpose
from twin.care.words import Words


def hours_words(purpose: Purpose, words: Words) -> str:
    """ "Mon–Fri 08:00–18:00"; of a service that never ends, that it does not."""
    if purpose.always:
        return words("hours.always")
    times = f"{clock_of(purpose.begins)}–{clock_of(purpose.ends)}"
    if (purpose.ends - purpose.begins) % DAY_MINUTES == 0:
        times = words("hours.day")
    return f"{_days(purpose.days, words)} {times}"


def uncovered_words(purpose: Purpose, words: Words) -> str:
    """What staff and patients read outside these hours: nobody watches, whom to call instead."""
    return words("notice.uncovered", number=purpose.emergency, hours=hours_words(purpose, words))


def _days(days: frozenset[int], words: Words) -> str:
    """Runs of three days or more as "Mon–Fri", others one by one."""
    if days == EVERY_DAY:
        return words("hours.every_day")
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    parts = []
    for run in runs:
        names = [words(f"weekday.{day}") for day in run]
        parts += [f"{names[0]}–{names[-1]}"] if len(names) > 2 else names
    return ", ".join(parts)


def clock_of(minutes: int) -> str:
    """Minutes of the day as HH:MM; the end of the day is 24:00."""
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
