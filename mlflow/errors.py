"""What keeps a command from being done."""


class CommandFailed(Exception):
    """Nothing was published; the message says why, and what to do."""


class UnusableTable(CommandFailed):
    """The table cannot be trained on; the message names the place and says what to do."""
