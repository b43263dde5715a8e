"""Filters that overlap: subscribed once where one takes all of the other, told where not."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from ingest.topic_filter import apart, covers, overlapping


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        (["twin/v1/#", "twin/v1/+/telemetry"], ("twin/v1/#",)),
        (["ward/+/vitals", "ward/#", "ward/#"], ("ward/#",)),
        (["#", "ward/+"], ("#",)),
        (["#", "$share/a/ward/+"], ("#", "$share/a/ward/+")),
        (["a/#", "a"], ("a/#",)),
        (["a/+/b", "a/b/+"], ("a/+/b", "a/b/+")),
        (["twin/v1/#", "spBv1.0/#"], ("twin/v1/#", "spBv1.0/#")),
    ],
)
def test_a_filter_within_another_is_left_out(filters: list[str], left: tuple[str, ...]) -> None:
    assert apart(filters) == left


def test_filters_that_cross_are_told() -> None:
    filters = ["a/+/b", "a/b/+", "c/#", "+/d/e"]
    assert list(overlapping(filters)) == [("a/+/b", "a/b/+"), ("c/#", "+/d/e")]
    assert list(overlapping(["twin/v1/#", "spBv1.0/#", "ward/+/vitals"])) == []


LEVELS = st.lists(st.sampled_from("ab+"), min_size=1, max_size=3)
FILTERS = st.builds(
    lambda levels, all_: "/".join([*levels, *all_]), LEVELS, st.sampled_from([[], ["#"]])
)
TOPICS = ["/".join(levels) for n in (1, 2, 3, 4) for levels in itertools.product("abc", repeat=n)]


@given(FILTERS, FILTERS)
def test_they_agree_with_what_topics_match(one: str, other: str) -> None:
    ours = {topic for topic in TOPICS if topic_matches_sub(one, topic)}
    theirs = {topic for topic in TOPICS if topic_matches_sub(other, topic)}
    assert covers(one, other) == (theirs <= ours)
    assert bool(list(overlapping([one, other]))) == bool(ours & theirs)
