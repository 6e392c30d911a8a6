import pytest

from settings import read_settings


def test_every_setting_has_a_default_and_one_that_cannot_be_used_is_named_in_one_line(monkeypatch):
    assert read_settings().max_body_bytes > 0
    monkeypatch.setenv("LOG_LEVEL", "LOUD")

    with pytest.raises(SystemExit, match=r"^LOG_LEVEL: Input should be 'DEBUG'.*$"):
        read_settings()
