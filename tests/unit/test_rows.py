"""Batches of rows: each partition's, in order, with the tables that their numbers index."""

from __future__ import annotations

import random
from collections import defaultdict

import numpy as np
import pytest

from ingest.journal.protocol import partition_of
from ingest.observation import Observation, RecordDamaged, all_whole, batch_of
from tests.support.twins import observation
from twin.estimate import decode_output, encode_output
from twin.estimation.bank import Bank
from twin.estimation.models import base_model
from twin.estimation.names import Names
from twin.intake.arrivals import arrivals
from twin.rows import RowBuilder

PARTITIONS = 4


def said(rng: random.Random, patients: int) -> list[Observation]:
    """What 40 messages say, each of one patient and one of the devices of all."""
    return [
        observation(n, 60.5 + n, f"p{rng.randrange(patients)}", f"w{rng.randrange(9)}", "spo2")
        for n in range(40)
    ]


@pytest.mark.parametrize("patients", [1, 5, 60])
def test_rows_go_by_partition_patient_and_order_and_index_the_tables_of_their_batch(
    patients: int,
) -> None:
    rng = random.Random(patients)
    bank, devices = Bank(base_model(), PARTITIONS), Names()
    for _ in range(5):
        sent = said(rng, patients)
        groups = [sent[at : at + 7] for at in range(0, len(sent), 7)]
        came = [one for group in groups for one in sorted(group, key=lambda o: o.patient)]
        arrived = arrivals([batch_of(group) for group in groups], bank, devices)
        builder = RowBuilder(bank, devices)
        builder.refuse(arrived, np.arange(len(came)), "no_model")

        expected: dict[int, list[Observation]] = defaultdict(list)
        for one in sorted(came, key=lambda o: bank.number_of(o.patient)):
            expected[partition_of(one.patient, PARTITIONS)].append(one)
        made = dict(builder.batches())

        assert list(made) == sorted(expected)
        for partition, ones in expected.items():
            batch = made[partition]
            of = {column: batch.rows[column].tolist() for column in ("patient", "device", "signal")}
            assert [batch.patients[n] for n in of["patient"]] == [o.patient for o in ones]
            assert [batch.devices[n] for n in of["device"]] == [o.device for o in ones]
            assert [batch.signals[n] for n in of["signal"]] == [o.signal for o in ones]
            assert batch.rows["value"].tolist() == [o.value for o in ones]
            assert batch.patients == tuple(dict.fromkeys(o.patient for o in ones))
            assert batch.devices == tuple(sorted({o.device for o in ones}, key=devices.number))
            again = decode_output(encode_output(batch))
            assert again.patients == batch.patients
            assert again.rows.tobytes() == batch.rows.tobytes()


@pytest.mark.parametrize("rows", [1, 100])
@pytest.mark.parametrize("table", ["patients", "devices", "signals"])
def test_a_row_that_names_what_its_tables_have_not_is_found_in_few_rows_and_in_many(
    rows: int, table: str
) -> None:
    whole = batch_of([observation(n, 60.0) for n in range(rows)])
    cut = type(whole)(
        *(() if name == table else getattr(whole, name) for name in whole.__struct_fields__)
    )
    assert all_whole([whole, whole])
    assert not all_whole([whole, cut])
    with pytest.raises(RecordDamaged):
        arrivals([whole, cut], Bank(base_model(), PARTITIONS), Names())
