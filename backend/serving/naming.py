"""Tells a version by the name of its file, and which name a model by hand should have."""

import re
from collections.abc import Container
from datetime import UTC, datetime, timedelta
from functools import lru_cache

VERSION_FORMAT = "%Y_%m_%d_T%H_%M_%S"
UNVERSIONED = "model"  # of model.pkl, served only where no other model can be

_ENDINGS = (".pkl", ".pickle", ".joblib")  # of what somebody means to be a model
_DATE = re.compile(r"((?:19|20)\d\d)\D?(\d\d)\D?(\d\d)(?:\D{0,2}(\d\d)\D?(\d\d)\D?(\d\d))?")


@lru_cache(maxsize=100_000)
def find_version(name: str) -> str | None:
    """The whole name of a model that is called otherwise; None for other and hidden files."""
    if name == "model.pkl":
        return UNVERSIONED
    version = name.removeprefix("model_").removesuffix(".pkl")
    try:
        moment = datetime.strptime(version, VERSION_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        moment = None
    if moment and name == _name(moment):
        return version
    is_plain = name.isprintable() and not name.startswith((".", "~"))
    return name if is_plain and name.lower().endswith(_ENDINGS) else None


def suggest_name(name: str, modified: datetime, taken: Container[str]) -> str:
    """A free name of the time in the file's own name, else of the time it was modified."""
    moment = _find_date(name) or modified
    while _name(moment) in taken:
        moment += timedelta(seconds=1)
    return _name(moment)


def _name(moment: datetime) -> str:
    return f"model_{moment:{VERSION_FORMAT}}.pkl"


def _find_date(name: str) -> datetime | None:
    if not (found := _DATE.search(name)):
        return None
    digits = "".join(part or "00" for part in found.groups())
    try:
        return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
