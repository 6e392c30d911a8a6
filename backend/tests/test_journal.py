import json
import math
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import joblib
import pytest
import requests
from conftest import MIXED, NAMES, SETOSA, VERSION, wait_for_version
from journals import exposed, predict, read, wait_until_written, windows, writer_of
from mixed import INSTANCE
from processes import ROOT, environment, find_free_port, wait_until
from servers import running_postgresql
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from identifiers import begin_at
from journal import journal, recorder
from journal.database import Database, models
from journal.messages import Delivery, Receipt, pack
from journal.reading import Reader
from journal.retention import Retention
from journal.writer import Writer
from schemas import Description
from settings import Settings

NEWER = "2026_11_21_T20_44_21"
CSV = {"Content-Type": "text/csv"}
TABLE = ",".join(NAMES) + "\n" + "5.1,3.5,1.4,0.2\n" * 3 + "6.5,3.0,5.5,2.0\n"


@pytest.fixture(scope="session")
def postgresql():
    with running_postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """Of an empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/journal.db"
        return
    address = request.getfixturevalue("postgresql")
    yield address
    read(address, "DROP TABLE IF EXISTS predictions, feedback, models, tallies")


@contextmanager
def running_service(models_dir, url, **settings):
    """A real backend with its port, in a process that can be killed."""
    port = find_free_port()
    command = [sys.executable, "-m", "uvicorn", "main:app", "--port", str(port)]
    variables = {"MODELS_DIR": models_dir, "JOURNAL_URL": url, **settings}
    with subprocess.Popen(
        command, cwd=ROOT / "backend", env=environment(**variables), stderr=subprocess.DEVNULL
    ) as process:
        address = f"http://127.0.0.1:{port}"
        try:
            wait_until(lambda: requests.get(f"{address}/health/ready", timeout=5).ok)
            yield address, process
        finally:
            process.kill()


def ask(address, count=1):
    session = requests.Session()
    for _ in range(count):
        session.post(f"{address}/predict", json=SETOSA, timeout=5).raise_for_status()


def written(url):
    return read(url, "SELECT count(*) AS count FROM predictions")[0]["count"]


def test_every_prediction_is_written_with_what_was_asked_and_answered(start_journal, url):
    client = start_journal(journal_url=url)
    before = datetime.now(UTC).replace(tzinfo=None)

    answer = predict(client)

    wait_until_written(client, 1)
    [row] = read(url, "SELECT * FROM predictions")
    assert row["id"] == answer["prediction_id"]
    assert row["model_version"] == VERSION
    assert row["rows"] == 1
    assert json.loads(row["inputs"]) == SETOSA
    assert row["prediction_class"] == "setosa"
    assert json.loads(row["probabilities"]) == answer["probabilities"]
    moment = datetime.fromisoformat(str(row["predicted_at"])).astimezone(UTC)
    assert abs((moment.replace(tzinfo=None) - before).total_seconds()) < 86_400


def test_the_long_way_is_journalled_as_the_short_one(start_journal, url):
    client = start_journal(journal_url=url)

    ids = {predict(client)["prediction_id"], predict(client, version=VERSION)["prediction_id"]}

    wait_until_written(client, 2)
    assert {row["id"] for row in read(url, "SELECT id FROM predictions")} == ids


def test_a_table_is_one_entry_with_its_rows_by_class(start_journal, url):
    client = start_journal(journal_url=url)

    response = client.post("/predict/batch", content=TABLE, headers=CSV)

    assert response.status_code == 200
    wait_until_written(client, 4)
    [row] = read(url, "SELECT * FROM predictions")
    assert row["rows"] == 4
    assert row["inputs"] is None
    assert json.loads(row["by_class"]) == {"setosa": 3, "versicolor": 0, "virginica": 1}
    wait_until(lambda: windows(client)["hour"]["rows"] == 4)


def test_requests_of_the_open_protocol_are_entries_too(start_journal, url):
    client = start_journal(journal_url=url)
    rows = [[5.1, 3.5, 1.4, 0.2], [6.5, 3.0, 5.5, 2.0]]

    client.post("/v1/models/iris:predict", json={"instances": rows})

    wait_until_written(client, 2)
    [row] = read(url, "SELECT * FROM predictions")
    assert json.loads(row["by_class"]) == {"setosa": 1, "versicolor": 0, "virginica": 1}


def test_text_booleans_and_missing_values_are_kept_as_sent(publish, start, url):
    publish(**MIXED)
    client = start(journal="on", journal_url=url)
    wait_for_version(client, VERSION)
    sent = INSTANCE | {"sex": "a\u0000\U0001f600'\"", "age": None}

    predict(client, sent)

    wait_until_written(client, 1)
    [row] = read(url, "SELECT inputs FROM predictions")
    assert json.loads(row["inputs"]) == sent


def test_without_a_journal_nothing_is_stored_and_there_is_no_feedback(start, publish, tmp_path):
    publish()
    client = start(journal="off", journal_url=f"sqlite:///{tmp_path}/journal.db")
    wait_for_version(client, VERSION)

    predict(client)

    assert not list(tmp_path.glob("journal*"))
    assert client.get("/monitoring").json()["journal"] is None
    assert "/feedback" not in client.get("/openapi.json").json()["paths"]
    assert client.post("/feedback", json={}).status_code == 404
    assert not [name for name in exposed(client) if name.startswith("journal")]


def test_the_file_is_for_its_owner_only(start_journal, tmp_path):
    client = start_journal()
    predict(client)
    wait_until_written(client, 1)

    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("journal.db*")} == {0o600}


def fail(database):
    with suppress(SQLAlchemyError), database.begin() as connection:
        connection.execute(text("SELECT nonsense"))
    with database.begin():
        pass


def share(database):
    with Database(f"sqlite:///{database.engine.url.database}").begin():
        pass


@pytest.mark.parametrize("happens", [fail, share])
def test_what_a_process_does_with_its_file_parts_it_from_no_other(tmp_path, happens):
    """SQLite's locks are of a process: they end with any descriptor of the file that it closes.

    Without them the next to leave removes the log that this one goes on to write to.
    """
    file = tmp_path / "journal.db"
    database = Database(f"sqlite:///{file}")
    count = f"import sqlite3; c = sqlite3.connect({str(file)!r}); "
    count += "print(c.execute('SELECT count(*) FROM models').fetchone()[0]); c.close()"
    found = []

    for version in ("first", "second", "third"):
        with database.begin() as connection:
            row = {"version": version, "name": "iris", "features": "[]", "classes": "[]"}
            connection.execute(database.insert(models), row)
        happens(database)
        other = subprocess.run([sys.executable, "-c", count], capture_output=True, text=True)
        found.append(other.stdout.strip())

    assert found == ["1", "2", "3"]


def test_the_predictions_of_two_services_stand_in_one_journal(start_journal, url):
    first, second = start_journal(journal_url=url), start_journal(journal_url=url)
    for client in (first, second, second):
        predict(client)
    for client, count in ((first, 1), (second, 2)):
        wait_until_written(client, count)

    assert written(url) == 3
    wait_until(lambda: windows(first)["hour"]["rows"] == 3)
    wait_until(lambda: windows(second)["model"]["rows"] == 3)


def test_what_was_counted_is_there_after_a_restart(start_journal, url):
    client = start_journal(journal_url=url)
    predict(client)
    wait_until_written(client, 1)

    again = start_journal(journal_url=url)
    predict(again)
    wait_until_written(again, 1)

    wait_until(lambda: windows(again)["day"]["rows"] == 2)


def test_sigterm_writes_everything(publish, tmp_path):
    publish()
    url = f"sqlite:///{tmp_path}/journal.db"
    with running_service(tmp_path, url) as (address, process):
        ask(address, 50)
        process.terminate()
        process.wait(20)

    assert written(url) == 50


def test_a_killed_service_loses_the_last_second_at_most(publish, tmp_path):
    publish()
    url = f"sqlite:///{tmp_path}/journal.db"
    with running_service(tmp_path, url) as (address, process):
        moments = []
        session, until = requests.Session(), time.monotonic() + 3
        while time.monotonic() < until:
            session.post(f"{address}/predict", json=SETOSA, timeout=5).raise_for_status()
            moments.append(time.time())
        killed = time.time()
        process.kill()
        process.wait(10)

    older = sum(moment < killed - 1 for moment in moments)
    wait_until(lambda: written(url) >= older)
    assert older > 10


def test_a_killed_writer_is_replaced_and_nothing_is_lost(start_journal, url):
    client = start_journal(journal_url=url)
    predict(client)
    wait_until_written(client, 1)

    os.kill(writer_of(client), signal.SIGKILL)
    predict(client)

    wait_until_written(client, 2)
    assert written(url) == 2
    assert exposed(client)["journal_lost_predictions_total"] == 0
    wait_until(lambda: windows(client)["hour"]["rows"] == 2)


def test_a_database_that_is_away_keeps_nobody_from_predicting(start_journal, tmp_path):
    folder = tmp_path / "later"
    client = start_journal(journal_url=f"sqlite:///{folder}/journal.db")

    predict(client)
    wait_until(lambda: exposed(client)["journal_up"] == 0)
    assert "No such file" in client.get("/monitoring").json()["journal"]["trouble"]
    assert exposed(client)["journal_lag_seconds"] > 0

    folder.mkdir()
    wait_until_written(client, 1)
    assert exposed(client)["journal_up"] == 1
    assert exposed(client)["journal_lag_seconds"] == 0


def test_a_full_disk_keeps_nobody_from_predicting_and_loses_nothing(start_journal, tmp_path):
    client = start_journal()
    predict(client)
    wait_until_written(client, 1)
    limits = resource.prlimit(writer_of(client), resource.RLIMIT_FSIZE, (50_000, -1))

    for _ in range(300):
        predict(client)
    wait_until(lambda: exposed(client)["journal_up"] == 0)
    resource.prlimit(writer_of(client), resource.RLIMIT_FSIZE, limits)

    wait_until_written(client, 301)
    assert written(f"sqlite:///{tmp_path}/journal.db") == 301
    wait_until(lambda: windows(client)["hour"]["rows"] == 301)


def test_what_the_queue_has_no_room_for_is_lost_and_counted(
    start_journal, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(recorder, "MOST_BYTES", 1_000)
    client = start_journal(journal_url=f"sqlite:///{tmp_path}/never/journal.db")

    for _ in range(50):
        predict(client)

    wait_until(lambda: exposed(client)["journal_lost_predictions_total"] > 30)
    wait_until(lambda: exposed(client)["journal_up"] == 0)
    said = [it.message for it in caplog.records if it.name == "journal.recorder"]
    assert len([line for line in said if "queue full" in line]) == 1
    assert len([line for line in said if "not written" in line]) == 1
    assert client.get("/monitoring").json()["journal"]["lost"] > 30


@pytest.fixture
def data():
    """A folder that who runs PostgreSQL may look into."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_a_restarted_postgresql_loses_nothing(publish, start, data):
    publish()
    port = find_free_port()
    with running_postgresql(data, port) as address:
        client = start(journal="on", journal_url=address)
        wait_for_version(client, VERSION)
        predict(client)
        wait_until_written(client, 1)
    predict(client)
    wait_until(lambda: exposed(client)["journal_up"] == 0)

    with running_postgresql(data, port):
        wait_until_written(client, 2)
        assert written(address) == 2


