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
from itertools import count, islice
from pathlib import Path
from threading import Event

import psycopg
import pytest
import requests
from conftest import (
    DESCRIBED,
    MIXED,
    NAMES,
    SETOSA,
    VERSION,
    drop,
    journal_in,
    pickled,
    running_server,
    wait_until_live,
)
from journals import exposed, find, predict, read, wait_until_written, windows, writer_of
from mixed import INSTANCE
from processes import find_free_port, wait_until
from servers import running_postgresql
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from instrumentation.identifiers import begin_at
from journal import journal, recorder
from journal.database import Database, models
from journal.feedback import Feedback
from journal.figures import Figures
from journal.messages import Delivery, Receipt, pack_rows
from journal.retention import Retention
from journal.writer import Writer
from routes.feedback import MOST_LABELS
from schemas import Description
from settings import Settings

NEWER = "2026_11_21_T20_44_21"
VIRGINICA = [6.5, 3.0, 5.5, 2.0]
TABLE = ",".join(NAMES) + "\n" + "5.1,3.5,1.4,0.2\n" * 3 + "6.5,3.0,5.5,2.0\n"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def make_url(request):
    """Makes addresses of empty databases of a kind."""
    if request.param == "sqlite":
        yield lambda folder: journal_in(folder)["journal_url"]
        return
    numbers = count()
    with running_postgresql() as url, psycopg.connect(url, autocommit=True) as connection:

        def make(_):
            name = f"journal_{next(numbers)}"
            connection.execute(f"CREATE DATABASE {name}")
            return url.replace("/postgres", f"/{name}")

        yield make


@pytest.fixture
def url(make_url, tmp_path):
    return make_url(tmp_path)


@pytest.fixture(scope="module")
def client(make_url, share_app):
    """An app with a journal of each kind, which tests share, as they only add to it."""
    client = share_app(DESCRIBED, lambda path: {"journal": "on", "journal_url": make_url(path)})
    predict(client)
    wait_until_written(client, 1)
    return client


# Each Python runs it at its start. No test waits by it: it stands for imports that take seconds,
# as on a busy machine, and has to outlast the predictions before the kill.
SLOW_WRITER = """
import sys, time
if "journal.writer" in sys.orig_argv:
    time.sleep(4)
"""


@contextmanager
def running_service(models_dir, **variables):
    """A real backend that can be killed, its journal, and its answers without end."""
    address = journal_in(models_dir)["journal_url"]
    with running_server(models_dir, JOURNAL_URL=address, **variables) as (url, process):
        yield process, address, ask(url)


def ask(address):
    """Predict without end, and say when each answer came."""
    session = requests.Session()
    while True:
        session.post(f"{address}/predict", json=SETOSA, timeout=5).raise_for_status()
        yield time.time()


def written(url):
    return read(url, "SELECT count(*) AS count FROM predictions")[0]["count"]


def wait_until_all_count(client):
    """Wait until each row that is written is counted, too."""
    query = "SELECT sum(rows) AS rows FROM predictions"
    [every] = read(client.journal_url, query)
    wait_until(lambda: windows(client)["hour"]["rows"] == every["rows"])
    assert windows(client)["model"]["rows"] == windows(client)["day"]["rows"] == every["rows"]


def test_every_prediction_is_written_with_what_was_asked_and_answered(client):
    before = datetime.now(UTC).replace(tzinfo=None)

    answers = [predict(client), predict(client, version=VERSION)]

    ids = [answer["prediction_id"] for answer in answers]
    row, long = map(find(client, *ids).get, ids)
    assert (row["model_version"], row["rows"], row["prediction_class"]) == (VERSION, 1, "setosa")
    assert json.loads(row["inputs"]) == SETOSA
    assert json.loads(row["probabilities"]) == answers[0]["probabilities"]
    moment = datetime.fromisoformat(str(row["predicted_at"])).astimezone(UTC)
    assert abs((moment.replace(tzinfo=None) - before).total_seconds()) < 86_400
    own = {"id": "", "predicted_at": ""}
    assert row | own == long | own  # by the short way and the long one


