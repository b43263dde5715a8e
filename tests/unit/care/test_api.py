"""Bodies under /api/v1, asked through the whole application."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import httpx2 as httpx
import pytest

from ingest.catalogue import SIGNALS
from ingest.instant import MILLISECOND, SECOND, format_instant
from ingest.observation import Bound, Refused
from tests.support.care import NOW, SIMULATED, feed_of
from tests.support.ward import T0, MemoryHistory, MemoryPeople, MemoryQuarantine, Said
from twin.care.api.operations import exposition
from twin.care.api.signals import signal_body
from twin.care.app import create_app
from twin.care.feed import Feed
from twin.care.settings import Health, Metric
from twin.estimate import Kind, Status, Verdict

LATE_COAST = Said(at=25, mean=75, std=5, device="", kind=Kind.COASTING, status=Status.LATE)


def ask(
    path: str,
    feed: Feed | None = None,
    *,
    history: MemoryHistory | None = None,
    people: MemoryPeople | None = None,
    quarantine: MemoryQuarantine | None = None,
    health: Health | None = None,
) -> httpx.Response:
    app = create_app(
        SIMULATED,
        feed or feed_of(Said()),
        history or MemoryHistory(),
        people or MemoryPeople(),
        quarantine or MemoryQuarantine(),
        lambda: health or Health(),
        lambda: [Metric("twin_received_total", {"device": 'a"b'}, 3, "Messages.")],
    )

    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(path)

    return asyncio.run(get())


def body(path: str, *args: Any, **parts: Any) -> Any:
    response = ask(path, *args, **parts)
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "no-store"
    return json.loads(response.text, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))


def problem(path: str, status: int, **parts: Any) -> Any:
    response = ask(path, **parts)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    return response.json()


def ward_of(*said: Said) -> Feed:
    return feed_of(*said, people=MemoryPeople({"p1": "Bed 10", "p2": "Bed 2", "p9": "Bed 9"}))


def test_patients_come_by_label_with_their_newest_estimates() -> None:
    feed = ward_of(Said(std=2, trend=0.25), Said(patient="p2", signal="spo2", mean=97), Said("p0"))
    said = body("/api/v1/patients", feed)
    assert said["time"] == format_instant(NOW)
    assert said["state"] == "live"
    assert [p["label"] for p in said["patients"]] == ["Bed 2", "Bed 9", "Bed 10", ""]
    assert said["patients"][1]["estimates"] == {}
    estimate = said["patients"][2]["estimates"]["heart_rate"]
    assert estimate["as_of"] == format_instant(T0)
    assert (estimate["mean"], estimate["std"], estimate["trend"]) == (72, 2, 0.25)
    assert estimate["lo95"] == pytest.approx(72 - 3.92, abs=1e-3)
    assert estimate["hi95"] == pytest.approx(72 + 3.92, abs=1e-3)
    assert (estimate["age_s"], estimate["status"], estimate["unit"]) == (30, "fresh", "/min")


def test_a_coasting_estimate_keeps_its_stamp_and_names_the_prediction() -> None:
    estimate = body("/api/v1/patients/p1", feed_of(Said(), LATE_COAST))["estimates"]["heart_rate"]
    assert (estimate["mean"], estimate["age_s"], estimate["status"]) == (72, 30, "late")
    assert estimate["coasting"]["mean"] == 75
    assert estimate["approximate"] is True


def test_a_number_that_is_not_there_is_null() -> None:
    feed = feed_of(Said(trend=float("nan"), trend_std=float("nan")))
    assert body("/api/v1/patients/p1", feed)["estimates"]["heart_rate"]["trend"] is None


def test_an_age_is_never_negative() -> None:
    feed = feed_of(Said(at=45))
    assert body("/api/v1/patients/p1", feed)["estimates"]["heart_rate"]["age_s"] == 0


def test_an_unknown_patient_or_signal_is_a_problem() -> None:
    assert problem("/api/v1/patients/nobody", 404)["title"] == "Not Found"
    assert problem("/api/v1/patients/nobody/signals/heart_rate", 404)["detail"] == "no such patient"
    assert problem("/api/v1/patients/p1/signals/moonlight", 404)["detail"] == "no such signal"
    assert problem("/nowhere", 404)["status"] == 404


# --- history --------------------------------------------------------------------------------------

HOUR_MS = 3_600_000
T0_MS = T0 // MILLISECOND
SIGNAL = "/api/v1/patients/p1/signals/heart_rate"


def history_of(*seconds: float, step_std: float = 1.0) -> MemoryHistory:
    rows = [(T0 + round(s * SECOND), 70 + s / 100, step_std, 71.0, "watch-1") for s in seconds]
    return MemoryHistory({("p1", "heart_rate"): rows})


def test_history_is_raw_by_default_over_the_last_hour() -> None:
    said = body(SIGNAL, history=history_of(-4_000, -10, 0, 10, 40))
    assert (said["unit"], said["resolution"], said["next"]) == ("/min", "raw", None)
    assert said["estimates"]["time"] == [T0_MS + s * 1000 for s in (-10, 0, 10)]
    assert said["estimates"]["mean"] == [69.9, 70, 70.1]
    assert said["estimates"]["lo50"][0] == pytest.approx(69.9 - 0.6745, abs=1e-4)
    assert said["observations"]["value"] == [71, 71, 71]
    assert said["observations"]["device"] == ["watch-1"] * 3


def test_a_gap_is_a_row_of_nulls_in_every_column() -> None:
    said = body(SIGNAL, history=history_of(*range(-600, -400, 5), *range(-100, 0, 5)))
    estimates = said["estimates"]
    (gap,) = (i for i, mean in enumerate(estimates["mean"]) if mean is None)
    assert estimates["time"][gap - 1] < estimates["time"][gap] < estimates["time"][gap + 1]
    assert all(estimates[name][gap] is None for name in ("lo50", "hi50", "lo95", "hi95"))
    assert None not in said["observations"]["value"]


def test_silence_shorter_than_a_minute_is_no_gap() -> None:
    said = body(SIGNAL, history=history_of(*range(-600, -400, 5), *range(-345, 0, 5)))
    assert None not in said["estimates"]["mean"]


def test_a_slow_device_has_gaps_by_its_own_rhythm() -> None:
    said = body(SIGNAL, history=history_of(*range(-3_500, -2_000, 50), *range(-1_700, 0, 50)))
    assert said["estimates"]["mean"].count(None) == 1
    assert said["gap_s"] == 250


def test_buckets_carry_minimum_and_maximum_and_open_gaps() -> None:
    seconds = [*range(-3_600, -1_800, 2), *range(-900, 30, 2)]
    path = f"{SIGNAL}?from={T0_MS - HOUR_MS}&to={T0_MS}&points=60"
    said = body(path, history=history_of(*seconds))
    estimates = said["estimates"]
    assert said["resolution"] == "bucket"
    assert len(estimates["time"]) == 46
    assert estimates["mean"].count(None) == 1
    low, mean, high = estimates["min"][0], estimates["mean"][0], estimates["max"][0]
    assert low < mean < high


def test_a_point_for_each_second_is_served_raw() -> None:
    path = f"{SIGNAL}?from={T0_MS - 60_000}&to={T0_MS}&points=100"
    assert body(path, history=history_of(*range(-60, 0)))["resolution"] == "raw"


def test_history_says_what_was_filtered_again() -> None:
    assert body(SIGNAL, history=history_of(-10, 0))["revised"] == []
    series = history_of(-10, 0).series("p1", "heart_rate", T0 - 60 * SECOND, T0 + SECOND)
    again = replace(series, refiltered=((T0 - 10 * SECOND, T0),))
    said = signal_body(SIGNALS["heart_rate"], again, 0, None)
    assert said.revised == [(T0_MS - 10_000, T0_MS)]


def test_raw_history_comes_in_pages_that_next_leads_through() -> None:
    history = history_of(*(s / 50 for s in range(-50_000, 0)))
    path, seen = f"{SIGNAL}?from={format_instant(T0 - 2_000 * SECOND)}", []
    while path:
        page = body(path, history=history)
        seen += page["estimates"]["time"]
        path = page["next"]
    assert len(seen) == len(set(seen)) == 50_000


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("from=yesterday", "from"),
        ("to=2026-11-25T08:00:00", "to"),
        ("to=99999999999999999999", "to"),
        ("to=-9223372036854", "to"),
        ("from=0001-01-01T00:00:00Z", "from"),
        ("to=9999-12-31T23:59:59Z", "to"),
        ("to=1677-09-21T00:30:00Z", "to"),
        (f"from={T0_MS}&to={T0_MS}", "from"),
        ("points=0", "points"),
        ("points=many", "points"),
        ("points=100000", "points"),
        ("after=zzz", "after"),
        ("after=9e99", "after"),
        ("after=9999999999999999999", "after"),
        ("after=%00", "after"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_came_and_what_was_expected(
    query: str, name: str
) -> None:
    said = problem(f"{SIGNAL}?{query}", 422)
    assert said["name"] == name
    assert said["got"]
    assert said["expected"]


def test_while_the_store_is_away_history_says_so_and_live_goes_on() -> None:
    away = MemoryHistory(away=True)
    assert problem(SIGNAL, 503, history=away)["status"] == 503
    assert body("/api/v1/patients", history=away)["patients"]
    (device,) = body("/api/v1/devices", history=away)["devices"]
    assert device["ledger"]["stored"] is None


# --- devices, quarantine, alarms, operations ------------------------------------------------------

REFUSED = [
    Refused("q2", "out_of_range", "values.spo2", "30 to 100", "180", "ring-2", T0, 80, 1),
    Refused("q1", "not_json", "", "JSON", "", "watch-1", T0, 9, 2),
]


def test_the_ledger_adds_up_for_every_device() -> None:
    verdicts = (Verdict.ACCEPTED, Verdict.DUPLICATE, Verdict.CONFLICT, Verdict.BELATED)
    rows = [Said(at=i, verdict=verdict) for i, verdict in enumerate(verdicts)]
    rows.append(Said(at=8, verdict=Verdict.REFUSED, reason="restricted"))
    devices = body(
        "/api/v1/devices",
        feed_of(*rows),
        people=MemoryPeople({}, [Bound("watch-1", "p1"), Bound("spare", None)]),
        quarantine=MemoryQuarantine(REFUSED),
        history=MemoryHistory(counts={"watch-1": 3}),
    )["devices"]
    assert [d["id"] for d in devices] == ["ring-2", "spare", "watch-1"]
    ring, spare, watch = devices
    assert ring["ledger"]["received"] == sum(ring["ledger"]["refused"].values()) == 1
    assert (spare["patient"], spare["last_received"], spare["ledger"]["received"]) == (
        None,
        None,
        0,
    )
    ledger = watch["ledger"]
    assert watch["patient"] == "p1"
    assert ledger["refused"] == {"not_json": 2, "restricted": 1}
    assert (ledger["received"], ledger["journalled"], ledger["estimated"]) == (7, 5, 1)
    assert (ledger["duplicate"], ledger["conflict"], ledger["belated"]) == (1, 1, 1)
    assert (ledger["stored"], ledger["difference"]) == (3, -1)


def test_devices_come_in_pages_where_that_is_asked_for() -> None:
    feed = feed_of(*(Said(device=f"watch-{n}", patient=f"p{n}") for n in range(5)))
    said, seen = body("/api/v1/devices?limit=2", feed), []
    while said["next"]:
        seen += [device["id"] for device in said["devices"]]
        said = body(said["next"], feed)
    seen += [device["id"] for device in said["devices"]]
    assert seen == [f"watch-{n}" for n in range(5)]
    assert body("/api/v1/devices", feed)["next"] is None
    assert problem("/api/v1/devices?limit=0", 422)["detail"]


def test_the_quarantine_is_listed_by_reason() -> None:
    quarantine = MemoryQuarantine(REFUSED)
    said = body("/api/v1/quarantine?reason=not_json", quarantine=quarantine)
    assert (said["total"], said["by_reason"]) == (3, {"out_of_range": 1, "not_json": 2})
    (item,) = said["items"]
    assert (item["id"], item["bytes"], item["count"]) == ("q1", 9, 2)
    assert item["received_at"] == format_instant(T0)
    assert problem("/api/v1/quarantine?limit=-1", 422)["name"] == "limit"


def test_alarms_are_honestly_off() -> None:
    said = body("/api/v1/alarms")
    assert (said["alarms"], said["enabled"]) == ([], False)


def test_an_outage_outside_is_degraded_and_never_a_failure() -> None:
    outside = Health(degraded=("broker",), parts={"broker": "reconnecting"})
    for path in ("/healthz", "/readyz"):
        said = body(path, health=outside)
        assert (said["status"], said["degraded"]) == ("degraded", ["broker"])
        assert said["parts"]["broker"] == "reconnecting"
    assert ask("/healthz", health=Health(alive=False)).status_code == 503
    assert ask("/healthz", health=Health(ready=False)).status_code == 200
    assert ask("/readyz", health=Health(ready=False)).status_code == 503


def test_metrics_are_prometheus_text() -> None:
    lines = ask("/metrics").text.splitlines()
    assert "# TYPE twin_received_total counter" in lines
    assert 'twin_received_total{device="a\\"b"} 3' in lines
    assert "# TYPE twin_care_viewers gauge" in lines
    pairs = [Metric("a", {"x": "1"}, 1.5, "A."), Metric("b", {}, 2, "B."), Metric("a", {}, 3, "A.")]
    assert exposition(pairs).count("# HELP a ") == 1


def test_the_ledgers_of_all_devices_are_one_sum_in_the_metrics() -> None:
    rows = [Said(at=i, device=f"watch-{i % 40}", patient=f"p{i % 40}") for i in range(80)]
    refused = [Said(at=90, verdict=Verdict.REFUSED, reason="restricted", device="ring-1")]
    duplicate = [Said(at=91, verdict=Verdict.DUPLICATE, device="ring-1")]
    page = ask("/metrics", feed_of(*rows, *refused, *duplicate)).text
    ledger = {line for line in page.splitlines() if line.startswith("twin_ledger_")}
    assert ledger == {
        "twin_ledger_devices 41",
        'twin_ledger_observations{verdict="accepted"} 80',
        'twin_ledger_observations{verdict="duplicate"} 1',
        'twin_ledger_observations{verdict="belated"} 0',
        'twin_ledger_observations{verdict="conflict"} 0',
        'twin_ledger_refused{reason="restricted"} 1',
        *(
            f'twin_ledger_messages{{numbers="{each}"}} 0'
            for each in ("missing", "open", "redelivered", "restarts")
        ),
    }


def test_the_interface_describes_its_bodies() -> None:
    document = ask("/openapi.json").json()
    for path in ("/api/v1/patients", "/api/v1/devices", "/api/v1/quarantine", "/api/v1/alarms"):
        schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
        name = schema["schema"]["$ref"].rpartition("/")[2]
        assert name in document["components"]["schemas"]
    assert "LatestEstimate" in document["components"]["schemas"]
    assert "/" not in document["paths"]