def test_a_database_that_hangs_holds_up_neither_metrics_nor_models(
    start_journal, publish, monkeypatch
):
    monkeypatch.setattr(journal, "ANSWER_SECONDS", 0.1)
    client = start_journal()
    hangs = Event()
    monkeypatch.setattr(Reader, "_read", lambda *_: hangs.wait(60))
    try:
        for _ in range(8):
            assert client.get("/metrics").status_code == 200
        said = client.get("/monitoring").json()
        publish(NEWER)
        wait_for_version(client, NEWER)
    finally:
        hangs.set()

    assert said["journal"]["trouble"] == "The journal does not answer."
    assert said["drift"] is None


def test_a_password_of_the_database_is_never_told(start_journal, caplog):
    client = start_journal(journal_url="postgresql://iris:geheim@127.0.0.1:1/journal")

    predict(client)

    wait_until(lambda: exposed(client)["journal_up"] == 0)
    assert "geheim" not in client.get("/monitoring").text
    assert "geheim" not in caplog.text


@pytest.mark.parametrize(
    "address", ["nonsense", "mysql://localhost/journal", "sqlite://", "sqlite:///:memory:"]
)
def test_an_address_that_cannot_be_used_stops_the_start(start_journal, address):
    with pytest.raises(SystemExit, match="JOURNAL_URL: "):
        start_journal(journal_url=address)


