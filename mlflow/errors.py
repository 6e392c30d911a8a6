"""What keeps a command from being done, and what its messages may show."""

from urllib.parse import urlsplit, urlunsplit


class CommandFailed(Exception):
    """Nothing was published; the message says why, and what to do."""


class UnusableTable(CommandFailed):
    """The table cannot be trained on; the message names the place and says what to do."""


class TrainingFailed(CommandFailed):
    """There is no model, or none of those that were asked for."""


class TrackingUnavailable(CommandFailed):
    """The tracking server does not answer, or refuses."""


class RunNotTaken(TrackingUnavailable):
    """The tracking server answers, and has not taken the whole of this run."""


def hide_secrets(address: str) -> str:
    """A URL without user, password and query; a path as it is."""
    parts = urlsplit(address)
    if not parts.netloc:
        return address
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
