"""What keeps a command from being done."""


class CommandFailed(Exception):
    """Nothing was published; the message says why, and what to do."""
