"""Every sentence the page says."""

import math
from typing import Any

TITLE = "Iris ML"
PREDICT = "Predict"
PROBABILITY = "Probability"

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
    unit = f" ({feature['unit']})" if feature["unit"] else ""
    # A name with capitals of its own, like pH, is left as it is.
    return plain((words.capitalize() if words.islower() else words) + unit)


def training_range(feature: dict[str, Any]) -> str:
    """With as many decimals as the training table used."""
    decimals = max(0, -math.floor(math.log10(feature["step"])))
    return f"Trained on {feature['min']:.{decimals}f} to {feature['max']:.{decimals}f}"


def target(manifest: dict[str, Any]) -> str:
    """The target's name as a person writes it."""
    return label({"name": manifest["target"]["name"], "unit": None})


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
    return "".join(f"\\{character}" if character in _MARKDOWN else character for character in text)


_MARKDOWN = r"\`*_[]<>#|~$:"
