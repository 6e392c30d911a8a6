"""Every sentence the page says."""

from typing import Any

TITLE = "Iris ML"
PREDICT = "Predict"
PROBABILITY = "Probability"
CLASS = "Class"

BACKEND_AWAY = "The backend does not answer. This page goes on by itself once it is back."
BACKEND_STRANGE = "The backend answered something unexpected. Its log says more."
WAITING = "Looking again every two seconds."


def introduction(manifest: dict[str, Any]) -> str:
    """What the page does, in the words of the live model."""
    return (
        f"Which **{plain(manifest['target']['name'])}** is it? Enter the values; "
        f"the model answers with a class and how sure it is."
    )


def label(feature: dict[str, Any]) -> str:
    """The feature's name as a person writes it, with its unit."""
    words = feature["name"].replace("_", " ")
    unit = f" ({feature['unit']})" if feature["unit"] else ""
    return plain(words[:1].upper() + words[1:] + unit)


def training_range(feature: dict[str, Any]) -> str:
    unit = f" {feature['unit']}" if feature["unit"] else ""
    return plain(f"Training range {feature['min']:g} to {feature['max']:g}{unit}")


def answered_by(version: str) -> str:
    return f"Answered by model `{version}`"


def described(manifest: dict[str, Any]) -> str:
    """Which model the form belongs to."""
    estimator, rows = manifest["estimator"], manifest["dataset"]["rows"]
    return f"Live: {plain(estimator)}, trained on {rows} rows of {plain(manifest['name'])}"


def plain(text: str) -> str:
    """Names come from tables: nothing in them is Markdown, HTML or a formula."""
    return "".join(f"\\{character}" if character in _MARKDOWN else character for character in text)


_MARKDOWN = r"\`*_{}[]()<>#+-.!|~$:"