@pytest.mark.parametrize(
    ("path", "rows", "body"),
    [
        ("/predict/batch", 4, {"content": TABLE, "headers": {"Content-Type": "text/csv"}}),
        ("/v1/models/iris:predict", 2, {"json": {"instances": [[*SETOSA.values()], VIRGINICA]}}),
    ],
)
def test_a_table_is_one_entry_with_its_rows_by_class(client, path, rows, body):
    query = f"SELECT * FROM predictions WHERE rows = {rows}"

    assert client.post(path, **body).status_code == 200

    wait_until(lambda: read(client.journal_url, query))
    [row] = read(client.journal_url, query)
    assert row["inputs"] is None
    assert json.loads(row["by_class"]) == {"setosa": rows - 1, "versicolor": 0, "virginica": 1}
    wait_until_all_count(client)


def test_text_booleans_and_missing_values_are_kept_as_sent(publish, start_live, url):
    publish(**MIXED)
    client = start_live(journal="on", journal_url=url)
    sent = INSTANCE | {"sex": "a\u0000\U0001f600'\"", "age": None}

    predict(client, sent)

    wait_until_written(client, 1)
    [row] = read(url, "SELECT inputs FROM predictions")
    assert json.loads(row["inputs"]) == sent


def test_without_a_journal_nothing_is_stored_and_there_is_no_feedback(start_live, tmp_path):
    client = start_live(**journal_in(tmp_path) | {"journal": "off"})

    predict(client)

    assert not list(tmp_path.glob("journal*"))
    assert client.get("/monitoring").json()["journal"] is None
    assert "/feedback" not in client.get("/openapi.json").json()["paths"]
    assert client.post("/feedback", json={}).status_code == 404
    assert not [name for name in exposed(client) if name.startswith("journal")]


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
    file, found = tmp_path / "journal.db", []
    database = Database(f"sqlite:///{file}")
    count = f"import sqlite3; c = sqlite3.connect({str(file)!r}); "
    count += "print(c.execute('SELECT count(*) FROM models').fetchone()[0]); c.close()"

    for version in ("first", "second", "third"):
        with database.begin() as connection:
            row = {"version": version, "name": "iris", "features": "[]", "classes": "[]"}
            connection.execute(database.insert(models), row)
        happens(database)
        other = subprocess.run([sys.executable, "-c", count], capture_output=True, text=True)
        found.append(other.stdout.strip())

    assert found == ["1", "2", "3"]


def test_the_predictions_of_services_before_and_beside_stand_in_one_journal(client, start_journal):
    other = start_journal(journal_url=client.journal_url)
    wait_until_all_count(other)

    find(other, *(predict(one)["prediction_id"] for one in (client, other, other)))

    wait_until_all_count(client)
    wait_until_all_count(other)


def test_sigterm_writes_everything(publish, tmp_path):
    publish()
    with running_service(tmp_path) as (process, url, answers):
        asked = len([*islice(answers, 50)])
        process.terminate()
        process.wait(20)

    assert written(url) == asked


def test_a_service_killed_just_after_its_start_loses_the_last_second_at_most(publish, tmp_path):
    publish()
    (tmp_path / "sitecustomize.py").write_text(SLOW_WRITER)
    with running_service(tmp_path, PYTHONPATH=tmp_path) as (process, url, answers):
        moments = [*islice(answers, 10)]
        while moments[-1] < moments[9] + 1:
            moments.append(next(answers))
        killed = time.time()
        process.kill()
        process.wait(10)

    older = sum(moment < killed - 1 for moment in moments)
    wait_until(lambda: written(url) >= older)


@pytest.mark.parametrize(
    "content", ["raise SystemExit", "import threading; threading.Event().wait()"]
)
def test_a_writer_that_does_not_start_keeps_nobody_from_predicting(
    start_journal, tmp_path, monkeypatch, content
):
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal/writer.py").write_text(content)
    with monkeypatch.context() as patch:
        patch.setattr(recorder, "FOLDER", tmp_path)
        patch.setattr(recorder, "START_SECONDS", 0.1)
        patch.setattr(recorder, "ANSWER_SECONDS", 0.5)
        client = start_journal()
        predict(client)
        wait_until(lambda: exposed(client)["journal_up"] == 0)

    wait_until_written(client, 1)


def test_a_killed_writer_is_replaced_and_nothing_is_lost(client):
    before = predict(client)["prediction_id"]
    find(client, before)

    os.kill(writer_of(client), signal.SIGKILL)
    find(client, before, predict(client)["prediction_id"])

    assert exposed(client)["journal_lost_predictions_total"] == 0
    wait_until_all_count(client)


