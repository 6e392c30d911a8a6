"""Reads the backend's environment variables."""

import sys
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Every variable is listed in docs/configuration.md."""

    model_config = SettingsConfigDict(frozen=True)

    models_dir: Path = Path("/models")
    model_trust: Literal["auto", "signed"] = "auto"
    model_public_key: Path = Path("/keys/model_public_key.pem")
    max_model_bytes: int = Field(default=1024**3, gt=0)
    model_load_seconds: float = Field(default=20, gt=0)
    max_body_bytes: int = Field(default=16 * 1024**2, gt=0)
    max_batch_rows: int = Field(default=1_000_000, gt=0)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @model_validator(mode="after")
    def _require_key(self) -> Self:
        if self.model_trust == "signed" and not self.model_public_key.is_file():
            raise ValueError(
                f"MODEL_TRUST=signed needs a public key, and {self.model_public_key} is none. "
                "`make keys` writes one."
            )
        return self


def read_settings() -> Settings:
    """Exits with one line per variable that cannot be used."""
    try:
        return Settings()
    except ValidationError as invalid:
        sys.exit("\n".join(map(_explain, invalid.errors())))


def _explain(error: ErrorDetails) -> str:
    name = "".join(f"{part}: ".upper() for part in error["loc"])
    return name + error["msg"].removeprefix("Value error, ")
