"""Every sentence the page says."""

import math
import re
from typing import Any

TITLE = "Iris ML"
PREDICT = "Predict"
PROBABILITY = "Probability"
YES = "Yes"
NO = "No"
MISSING = "Missing"

BACKEND_AWAY = "The backend does not answer. Once it is back, press Predict again."
BACKEND_STRANGE = "The backend answered something unexpected. Its log says more."
WAITING = "Looking again every two seconds."


def introduction(manifest: dict[str, Any]) -> str:
    """What the page does, in the words of the live model."""
    return (
        f"Which {plain(manifest['target']['name'])} is it? Enter the values; "
        f"the model answers with a class and how sure it is."
    )


def label(feature: dict[str, Any]) -> str:
    """The feature's name as a person writes it, with its unit."""
    words = feature["name"].replace("_", " ")
    unit = f" ({feature['unit']})" if feature.get("unit") else ""
    # A name with capitals of its own, like pH, is left as it is.
    return plain((words.capitalize() if words.islower() else words) + unit)


def training_range(feature: dict[str, Any]) -> str:
    """With as many decimals as the training table used."""
    decimals = max(0, -math.floor(math.log10(feature["step"])))
    trained = f"Trained on {feature['min']:.{decimals}f} to {feature['max']:.{decimals}f}"
    return f"{trained}; may be left empty" if feature["nullable"] else trained


def missing_among(values: list[str]) -> str:
    """A choice for what is missing that is none of the values."""
    choice = MISSING
    while choice in values:
        choice = f"({choice})"
    return choice


def target(manifest: dict[str, Any]) -> str:
    """The target's name as a person writes it."""
    return label({"name": manifest["target"]["name"]})


def answered_by(version: str) -> str:
    return f"Answered by model `{version}`"


def described(manifest: dict[str, Any]) -> str:
    """Which model the form belongs to."""
    live = f"Live: {plain(manifest['estimator'])}"
    if not manifest["dataset"]:
        return f"{live}, of which the models folder tells no more"
    return f"{live}, trained on {manifest['dataset']['rows']} rows of {plain(manifest['name'])}"


def plain(text: str) -> str:
    """Names come from tables: nothing in them is Markdown, HTML or a formula."""
    line = " ".join(text.split())
    escaped = "".join(f"\\{mark}" if mark in _MARKDOWN else mark for mark in line)
    return _LIST.sub(r"\1\\\2", escaped)


_MARKDOWN = r"\`*_[]<>#|~$:&"
_LIST = re.compile(r"^(\d*)([-+.)])")  # at the start of a line only