def test_what_is_older_than_the_retention_is_forgotten(start_journal, url):
    client = start_journal(journal_url=url)
    answer = predict(client)
    label = {"prediction_id": answer["prediction_id"], "label": "setosa"}
    assert client.post("/feedback", json=label).status_code == 200
    database = Database(url)
    retention = Retention(database, days=2)

    retention.tidy(time.time())
    assert written(url) == 1
    retention.tidy(time.time() + 26 * 3600)
    assert not read(url, "SELECT * FROM tallies WHERE period = 'minutes'")
    retention.tidy(time.time() + 4 * 86_400)
    database.engine.dispose()

    assert written(url) == 0
    assert read(url, "SELECT * FROM feedback") == []
    assert read(url, "SELECT * FROM tallies") == []


def test_the_file_gets_smaller_with_what_is_forgotten(start_journal, tmp_path):
    client = start_journal()
    predict(client)
    wait_until_written(client, 1)
    file = tmp_path / "journal.db"
    [row] = read(f"sqlite:///{file}", "SELECT * FROM predictions")
    fill_with_copies(file, row, 12_000)
    size = measure(file)
    database = Database(f"sqlite:///{file}")
    retention = Retention(database, days=2)

    for _ in range(6):
        retention.tidy(time.time() + 3 * 86_400)
    database.engine.dispose()

    assert written(f"sqlite:///{file}") == 0
    assert measure(file) < size / 10


