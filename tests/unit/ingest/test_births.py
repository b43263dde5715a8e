"""Births: which table holds for a message, durable, whoever asks and whenever."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.births import Births
from ingest.payload.sparkplug_births import Metric

DEVICE, NODE = "G/N/D", "G/N"
OLD = [Metric("heart_rate", 1, 10, None), Metric("spo2", 2, 10, None)]
NEW = [Metric("spo2", 1, 10, None), Metric("heart_rate", 2, 10, None)]


@pytest.fixture
def births(tmp_path: Path) -> Iterator[Births]:
    made = Births(tmp_path / "registry.db")
    yield made
    made.close()


def name_of(births: Births, at: int, alias: int = 1) -> str | None:
    metric = births.table(DEVICE, at).by_alias.get(alias)
    return None if metric is None else metric.name


def test_a_message_is_read_by_the_birth_before_it(births: Births) -> None:
    births.born(DEVICE, 100, -1, OLD)
    births.born(DEVICE, 200, -1, NEW)

    assert name_of(births, 150) == "heart_rate"
    assert name_of(births, 200) == "spo2"


def test_without_a_birth_before_it_by_the_next_one(births: Births) -> None:
    assert name_of(births, 50) is None

    births.born(DEVICE, 100, -1, OLD)

    assert name_of(births, 50) == "heart_rate"
    assert births.next_table(DEVICE, 100) is None


def test_after_a_death_the_old_table_holds_no_more(births: Births) -> None:
    births.born(DEVICE, 100, -1, OLD)
    assert births.died(DEVICE, 150) == [DEVICE]
    assert name_of(births, 160) is None

    births.born(DEVICE, 200, -1, NEW)
    assert name_of(births, 160) == "spo2"
    assert name_of(births, 120) == "heart_rate"


def test_the_birth_of_an_edge_node_makes_its_devices_unborn(births: Births) -> None:
    births.born(DEVICE, 100, -1, OLD)
    births.born("G/N2/D", 100, -1, OLD)
    births.born(NODE, 200, 8, [Metric("bdSeq", None, 8, None)])

    assert name_of(births, 210) is None
    assert births.table("G/N2/D", 210).by_alias
    births.born(DEVICE, 200, -1, NEW)
    assert name_of(births, 210) == "spo2"


def test_the_death_of_an_edge_node_is_that_of_its_devices_unless_it_is_an_earlier_ones(
    births: Births,
) -> None:
    births.born(NODE, 100, 8, [Metric("bdSeq", None, 8, None)])
    births.born(DEVICE, 101, -1, OLD)

    assert births.died(NODE, 110, session=7) == ()
    assert name_of(births, 120) == "heart_rate"
    assert births.died(NODE, 130, session=8) == [NODE, DEVICE]
    assert name_of(births, 140) is None


def test_what_is_committed_is_seen_by_another_process_and_what_is_discarded_by_nobody(
    births: Births, tmp_path: Path
) -> None:
    other = Births(tmp_path / "registry.db")
    assert name_of(other, 100) is None

    births.born(DEVICE, 100, -1, OLD)
    births.commit()
    births.born(DEVICE, 200, -1, NEW)
    births.discard()

    other.refresh()
    assert name_of(other, 300) == name_of(births, 300) == "heart_rate"
    assert name_of(Births(tmp_path / "registry.db"), 300) == "heart_rate"
    other.close()


def test_the_same_birth_again_is_kept_once_and_old_ones_go(births: Births) -> None:
    for at in range(100):
        births.born(DEVICE, at, -1, NEW if at % 2 else OLD)
        births.born(DEVICE, at, -1, NEW if at % 2 else OLD)
    births.commit()
    births.refresh()

    assert name_of(births, 99) == "spo2"
    assert name_of(births, 0) == "heart_rate"  # the oldest kept, by the rule of the next one
    assert births.devices_of(NODE) == [DEVICE]
