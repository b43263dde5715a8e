"""Columns of stored rows, and how compiled functions know them (`columns_kernel`)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: What a column can be; compiled functions know its form by the place here.
FORMS = ("u1", "<u2", "<u4", "<i8", "<f4", "<f8")
U1, U2, U4, I8, F4, F8 = range(6)
#: What they know of a column: its place in a row, its form, flags. And the flags.
PLACE, FORM, FLAGS = range(3)
FROM_TIME, SMOOTH, PLAIN = 1, 2, 4


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a block. from_time: kept as difference to the row's time. plain: has no unit.

    smooth: neighbours are alike, so their differences are kept.
    """

    name: str
    form: str
    smooth: bool = False
    from_time: bool = False
    plain: bool = False

    @property
    def flags(self) -> int:
        """As compiled functions know them."""
        return FROM_TIME * self.from_time + SMOOTH * self.smooth + PLAIN * self.plain


class Layout:
    """Columns of one kind of row: `first` are what a chart needs, `second` the rest.

    rows: dtype of all columns, with the series' number in front; chart: dtype of `first` alone.
    """

    def __init__(self, first: tuple[Column, ...], second: tuple[Column, ...] = ()) -> None:
        self.first, self.second = first, second
        self.rows = np.dtype([("series", "<u4"), *((c.name, c.form) for c in first + second)])
        self.chart = np.dtype([(c.name, c.form) for c in first])
        #: What compiled functions know of the columns (PLACE, FORM, FLAGS), with the series and
        #: without it.
        described = [self._described(column) for column in first + second]
        self.with_series = np.array([(0, U4, 0), *described])
        self.columns = self.with_series[1:]

    def _described(self, column: Column) -> tuple[int, int, int]:
        place: int = self.rows.fields[column.name][1]  # type: ignore[index]
        return place, FORMS.index(column.form), column.flags
