"""Reads the backend's environment variables."""

import sys
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Every variable is listed in docs/configuration.md; an empty one counts as not set."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    models_dir: Path = Path("/models")
    model_trust: Literal["auto", "any", "signed"] | None = None
    model_public_key: Path = Path("/keys/model_public_key.pem")
    max_model_bytes: int = Field(default=1024**3, gt=0)
    model_load_seconds: float = Field(default=20, gt=0)
    predict_seconds: float = Field(default=10, gt=0)
    batch_seconds: float = Field(default=600, gt=0)
    worker_memory_bytes: int = Field(default=2 * 1024**3, gt=0)
    api_key: str = Field(default="", repr=False)
    cors_origins: str = ""
    max_body_bytes: int = Field(default=16 * 1024**2, gt=0)
    max_batch_rows: int = Field(default=1_000_000, gt=0)
    max_concurrent_requests: int = Field(default=1000, gt=0)
    request_seconds: float = Field(default=60, gt=0)
    journal: Literal["on", "off"] = "on"
    journal_url: str = Field(default="sqlite:////journal/journal.db", repr=False)
    journal_retention_days: float = Field(default=30, gt=0, le=36_500)
    shadow: Literal["off", "challenger"] = "off"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["text", "json"] = "text"

    @model_validator(mode="after")
    def _require_what_others_need(self) -> Self:
        if self.shadow != "off" and self.journal == "off":
            raise ValueError("SHADOW needs the journal, and JOURNAL=off. Switch one of the two.")
        if self.api_key and not self.api_keys:
            raise ValueError("API_KEY holds no key. Give one, or several with commas between.")
        return self

    @property
    def api_keys(self) -> tuple[str, ...]:
        return _split(self.api_key)

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """Of browsers' pages that may ask."""
        return _split(self.cors_origins)


def read_settings() -> Settings:
    """Exits with one line per variable that cannot be used."""
    try:
        return Settings()
    except ValidationError as invalid:
        sys.exit("\n".join(map(_explain, invalid.errors())))


def _split(text: str) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, text.split(","))))


def _explain(error: ErrorDetails) -> str:
    name = "".join(f"{part}: ".upper() for part in error["loc"])
    return name + error["msg"].removeprefix("Value error, ")