def measure(file):
    """Its bytes, once what was written beside it is in it."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return file.stat().st_size


def fill_with_copies(file, row, count):
    with sqlite3.connect(file) as connection:
        places = ",".join("?" * len(row))
        copies = ((f"{number:032x}", *[*row.values()][1:]) for number in range(count))
        connection.executemany(f"INSERT INTO predictions VALUES ({places})", copies)


def test_what_is_old_is_forgotten_while_nobody_predicts(start_journal, tmp_path):
    client = start_journal(journal_retention_days=3 / 86_400)

    predict(client)
    wait_until_written(client, 1)

    wait_until(lambda: written(f"sqlite:///{tmp_path}/journal.db") == 0)


def test_what_cannot_be_tidied_is_said_and_tried_again(tmp_path, caplog):
    database = Database(f"sqlite:///{tmp_path}/journal.db")
    retention = Retention(database, days=math.inf)  # as one fault of many

    for seconds in (0, 1, 3600):
        retention.tidy(time.time() + seconds)

    database.engine.dispose()
    assert caplog.text.count("journal not tidied") == 2


def test_a_replaced_model_pkl_is_journalled_as_what_it_is(start, tmp_path):
    X, y = load_iris(return_X_y=True)
    url = f"sqlite:///{tmp_path}/journal.db"
    joblib.dump(LogisticRegression(max_iter=1000).fit(X, y), tmp_path / "model.pkl")
    client = start(journal="on", journal_url=url)
    wait_for_version(client, "model")
    wait_until(lambda: writer_of(client))
    os.kill(writer_of(client), signal.SIGSTOP)
    predict(client)
    wait_until(lambda: exposed(client)["journal_lag_seconds"] > 1)  # it is on its way
    predict(client)  # and this waits in the queue, with what comes

    joblib.dump(LogisticRegression().fit(X[:, :2], y > 1), tmp_path / "next.pkl")
    (tmp_path / "next.pkl").replace(tmp_path / "model.pkl")
    wait_until(lambda: len(client.get("/models/live").json()["manifest"]["features"]) == 2)
    answer = predict(client, {"x0": 5.0, "x1": 3.0})
    os.kill(writer_of(client), signal.SIGCONT)
    wait_until_written(client, 3)

    rows = read(url, "SELECT inputs, prediction_class FROM predictions ORDER BY id")
    assert [json.loads(it["inputs"]) for it in rows] == [SETOSA, SETOSA, {"x0": 5.0, "x1": 3.0}]
    assert rows[2]["prediction_class"] == answer["prediction_class"]
    [model] = read(url, "SELECT * FROM models")
    assert json.loads(model["features"]) == ["x0", "x1"]
    label = {"prediction_id": answer["prediction_id"], "label": "True"}
    assert client.post("/feedback", json=label).status_code == 200


def test_what_was_counted_before_a_day_without_a_database_stays_counted(tmp_path, publish):
    path = publish("2026_11_20_T00_00_00")
    description = Description.model_validate_json(path.with_suffix(".json").read_text())
    url = f"sqlite:///{tmp_path}/journal.db"
    writer = Writer(Settings(models_dir=tmp_path, journal_url=url))
    past = int(1000 * (time.time() - 3 * 86_400))
    for number in range(2):
        row = (begin_at(past) + f"{number:020x}", 0, [1.0, 0.0, 0.0], [5.1, 3.5, 1.4, 0.2])
        record = pack(description.version, [row])
        descriptions = {description.version: description}
        assert writer.write(Delivery([record], descriptions, None, False)) == Receipt()

    counts = read(url, "SELECT counts FROM tallies WHERE period <> 'minutes'")
    assert [sum(json.loads(it["counts"])["classes"]) for it in counts] == [2]


def test_identifiers_sort_by_their_time():
    assert begin_at(1) < begin_at(255) < begin_at(4096) < begin_at(int(time.time() * 1000))
