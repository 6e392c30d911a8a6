"""Makes the tracking server's databases, or brings those of another MLflow up to date."""

import gc
import os
import shutil
import sqlite3
import sys
import zlib
from collections.abc import Callable
from configparser import ConfigParser
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

SQLITE = "sqlite:///"
MLFLOW = version("mlflow")
# SQLite keeps a number for whoever uses a database. Here it says whose tables those are.
MARK = zlib.crc32(MLFLOW.encode()) & 0x7FFFFFFF


def main() -> None:
    """Before the server starts, which takes only the tables of its own version."""
    prepare(os.environ["MLFLOW_BACKEND_STORE_URI"], _update_runs)
    if settings := os.environ.get("MLFLOW_AUTH_CONFIG_PATH"):
        parser = ConfigParser()
        parser.read(settings)
        users = parser["mlflow"]["database_uri"]
        if users.startswith(SQLITE):  # in any other the server does it, under a lock
            prepare(users, _update_users)


def prepare(uri: str, update: Callable[[str], None]) -> None:
    """Make an SQLite file whole, or leave it as it was; keep that of another MLflow as `.old`.

    Raises whatever the update does; the file is then as it was.
    """
    if not uri.startswith(SQLITE) or "?" in uri:
        update(uri)
        return
    path = Path(uri.removeprefix(SQLITE))
    if path.exists() and _read_mark(path) == MARK:
        return
    new = path.with_name(f"{path.name}.new")
    _remove(new)
    if path.exists():
        _copy(path, new)
    update(f"{SQLITE}{new}")
    gc.collect()  # MLflow's connections, as SMB renames no file that is open
    with closing(sqlite3.connect(new)) as database:
        database.execute(f"PRAGMA user_version = {MARK}")
    if path.exists():
        _copy(path, path.with_name(f"{path.name}.old"))
    new.replace(path)


def _update_runs(uri: str) -> None:
    # Its imports take seconds, and are for once in a version.
    from mlflow.db import upgrade  # noqa: PLC0415

    upgrade([uri], standalone_mode=False)


def _update_users(uri: str) -> None:
    from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore  # noqa: PLC0415

    SqlAlchemyStore().init_db(uri)  # type: ignore[no-untyped-call]


def _copy(source: Path, target: Path) -> None:
    """As SQLite does it, which sees what a killed server has left beside the file."""
    _remove(target)
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
    shutil.copymode(source, target)


def _remove(path: Path) -> None:
    """With what a killed process has left beside it, or SQLite would put that into the next one."""
    for beside in ("", "-journal", "-wal", "-shm"):
        path.with_name(f"{path.name}{beside}").unlink(missing_ok=True)


def _read_mark(path: Path) -> object:
    with closing(sqlite3.connect(path)) as database:
        return database.execute("PRAGMA user_version").fetchone()[0]


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # of drivers and migrations there are many
        said = str(error).partition("\n")[0]
        advice = "If it is of a newer MLflow, put back its .old, or the copy of before that"
        sys.exit(f"MLflow {MLFLOW} cannot use its database: {said}. {advice}.")
