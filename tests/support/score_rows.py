"""Scores of one tick as rows, the long way: object by object."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np

from twin.judgement import Score
from twin.score_row import (
    ANY3,
    BY_DEVICE,
    COMPLETE,
    HEAD_ROW,
    PART_ROW,
    SCALE_2,
    ScoreRows,
)


def rows_of(scores: Sequence[Score]) -> ScoreRows:
    """What is said of them, one moment and one model."""
    heads, parts, chances = [], [], []
    actors: list[str] = sorted(
        {part.actor for score in scores for part in score.components if part.source == "entry"}
    )
    for score in scores:
        marks = COMPLETE * score.complete | ANY3 * score.any3 | SCALE_2 * (score.spo2_scale == 2)
        present, likely = 0, 0
        for k, part in enumerate(score.components):
            if part.source:
                by = BY_DEVICE if part.source == "device" else actors.index(part.actor)
                parts.append((part.points, by, part.value, part.at))
                present |= 1 << k
        both = chain.from_iterable(
            (of.expected, of.p5, of.p7, of.p_any3) for of in (score.now, score.in_one_hour)
        )
        for k, chance in enumerate(both):
            if np.float64(chance).tobytes() != bytes(8):
                chances.append(chance)
                likely |= 1 << k
        heads.append((score.score, marks, present, likely))
    return ScoreRows(
        scores[0].at,
        scores[0].model,
        tuple(score.patient for score in scores),
        tuple(actors),
        np.array(heads, HEAD_ROW),
        np.array(parts, PART_ROW),
        np.array(chances, np.float64),
    )
