"""Every boundary of the NEWS2 chart: (vital, value, points, SpO2 scale, on oxygen)."""

from __future__ import annotations

# Royal College of Physicians, NEWS2 2017, chart 1: (value, points).
RESPIRATION = [(4, 3), (8, 3), (9, 1), (11, 1), (12, 0), (20, 0), (21, 2), (24, 2), (25, 3)]
SCALE_1 = [(83, 3), (91, 3), (92, 2), (93, 2), (94, 1), (95, 1), (96, 0), (100, 0)]
_LOW_2 = [(80, 3), (83, 3), (84, 2), (85, 2), (86, 1), (87, 1), (88, 0), (92, 0)]
SCALE_2_AIR = [*_LOW_2, (93, 0), (95, 0), (97, 0), (100, 0)]
SCALE_2_OXYGEN = [*_LOW_2, (93, 1), (94, 1), (95, 2), (96, 2), (97, 3), (100, 3)]
SYSTOLIC = [(70, 3), (90, 3), (91, 2), (100, 2), (101, 1), (110, 1), (111, 0), (219, 0), (220, 3)]
PULSE = [
    (30, 3), (40, 3), (41, 1), (50, 1), (51, 0), (90, 0), (91, 1), (110, 1), (111, 2), (130, 2),
    (131, 3),
]  # fmt: skip
TEMPERATURE = [
    (34.0, 3), (35.0, 3), (35.1, 1), (36.0, 1), (36.1, 0), (38.0, 0), (38.1, 1), (39.0, 1),
    (39.1, 2), (41.0, 2),
]  # fmt: skip
VECTORS = [
    *((0, value, points, 1, False) for value, points in RESPIRATION),
    *((1, value, points, 1, oxygen) for value, points in SCALE_1 for oxygen in (False, True)),
    *((1, value, points, 2, False) for value, points in SCALE_2_AIR),
    *((1, value, points, 2, True) for value, points in SCALE_2_OXYGEN),
    *((2, value, points, 1, False) for value, points in SYSTOLIC),
    *((3, value, points, 1, False) for value, points in PULSE),
    *((4, value, points, 1, False) for value, points in TEMPERATURE),
]
