"""Alarms, scores and change indexes in the embedded store's file: tables beside the rows.

A judgement is kept as the journal has it (MessagePack of its struct; a computed score as its row,
in a file of format 3 as its struct too), with the columns that are asked for beside it. Everything
is part of the transaction that writes the rows and the position; written again it changes nothing.

alarm: one row for each alarm as its newest transition says; begun: when it was raised (pending:
when it began), last: its newest transition; raised: ever more than pending.
alarm_row: every transition, numbered in the journal's order. Its key is alarm, moment, event and
words (two notes may be of one moment).
score: by patient, moment and who validated it ("": computed). change: by patient and moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, repeat

import apsw
import msgspec

from twin import score_row
from twin.judgement import Alarm, AlarmState, Judgements, Score
from twin.personal import Change

_TABLES = """
CREATE TABLE IF NOT EXISTS alarm(
    id TEXT PRIMARY KEY, patient TEXT NOT NULL, begun INTEGER NOT NULL, last INTEGER NOT NULL,
    state TEXT NOT NULL, priority TEXT NOT NULL, raised INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS alarm_last ON alarm(last);
CREATE INDEX IF NOT EXISTS alarm_of ON alarm(patient, last);
CREATE TABLE IF NOT EXISTS alarm_row(
    number INTEGER PRIMARY KEY, alarm TEXT NOT NULL, at INTEGER NOT NULL, event TEXT NOT NULL,
    reason TEXT NOT NULL, body BLOB NOT NULL, UNIQUE(alarm, at, event, reason));
CREATE TABLE IF NOT EXISTS score(
    patient TEXT, at INTEGER, validated_by TEXT, body BLOB NOT NULL,
    PRIMARY KEY(patient, at, validated_by)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS change(
    patient TEXT, at INTEGER, body BLOB NOT NULL, PRIMARY KEY(patient, at)) WITHOUT ROWID;
"""
_ALARM = """
INSERT INTO alarm VALUES(?, ?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO UPDATE SET
 begun = iif(excluded.raised > raised, excluded.begun, begun), last = max(last, excluded.last),
 state = excluded.state, priority = excluded.priority, raised = max(raised, excluded.raised)
"""
_encode = msgspec.msgpack.Encoder().encode
_score = msgspec.msgpack.Decoder(Score)
#: With what a `Score` begins: an array of so many.
_STRUCT = bytes([0x90 | len(Score.__struct_fields__)])
#: Tables of points by patient and moment.
POINTS = ("score", "change")
#: So many go in one turn, of so many patients at most: writing waits meanwhile.
_AT_ONCE, _PATIENTS_AT_ONCE = 5_000, 500


def prepare(connection: apsw.Connection) -> None:
    """Make the tables where they are missing."""
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        connection.execute(_TABLES)
    connection.execute("COMMIT")


def take(connection: apsw.Connection, judgements: Iterable[Judgements]) -> None:
    """Write all of them, in order, within the caller's transaction."""
    said = list(judgements)
    for alarm in chain.from_iterable(one.alarms for one in said):
        _take(connection, alarm)
    connection.executemany(
        "INSERT OR REPLACE INTO score VALUES(?, ?, ?, ?)",
        chain.from_iterable(_scores(one.scores) for one in said),
    )
    connection.executemany(
        "INSERT OR REPLACE INTO change VALUES(?, ?, ?)",
        [(c.patient, c.at, _encode(_kept(c))) for one in said for c in one.changes],
    )


def _scores(scores: Sequence[Score]) -> Iterable[tuple[str, int, str, bytes]]:
    """Rows of the table."""
    if isinstance(scores, score_row.ScoreRows):
        return zip(scores.patients, repeat(scores.at), repeat(""), scores.bodies())
    return [(s.patient, s.at, s.validated_by, _encode(s)) for s in scores]


def score_of(patient: str, at: int, body: bytes) -> Score:
    """A score of the table. Raises msgspec.DecodeError, ValueError: another layout."""
    if body[:1] == _STRUCT:
        return _score.decode(body)
    return score_row.score_of(patient, at, body)


def _kept(change: Change) -> Change:
    """Without what is usual at each hour: it is what the twin has learnt, not what happened."""
    return msgspec.structs.replace(change, habits=())


def _take(connection: apsw.Connection, alarm: Alarm) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO alarm_row(alarm, at, event, reason, body) VALUES(?, ?, ?, ?, ?)",
        (alarm.id, alarm.at, alarm.event.value, alarm.reason, _encode(alarm)),
    )
    if connection.changes():
        raised = alarm.state not in (AlarmState.PENDING, AlarmState.CLOSED)
        state, priority = alarm.state.value, alarm.priority.value
        connection.execute(
            _ALARM, (alarm.id, alarm.patient, alarm.at, alarm.at, state, priority, raised)
        )


def forget_alarms(connection: apsw.Connection, cut: int) -> int:
    """Forget up to some thousand alarms that ended before `cut` (ns), each with its whole story;
    returns how many. An alarm that is not closed stays, however old."""
    found = connection.execute(
        "SELECT id FROM alarm WHERE last < ? AND state = 'closed' LIMIT ?", (cut, _AT_ONCE)
    ).fetchall()
    connection.executemany("DELETE FROM alarm_row WHERE alarm = ?", found)
    connection.executemany("DELETE FROM alarm WHERE id = ?", found)
    return len(found)


def forget_points(
    connection: apsw.Connection, cut: int, table: str, after: str
) -> tuple[int, str | None]:
    """Forget scores or changes from before `cut` (ns) of the patients after this one, some thousand
    at once: (how many went, the patient to go on after; None: there are no more)."""
    gone = 0
    for _ in range(_PATIENTS_AT_ONCE):
        found = connection.execute(f"SELECT min(patient) FROM {table} WHERE patient > ?", (after,))
        patient = found.get
        if patient is None:
            return gone, None
        connection.execute(
            f"DELETE FROM {table} WHERE patient = ?1 AND at < (SELECT coalesce(max(at) + 1, ?2)"
            f" FROM (SELECT at FROM {table} WHERE patient = ?1 AND at < ?2 ORDER BY at LIMIT ?3))",
            (patient, cut, _AT_ONCE),
        )
        gone += connection.changes()
        if connection.changes() < _AT_ONCE:
            after = patient
        if gone >= _AT_ONCE:
            break
    return gone, after
