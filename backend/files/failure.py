"""The failure of a command."""


class CommandFailed(Exception):
    """It cannot be done; the message says what to do."""
