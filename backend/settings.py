"""Reads the backend's environment variables."""

import sys
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Every variable is listed in docs/configuration.md."""

    model_config = SettingsConfigDict(frozen=True)

    models_dir: Path = Path("/models")
    max_body_bytes: int = Field(default=16 * 1024**2, gt=0)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


def read_settings() -> Settings:
    """Exits with one line per variable that cannot be used."""
    try:
        return Settings()
    except ValidationError as invalid:
        errors = invalid.errors()
        sys.exit("\n".join(f"{str(error['loc'][0]).upper()}: {error['msg']}" for error in errors))
