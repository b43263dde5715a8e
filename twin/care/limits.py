"""Which limits hold for a patient, and at which level each of them was set."""

from __future__ import annotations

from collections.abc import Mapping

from twin.assessment.limits import Rules
from twin.care.board import Board
from twin.judgement import PARAMETERS

#: (rules in force, level of each, the patient's profile)
LimitsInForce = tuple[Rules, Mapping[tuple[str, str], str], str]
_LEVELS = ("patient", "profile", "ward")
_OXYGEN = PARAMETERS.index("oxygen")


def limits_in_force(board: Board, patient: str) -> LimitsInForce:
    """patient "": the ward's. The scale and oxygen that default limits of SpO2 depend on are those
    of the newest score."""
    score, levels = board.score(patient), board.levels
    scale = 1 if score is None else score.spo2_scale
    oxygen = score is not None and score.components[_OXYGEN].value == 1
    rules = levels.in_force(patient, scale, oxygen)
    found = dict.fromkeys(rules, "default")
    for level, own in reversed(list(zip(_LEVELS, levels.own(patient), strict=True))):
        found |= dict.fromkeys(own, level)
    return rules, found, levels.profile_of.get(patient, "")
