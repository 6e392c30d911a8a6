"""Reads a journal as its owner would, and asks about it as the page does."""

from conftest import NAMES, SETOSA
from processes import wait_until
from sqlalchemy import create_engine, text

from journal.database import read_url


def read(url, query):
    """All rows of a query, as dictionaries, where it has any."""
    engine = create_engine(read_url(url))
    try:
        with engine.begin() as connection:
            result = connection.execute(text(query))
            return [dict(row) for row in result.mappings()] if result.returns_rows else []
    finally:
        engine.dispose()


def predict(client, instance=SETOSA, **params):
    response = client.post("/predict", json=instance, params=params)
    assert response.status_code == 200, response.text
    return response.json()


def find(client, *ids):
    """The rows of these predictions by their ids, once all are written."""

    def look():
        rows = read(client.journal_url, "SELECT * FROM predictions")
        return {row["id"]: row for row in rows if row["id"] in ids}

    wait_until(lambda: len(look()) == len(ids))
    return look()


def predict_rows(client, rows):
    """The ids of the predictions of these rows."""
    return [predict(client, dict(zip(NAMES, row, strict=True)))["prediction_id"] for row in rows]


def give_labels(client, ids, labels):
    given = zip(ids, labels, strict=True)
    response = client.post("/feedback", json=[{"prediction_id": a, "label": b} for a, b in given])
    assert response.status_code == 200, response.text


def wait_until_written(client, count):
    wait_until(lambda: exposed(client)["journal_written_predictions_total"] >= count)


def exposed(client):
    """The samples of /metrics by name, labels included."""
    lines = client.get("/metrics").text.splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def windows(client):
    drift = client.get("/monitoring").json()["drift"]
    return {window["window"]: window for window in drift["windows"]}


def writer_of(client):
    """The process that writes the journal."""
    process = client.app._ledger._recorder._process
    return process and process.pid
