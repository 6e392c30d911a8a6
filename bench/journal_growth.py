"""Measures what a journal takes and how long it is read as it grows, in SQLite and PostgreSQL.

    make bench
    python bench/journal_growth.py --rows 10000000

The backend's own writer puts irises of the last day into an empty journal, as fast as it can. At
each power of ten: the journal's size, how many predictions a second it has taken since the one
before, and then, of a backend that starts with it, how long /monitoring takes, which reads it anew
each time, and how long it takes to forget the oldest 5,000 predictions.
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import requests
from load import draw_instances
from models import dump, fit, publish
from processes import running_backend
from servers import running_postgresql
from sqlalchemy import func, select, text

sys.path.insert(0, str(Path(__file__).parent.parent / "backend"))
from instrumentation.identifiers import begin_at, make_identifier, read_milliseconds
from journal.database import Database, predictions
from journal.figures import FRESH_SECONDS
from journal.messages import Delivery, Row, pack_rows
from journal.retention import MOST_ROWS, Retention
from journal.tally import FINE
from journal.writer import Writer
from schemas import Description, Value
from settings import Settings

KINDS = ("SQLite", "PostgreSQL")
FIRST = 10_000
DELIVERY = 2_500  # rows, some of the 4 MB that a worker hands over when it has much
DAY = 86_400
STRETCHES = DAY // FINE.seconds
ROUNDS = 5


class Grown(NamedTuple):
    """A journal of so many predictions."""

    rows: int
    megabytes: float
    rate: float
    read: float
    forget: float


def draw_rows(first: int, last: int, most: int, size: int = DELIVERY) -> Iterator[list[Row]]:
    """The deliveries between two counts, where as many as `most` are made in the last day."""
    values: list[list[Value]] = [list(instance.values()) for instance in draw_instances()]
    for begin in range(first, last, size):
        prefix = begin_at(int(1000 * (time.time() - DAY * (1 - begin / most))))
        yield [
            (prefix + make_identifier()[len(prefix) :], *draw_answer(), values[number % 1000])
            for number in range(begin, min(begin + size, last))
        ]


def draw_answer() -> tuple[int, list[float] | None]:
    """With as many digits as a model's have."""
    first, second = sorted((random.random(), random.random()))
    return random.randrange(3), [first, second - first, 1 - second]


def write(writer: Writer, description: Description, deliveries: Iterator[list[Row]]) -> float:
    """Rows a second; making them does not count."""
    seconds, count, version = 0.0, 0, description.version
    for rows in deliveries:
        packet = pack_rows(description, rows)
        delivery = Delivery([packet], {packet.model: description}, version, False)
        started = time.perf_counter()
        receipt = writer.write(delivery)
        seconds += time.perf_counter() - started
        count += len(rows)
        assert receipt == (None, 0), receipt
    return count / seconds


def read_size(database: Database, file: Path) -> float:
    """Megabytes, with indexes, and with SQLite's log of what is new."""
    if database.is_sqlite:
        return sum(part.stat().st_size for part in file.parent.glob(f"{file.name}*")) / 1e6
    with database.begin() as connection:
        query = text("SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables")
        return float(connection.execute(query).scalar_one()) / 1e6


def time_reading(models_dir: Path, address: str, rows: int) -> float:
    """Milliseconds of /monitoring, each time when the figures before are no longer fresh."""
    taken = []
    with running_backend(models_dir, JOURNAL="on", JOURNAL_URL=address, LOG_LEVEL="ERROR") as url:
        for _ in range(ROUNDS):
            time.sleep(FRESH_SECONDS)
            started = time.perf_counter()
            answer = requests.get(f"{url}/monitoring", timeout=60).json()
            taken.append(time.perf_counter() - started)
            assert answer["drift"]["windows"][-1]["rows"] == rows + STRETCHES, answer
    return 1000 * statistics.median(taken)


def time_forgetting(database: Database) -> float:
    """Milliseconds of one step, on which the writers wait."""
    count = select(func.count()).select_from(predictions)
    with database.begin() as connection:
        before = connection.execute(count).scalar_one()
        ids = select(predictions.c.id).order_by(predictions.c.id).offset(MOST_ROWS - 1).limit(1)
        newest = read_milliseconds(connection.execute(ids).scalar_one()) / 1000
    now = time.time()
    retention = Retention(database, (now - newest - 0.002) / DAY)
    started = time.perf_counter()
    retention.tidy(now)
    taken = time.perf_counter() - started
    with database.begin() as connection:
        assert before - connection.execute(count).scalar_one() == MOST_ROWS
    return 1000 * taken


def grow(address: str, file: Path, most: int) -> Iterator[Grown]:
    """A journal at each power of ten."""
    database = Database(address)
    writer = Writer(Settings(journal_url=address))
    with tempfile.TemporaryDirectory() as folder:
        models_dir = Path(folder)
        version = publish(dump(fit("logistic regression")), models_dir)
        manifest = (models_dir / f"model_{version}.json").read_text()
        description = Description.model_validate_json(manifest)
        # One for each stretch that is summed, so that a small journal has as many sums as a large.
        write(writer, description, draw_rows(0, STRETCHES, STRETCHES, size=1))
        first, last = 0, FIRST
        while last <= most:
            rate = write(writer, description, draw_rows(first, last, most))
            size = read_size(database, file)
            read = time_reading(models_dir, address, last)
            yield Grown(last, size, rate, read, time_forgetting(database))
            first, last = last, 10 * last


@contextmanager
def opening(kind: str) -> Iterator[tuple[str, Path]]:
    """An empty journal's address, and its file where it is one."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "journal.db"
        if kind == "SQLite":
            yield f"sqlite:///{file}", file
            return
        with running_postgresql() as address:
            yield address, file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000, help="of the largest journal")
    parser.add_argument("--only", choices=KINDS, help="this database")
    arguments = parser.parse_args()
    print("| | predictions | MB | bytes each | written a second | /monitoring, ms | forget, ms |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for kind in [arguments.only] if arguments.only else KINDS:
        with opening(kind) as (address, file):
            for grown in grow(address, file, arguments.rows):
                each = 1e6 * grown.megabytes / grown.rows
                print(
                    f"| {kind} | {grown.rows:,} | {grown.megabytes:,.0f} | {each:.0f} |"
                    f" {grown.rate:,.0f} | {grown.read:.1f} | {grown.forget:.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