def test_a_database_that_is_away_keeps_nobody_from_predicting(start_journal, tmp_path):
    folder = tmp_path / "later"
    client = start_journal(journal_url=f"sqlite:///{folder}/journal.db")

    predict(client)
    wait_until(lambda: exposed(client)["journal_up"] == 0)
    assert "No such file" in client.get("/monitoring").json()["journal"]["trouble"]
    assert exposed(client)["journal_lag_seconds"] > 0

    folder.mkdir()
    wait_until_written(client, 1)
    told = exposed(client)
    assert (told["journal_up"], told["journal_lag_seconds"]) == (1, 0)


def test_a_password_of_the_database_is_never_told(start_journal, caplog):
    client = start_journal(journal_url="postgresql://iris:geheim@127.0.0.1:1/journal")

    predict(client)

    wait_until(lambda: exposed(client)["journal_up"] == 0)
    assert "geheim" not in client.get("/monitoring").text + caplog.text


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


def test_what_finds_no_room_is_lost_and_counted(start_journal, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(recorder, "MOST_BYTES", 1_000)
    client = start_journal(journal_url=f"sqlite:///{tmp_path}/never/journal.db")

    predict(client)  # alone, as many at once have no room at all
    wait_until(lambda: exposed(client)["journal_up"] == 0)
    for _ in range(50):
        predict(client)

    wait_until(lambda: exposed(client)["journal_lost_predictions_total"] > 30)
    said = [record.message for record in caplog.records if record.name == "journal.recorder"]
    assert len([line for line in said if "queue full" in line]) == 1
    assert len([line for line in said if "not written" in line]) == 1
    assert client.get("/monitoring").json()["journal"]["lost"] > 30


def test_a_restarted_postgresql_loses_nothing(start_journal):
    # Who runs PostgreSQL may not look into the folders of the tests.
    with tempfile.TemporaryDirectory() as folder:
        port, data = find_free_port(), Path(folder)
        with running_postgresql(data, port) as address:
            client = start_journal(journal_url=address)
            predict(client)
            wait_until_written(client, 1)
        predict(client)
        wait_until(lambda: exposed(client)["journal_up"] == 0)

        with running_postgresql(data, port):
            wait_until_written(client, 2)
            assert written(address) == 2


def test_a_database_that_hangs_holds_up_nothing_else(start_journal, publish, monkeypatch):
    monkeypatch.setattr(journal, "REPORT_SECONDS", 0.1)
    client = start_journal()
    hangs = Event()
    monkeypatch.setattr(Figures, "_measure", lambda *_: hangs.wait(60))
    try:
        for _ in range(8):
            assert client.get("/metrics").status_code == 200
        said = client.get("/monitoring").json()
        publish(NEWER)
        wait_until_live(client, NEWER)
    finally:
        hangs.set()

    assert said["journal"]["trouble"] == "The journal does not answer."
    assert said["drift"] is None


def test_an_address_that_cannot_be_used_stops_the_start(start_journal):
    for url in ("nonsense", "mysql://localhost/journal", "sqlite://", "sqlite:///:memory:"):
        with pytest.raises(SystemExit, match="JOURNAL_URL: "):
            start_journal(journal_url=url)


def write(folder, url, ages):
    """Predictions of so many seconds ago, as a writer does; their ids."""
    path = folder / f"model_{VERSION}.json"
    description = Description.model_validate_json(path.read_text())
    writer = Writer(Settings(models_dir=folder, journal_url=url))
    now = int(1000 * time.time())
    ids = [begin_at(now - 1000 * age) + f"{place:020x}" for place, age in enumerate(ages)]
    for identifier in ids:
        packet = pack_rows(description, [(identifier, 0, [1.0, 0.0, 0.0], [*SETOSA.values()])])
        delivery = Delivery([packet], {packet.model: description}, None, False)
        assert writer.write(delivery) == Receipt()
    writer._database.engine.dispose()
    return ids


def test_what_is_older_than_the_retention_is_forgotten(publish, tmp_path, url):
    publish()
    [one] = write(tmp_path, url, ages=[0])
    database = Database(url)
    feedback, retention = Feedback(database), Retention(database, days=2)
    most = [one, *map(str, range(MOST_LABELS - 1))]
    feedback.record({one: "setosa"}, feedback.find(most))

    retention.tidy(time.time())
    assert written(url) == 1
    retention.tidy(time.time() + 26 * 3600)
    assert not read(url, "SELECT * FROM tallies WHERE period = 'minutes'")
    retention.tidy(time.time() + 4 * 86_400)
    database.engine.dispose()

    for table in ("predictions", "feedback", "tallies"):
        assert read(url, f"SELECT * FROM {table}") == []


def measure(file):
    """Its bytes, once what was written beside it is in it."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return file.stat().st_size


def test_the_file_gets_smaller_with_what_is_forgotten(publish, tmp_path):
    publish()
    file = tmp_path / "journal.db"
    write(tmp_path, f"sqlite:///{file}", ages=[0])
    with sqlite3.connect(file) as connection:
        [[_, *row]] = connection.execute("SELECT * FROM predictions")
        places = ",".join("?" * (len(row) + 1))
        copies = ((f"{number:032x}", *row) for number in range(12_000))
        connection.executemany(f"INSERT INTO predictions VALUES ({places})", copies)
    size, database = measure(file), Database(f"sqlite:///{file}")
    retention = Retention(database, days=2)

    for _ in range(6):
        retention.tidy(time.time() + 3 * 86_400)
    database.engine.dispose()

    assert written(f"sqlite:///{file}") == 0
    assert measure(file) < size / 10


def test_a_file_is_its_owners_and_forgets_the_old_while_all_is_quiet(start_journal, tmp_path):
    client = start_journal(journal_retention_days=1 / 86_400)

    predict(client)
    wait_until_written(client, 1)

    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("journal.db*")} == {0o600}
    wait_until(lambda: written(client.journal_url) == 0)


def test_what_cannot_be_tidied_is_said_and_tried_again(tmp_path, caplog):
    database = Database(f"sqlite:///{tmp_path}/journal.db")
    retention = Retention(database, days=math.inf)  # as one fault of many

    for seconds in (0, 1, 3600):
        retention.tidy(time.time() + seconds)

    database.engine.dispose()
    assert caplog.text.count("journal not tidied") == 2


def test_a_replaced_model_pkl_is_journalled_as_what_it_is(start_live, tmp_path):
    X, y = load_iris(return_X_y=True)
    drop(tmp_path, LogisticRegression(max_iter=1000).fit(X, y), "model")
    client = start_live(**journal_in(tmp_path))
    wait_until(lambda: writer_of(client))
    os.kill(writer_of(client), signal.SIGSTOP)
    predict(client)
    wait_until(lambda: exposed(client)["journal_lag_seconds"] > 0.5)  # it is on its way
    predict(client)  # and this waits in the queue, with what comes

    (tmp_path / "next").write_bytes(pickled(LogisticRegression().fit(X[:, :2], y > 1)))
    (tmp_path / "next").replace(tmp_path / "model.pkl")
    wait_until(lambda: len(client.get("/models/live").json()["manifest"]["features"]) == 2)
    answer = predict(client, {"x0": 5.0, "x1": 3.0})
    os.kill(writer_of(client), signal.SIGCONT)
    wait_until_written(client, 3)

    rows = read(client.journal_url, "SELECT inputs, prediction_class FROM predictions ORDER BY id")
    assert [json.loads(row["inputs"]) for row in rows] == [SETOSA, SETOSA, {"x0": 5.0, "x1": 3.0}]
    assert rows[2]["prediction_class"] == answer["prediction_class"]
    [model] = read(client.journal_url, "SELECT * FROM models")
    assert json.loads(model["features"]) == ["x0", "x1"]
    label = {"prediction_id": answer["prediction_id"], "label": "True"}
    assert client.post("/feedback", json=label).status_code == 200


def test_what_was_counted_before_a_day_without_a_database_stays_counted(tmp_path, publish):
    publish()
    url = f"sqlite:///{tmp_path}/journal.db"

    write(tmp_path, url, ages=[3 * 86_400] * 2)

    counts = read(url, "SELECT counts FROM tallies WHERE period <> 'minutes'")
    assert [sum(json.loads(row["counts"])["classes"]) for row in counts] == [2]


def test_identifiers_sort_by_their_time():
    assert begin_at(1) < begin_at(255) < begin_at(4096) < begin_at(int(time.time() * 1000))
