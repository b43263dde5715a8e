"""The list of devices: filtered, ordered, grouped, a page at a time, all by its address."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from tests.support.intake_line import WARD, IntakeLine, silent_ward
from twin.care.device_list import (
    AT_ONCE,
    ORDER,
    SORTS,
    Asked,
    Listed,
    asked_of,
    group_of,
    page_of,
)
from twin.care.facts import DeviceFacts
from twin.care.told import Told
from twin.device_report import DeviceReports, Silence


def facts_of(line: IntakeLine) -> dict[str, DeviceFacts]:
    told = Told()
    for output in line.outputs:
        if isinstance(output, DeviceReports):
            told.fold(output)
    return {one.device: one for one in told.facts()}


def listed(facts: dict[str, DeviceFacts], **names: str) -> list[Listed]:
    return [
        Listed(
            device,
            one.patient,
            names.get(one.patient, ""),
            "band-2",
            one,
            group_of(one, retired=False),
        )
        for device, one in sorted(facts.items())
    ]


def fleet(n: int) -> list[Listed]:
    return [Listed(f"watch-{i:05}", f"p-{i}", f"Bed {i}", "", None, "unheard") for i in range(n)]


def ward() -> list[Listed]:
    line = silent_ward(WARD)
    line.say("watch", "p1", contact=False)
    line.send(device="gw/b", patient="p2")
    line.say("gw/b", "p2", battery=0.4)
    line.tick()
    return listed(facts_of(line), p2="Bed 2")


def test_every_silence_has_its_place_in_the_list() -> None:
    assert {silence.word for silence in Silence if silence} <= set(ORDER)


def test_devices_stand_in_groups_and_each_group_is_counted() -> None:
    page = page_of(ward(), Asked())
    assert [(group, [one.device for one in of]) for group, of in page.groups] == [
        ("late", ["gw/a", "gw/c"]),
        ("body_off", ["watch"]),
        ("heard", ["gw/b"]),
    ]
    assert page.counts == {"late": 2, "body_off": 1, "heard": 1}
    assert (page.found, page.pages) == (4, 1)


def test_one_group_is_shown_and_the_others_stay_counted() -> None:
    page = page_of(ward(), Asked(silence="late"))
    assert [group for group, _ in page.groups] == ["late"]
    assert (page.found, page.counts["heard"]) == (2, 1)


@pytest.mark.parametrize("typed", ["GW/b", "bed 2", "p2"])
def test_words_find_a_device_by_its_id_its_patient_or_the_patients_name(typed: str) -> None:
    page = page_of(ward(), asked_of(QueryParams({"q": f" {typed} "})))
    assert [one.device for _, of in page.groups for one in of] == ["gw/b"]


def test_other_orders_have_no_groups() -> None:
    for sort, first in (("device", "gw/a"), ("last", "gw/b"), ("battery", "gw/b")):
        ((group, devices),) = page_of(ward(), Asked(sort=sort)).groups
        assert (group, devices[0].device) == ("", first), sort


def test_a_large_fleet_comes_in_pages_that_hold_each_device_once() -> None:
    devices = fleet(3 * AT_ONCE - 1)
    seen = []
    for number in (1, 2, 3):
        page = page_of(devices, Asked(page=number))
        assert (page.pages, page.asked.page) == (3, number)
        seen += [one.device for _, of in page.groups for one in of]
    assert sorted(seen) == [one.device for one in devices]
    assert page_of(devices, Asked(page=9)).asked.page == 3


@given(st.text(), st.text() | st.sampled_from(ORDER), st.text() | st.sampled_from(SORTS), st.text())
def test_any_address_shows_a_page(q: str, silence: str, sort: str, page: str) -> None:
    asked = asked_of(QueryParams({"q": q, "silence": silence, "sort": sort, "page": page}))
    shown = page_of(fleet(3), asked)
    assert shown.asked.page == 1
    again = asked_of(QueryParams(shown.asked.address().partition("?")[2]))
    assert again == shown.asked


def test_another_filter_begins_at_the_first_page() -> None:
    asked = Asked(q="ward 2", silence="late", page=3)
    assert asked.address(page=4) == "/devices?q=ward+2&silence=late&page=4"
    assert asked.address(silence="") == "/devices?q=ward+2"
    assert Asked().address() == "/devices"
