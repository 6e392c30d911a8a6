"""The tables of the journal, in any database that SQLAlchemy speaks to."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

BUSY_SECONDS = 5  # another worker's write takes milliseconds
CONNECT_SECONDS = 3
STATEMENT_SECONDS = 20
MOST_LOG_BYTES = 8 * 1024**2  # of SQLite's -wal, once what is in it has been taken over

metadata = sa.MetaData()
_TIME = sa.DateTime(timezone=True)

# `id` begins with the time, so that each new row comes last. A table that was predicted is one row,
# whose classes are counted in `by_class`, a JSON object, and which has no inputs.
predictions = sa.Table(
    "predictions",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("predicted_at", _TIME, nullable=False),
    sa.Column("model_version", sa.String(64), nullable=False),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("inputs", sa.Text),
    sa.Column("prediction_class", sa.Text),
    sa.Column("probabilities", sa.Text),
    sa.Column("shadow_version", sa.String(64)),
    sa.Column("shadow_class", sa.Text),
    sa.Column("by_class", sa.Text),
    sqlite_with_rowid=False,
)
# With what was predicted, so that figures need no look at the predictions, of which there are more.
feedback = sa.Table(
    "feedback",
    metadata,
    sa.Column("prediction_id", sa.String(32), primary_key=True),
    sa.Column("given_at", _TIME, nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("model_version", sa.String(64), nullable=False),
    sa.Column("prediction_class", sa.Text, nullable=False),
    sa.Column("probability", sa.Float),
    sa.Column("shadow_version", sa.String(64)),
    sa.Column("shadow_class", sa.Text),
    sa.Index("feedback_by_version", "model_version"),
    sqlite_with_rowid=False,
)
# `features` and `classes` are JSON lists of names.
models = sa.Table(
    "models",
    metadata,
    sa.Column("version", sa.String(64), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("features", sa.Text, nullable=False),
    sa.Column("classes", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)
# Rows counted by feature and bin, from a moment on (seconds since 1970) for as long as the period
# is. Each writer has rows of its own, so that none waits for another.
tallies = sa.Table(
    "tallies",
    metadata,
    sa.Column("model_version", sa.String(64), primary_key=True),
    sa.Column("period", sa.String(8), primary_key=True),
    sa.Column("start", sa.Integer, primary_key=True),
    sa.Column("writer", sa.String(32), primary_key=True),
    sa.Column("counts", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

# A server that has gone without a word is found out in ten seconds.
_KEEP_ALIVE = {
    "keepalives_idle": 4,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_INSERTS = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
# Held until the end of the transaction; the number is any that nobody else uses.
_LOCKS = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "SELECT pg_advisory_xact_lock(20260101)"}


class Database:
    """Connections to one journal, whose tables are made where they are missing."""

    def __init__(self, address: str) -> None:
        """Of a URL of SQLAlchemy's; raises ValueError where it is none that can be used."""
        url = read_url(address)
        self._file = Path(str(url.database)) if url.get_backend_name() == "sqlite" else None
        self.engine = _create_engine(url)
        self._is_ready = False

    @property
    def is_sqlite(self) -> bool:
        return self._file is not None

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A transaction; raises SQLAlchemyError or OSError, as does what is done in it."""
        try:
            if not self._is_ready:
                self._prepare()
            with self.engine.begin() as connection:
                yield connection
            self._is_ready = True
        except SQLAlchemyError:
            self._is_ready = False  # somebody may have taken the tables away
            raise

    def _prepare(self) -> None:
        if self._file:
            _make_private(self._file)
        with self.engine.begin() as connection:
            # Workers and writers that start at once would all make the same tables, and all fail.
            connection.exec_driver_sql(_LOCKS[self.engine.dialect.name])
            metadata.create_all(connection)

    def insert(self, table: sa.Table) -> Any:
        """An INSERT that can also say what to do where the row is there already."""
        return _INSERTS[self.engine.dialect.name](table)

    def replace(self, table: sa.Table) -> Any:
        """An INSERT that takes the place of what is there."""
        insert = self.insert(table)
        keys = table.primary_key.columns
        names = [column.name for column in table.columns if column.name not in keys]
        values = {name: insert.excluded[name] for name in names}
        return insert.on_conflict_do_update(index_elements=keys, set_=values)


def _make_private(file: Path) -> None:
    """What people asked is for nobody else to read.

    One that is there is not opened: to close it would end the locks that this process's connections
    have on it (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def say(error: object) -> str:
    """One line of an error, without what was to be written: SQLAlchemy is told not to repeat it."""
    return " ".join(str(getattr(error, "orig", None) or error).split())[:300]


def read_url(address: str) -> URL:
    """Raises ValueError where it is no URL, or of another database."""
    try:
        url = make_url(address)
    except Exception as error:  # SQLAlchemy's own, which is no ValueError
        raise ValueError(f"it is no URL of a database: {error}") from None
    kind = url.get_backend_name()
    if kind not in _INSERTS:
        raise ValueError(f"the journal is kept in SQLite or PostgreSQL, not in {kind}")
    if kind == "sqlite" and url.database in (None, "", ":memory:"):
        raise ValueError("a database in memory is gone with its process; name a file")
    return url.set(drivername="postgresql+psycopg") if kind == "postgresql" else url


def _create_engine(url: URL) -> sa.Engine:
    if url.get_backend_name() == "postgresql":
        limit = f"-c statement_timeout={1000 * STATEMENT_SECONDS}"
        options = {"connect_timeout": CONNECT_SECONDS, "options": limit, **_KEEP_ALIVE}
        return sa.create_engine(url, pool_pre_ping=True, connect_args=options, hide_parameters=True)
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True)
    sa.event.listen(engine, "connect", _set_up_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _: Any) -> None:
    # The first takes effect in a database without tables only. In WAL mode readers and the writer
    # do not wait for each other, and a killed process loses nothing that was committed.
    for pragma in (
        "auto_vacuum = INCREMENTAL",
        "journal_mode = WAL",
        "synchronous = NORMAL",
        f"journal_size_limit = {MOST_LOG_BYTES}",
    ):
        connection.execute(f"PRAGMA {pragma}")
