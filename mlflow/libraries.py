"""Tells the versions of what a pickle is made with."""

import platform
from importlib.metadata import version


def library_versions() -> dict[str, str]:
    """Return the manifest's `libraries`."""
    libraries = ("scikit-learn", "numpy", "joblib")
    return {"python": platform.python_version()} | {name: version(name) for name in libraries}
