"""Shows addresses without what gives access to them."""

from urllib.parse import urlsplit, urlunsplit


def hide_secrets(address: str) -> str:
    """Of a URL without user, password and query; a path as it is."""
    parts = urlsplit(address)
    if not parts.netloc:
        return address
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
