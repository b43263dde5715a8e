"""Who upstream still beats."""

from twin.care.pulse import LIVE, Pulses


def test_a_part_that_beats_is_live_and_one_that_stands_still_for_5_s_is_named() -> None:
    pulses = Pulses()
    assert pulses.observe({"ingest": 1, "worker": 1}, 0.0) == LIVE
    assert pulses.observe({"ingest": 2, "worker": 1}, 4.9) == LIVE
    assert pulses.observe({"ingest": 3, "worker": 1}, 5.0) == "worker_down"
    assert pulses.observe({"ingest": 3, "worker": 2}, 6.0) == LIVE


def test_of_two_that_stand_still_the_first_upstream_is_named() -> None:
    pulses = Pulses()
    pulses.observe({"ingest": 1, "worker": 1}, 0.0)
    assert pulses.observe({"ingest": 1, "worker": 1}, 9.0) == "ingest_down"
