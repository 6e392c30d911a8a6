"""What the backend has been doing."""

from datetime import UTC, datetime
from http import HTTPStatus
from itertools import pairwise
from typing import Any

import streamlit as st

import charts
import histograms
import live
import texts
from accuracy import show_accuracy
from client import BackendError, Json, NotOffered, connect
from drawing import show_chart
from drift import show_drift, warn_of_shift
from shadow import show_shadow

LOOK_SECONDS = 3
KEPT_LOOKS = 200
OWN_ROUTES = ("/health", "/models", "/monitoring", "/openapi.json", "/metrics")
PREDICT_ROUTE = "/predict"
NO_ROUTE = "none"  # what the backend calls paths that are none of its routes
# What the journal tells: its heading, what is said where nothing is kept, and what shows it.
JOURNAL_SECTIONS = {
    "drift": (texts.DRIFT, texts.NOTHING_TO_DRIFT, show_drift),
    "accuracy": (texts.ACCURACY, texts.NOTHING_TO_MEASURE, show_accuracy),
}

client = connect()


def find_failed(by_status: dict[str, int]) -> dict[str, int]:
    return {code: n for code, n in by_status.items() if int(code) >= HTTPStatus.BAD_REQUEST}


def count_asked(requests: list[Json]) -> tuple[int, int]:
    """Requests of others than this page and Prometheus, and how many of them failed."""
    asked = [found for found in requests if not found["route"].startswith(OWN_ROUTES)]
    failed = sum(sum(find_failed(found["by_status"]).values()) for found in asked)
    return sum(found["count"] for found in asked), failed


def follow_traffic(count: int) -> list[tuple[str, float]]:
    """Requests per second between one look and the next."""
    looks: list[tuple[datetime, int]] = st.session_state.setdefault("looks", [])
    if looks and count < looks[-1][1]:
        looks.clear()  # the backend has begun anew
    looks.append((datetime.now(UTC), count))
    del looks[:-KEPT_LOOKS]
    return [
        (now.isoformat(), (after - before) / (now - then).total_seconds())
        for (then, before), (now, after) in pairwise(looks)
    ]


def show_figures(seen: Json) -> None:
    asked, failed = count_asked(seen["requests"])
    answered = (seen["predictions"] or {}).get("count", 0)
    latencies = {found["route"]: found["latency_seconds"] for found in seen["requests"]}
    latency = latencies.get(PREDICT_ROUTE, {})
    figures = st.grid(5, min_column_width=150)
    figures.metric(texts.PREDICTED_ROWS(), texts.number(answered), border=True)
    figures.metric(texts.REQUESTS(), texts.number(asked), border=True)
    figures.metric(texts.ERROR_SHARE(), texts.percent(failed / asked if asked else 0), border=True)
    figures.metric(texts.MEDIAN_TIME(), say_time(latency.get("p50")), border=True)
    figures.metric(texts.SLOWEST(), say_time(latency.get("p99")), border=True)


def say_time(seconds: float | None) -> str:
    return "–" if seconds is None else f"{texts.value(float(f'{1000 * seconds:.3g}'))} ms"


def show_traffic(seen: Json) -> None:
    st.header(texts.TRAFFIC(), anchor=False)
    st.caption(texts.TRAFFIC_CAPTION())
    points = follow_traffic(count_asked(seen["requests"])[0])
    if points:
        show_chart(charts.draw_traffic(points), texts.TRAFFIC())
    else:
        st.caption(texts.TRAFFIC_SOON())


def show_classes(seen: Json, manifest: Json) -> None:
    st.header(texts.CLASS_SHARES(), anchor=False)
    by_class = (seen["predictions"] or {}).get("by_class", {})
    total = sum(by_class.values())
    if not total:
        st.caption(texts.NO_ANSWERS())
        return
    st.caption(texts.CLASS_SHARES_CAPTION())
    trained = histograms.count_trained(manifest)
    rows = sum(trained.values())
    ranked = sorted(by_class, key=lambda name: -by_class[name])
    shares = {
        name: ({texts.TRAINED(): trained.get(name, 0) / rows} if rows else {})
        | {texts.ANSWERED(): by_class[name] / total}
        for name in ranked
    }
    show_chart(charts.draw_pairs(shares, texts.SHARE_OF_ROWS()), texts.CLASS_SHARES())


def show_routes(seen: Json) -> None:
    st.header(texts.BY_ROUTE(), anchor=False)
    rows = [tabulate_route(found) for found in seen["requests"]]
    st.dataframe(rows, hide_index=True, alt=texts.BY_ROUTE())


def tabulate_route(request: Json) -> dict[str, Any]:
    latency = request["latency_seconds"]
    failed = find_failed(request["by_status"])
    return {
        texts.ROUTE(): texts.OTHER_PATHS() if request["route"] == NO_ROUTE else request["route"],
        texts.REQUESTS(): request["count"],
        texts.ERRORS(): " · ".join(f"{status}: {count}" for status, count in failed.items()),
        texts.MEDIAN(): to_milliseconds(latency.get("p50")),
        texts.P99(): to_milliseconds(latency.get("p99")),
    }


def to_milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000 * seconds, 3)


def warn_of_journal(journal: Json | None) -> None:
    """Once, of all that is wrong with it."""
    if not journal:
        return
    said = []
    if journal["trouble"]:
        said.append(texts.JOURNAL_TROUBLE(reason=texts.plain(journal["trouble"])))
    if journal["lost"]:
        said.append(texts.JOURNAL_LOST(count=texts.number(journal["lost"])))
    if said:
        st.warning("\n\n".join(said), icon=":material/database_off:")


@st.fragment(run_every=LOOK_SECONDS)
def show_monitoring() -> None:
    try:
        seen = client.monitoring()
    except NotOffered:
        st.info(texts.NO_MONITORING())
        return
    except BackendError as error:
        live.note_failure(error)
        return
    manifest = live.require_model()["manifest"]
    warn_of_journal(seen.get("journal"))
    if seen.get("drift"):
        warn_of_shift(seen["drift"], manifest)
    since = texts.moment(seen["since"])
    st.markdown(texts.MONITORING_INTRODUCTION(since=since, seconds=LOOK_SECONDS))
    show_figures(seen)
    traffic, classes = st.columns(2, gap="large")
    with traffic:
        show_traffic(seen)
    with classes:
        show_classes(seen, manifest)
    show_routes(seen)
    for key, (heading, nothing, show_section) in JOURNAL_SECTIONS.items():
        st.header(heading(), anchor=False)
        if seen.get(key):
            show_section(seen[key], manifest)
        else:
            st.caption(texts.NOT_KNOWN_NOW() if seen.get("journal") else nothing())
    show_shadow(seen)


show_monitoring()
