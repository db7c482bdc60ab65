"""One frozen settings object from the command line, `WRISTLEAD_*` variables and an optional TOML file."""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

Port = Annotated[int, Field(ge=1, le=65535)]


class SettingsError(ValueError):
    """A setting is invalid; the message names it, its value and what was expected."""


class Settings(BaseSettings):
    """Everything a service can be told. The command line wins over the environment, that over the file."""

    model_config = SettingsConfigDict(
        frozen=True, env_prefix="WRISTLEAD_", extra="forbid", env_parse_none_str="none", validate_default=True
    )

    broker: str | None = Field(None, description="host:port of your own MQTT broker; none starts one here")
    broker_port: Port = Field(18830, description="port for the broker that is started here")
    broker_kind: str = Field("auto", pattern="^(auto|mosquitto|amqtt)$", description="which broker to start")
    data_dir: Path = Field(
        Path("wristlead-data"), description="where the store and the broker keep their files"
    )
    store_url: str | None = Field(
        None, description="postgresql+psycopg://... or sqlite:///FILE; none means SQLite in data_dir"
    )
    dashboard_host: str = Field("127.0.0.1", description="address the dashboard listens on")
    dashboard_port: Port = Field(8050, description="port the dashboard listens on")
    keep_days: float | None = Field(
        30.0, ge=0.1, description="how long waveforms, windows and verdicts are kept; none keeps all"
    )
    mappers: Path | None = Field(
        None, description="TOML file that says how to read foreign topics (docs/mappers.md); none is off"
    )
    notify_config: Path | None = Field(
        None, description="TOML file that says whom to tell of alarms (docs/notify.md); none is nobody"
    )
    dashboard_url: str | None = Field(
        None, description="how people reach the dashboard, for links in messages; none leaves links out"
    )
    home_assistant: bool = Field(
        default=False, description="true: let Home Assistant find each device over MQTT (docs/notify.md)"
    )
    gemini: bool = Field(
        default=False, description="true: Google's Gemini may reword explanations (docs/narrative.md)"
    )
    gemini_model: str = Field("gemini-flash-latest", min_length=1, description="which of its models")
    gemini_url: str | None = Field(None, description="another address of that service; none is Google's")
    metrics_port: int | None = Field(
        18840, ge=0, le=65_500, description="first loopback port of metrics and health; none serves none"
    )
    hop_s: float = Field(10.0, ge=1.0, le=10.0, description="distance between window starts, seconds")
    reorder_wait_s: float = Field(
        2.5, ge=0.1, le=30.0, description="how long a chunk waits for an earlier one"
    )
    commit_every_s: float = Field(0.1, gt=0.0, le=1.0, description="longest wait before a group commit")
    rate_low_bpm: float = Field(50.0, ge=15.0, le=300.0, description="heart-rate limit, medium alarm below")
    rate_high_bpm: float = Field(120.0, ge=15.0, le=300.0, description="heart-rate limit, medium alarm above")
    rate_extreme_low_bpm: float = Field(40.0, ge=15.0, le=300.0, description="high alarm below")
    rate_extreme_high_bpm: float = Field(150.0, ge=15.0, le=300.0, description="high alarm above")
    weights_dir: Path | None = Field(
        None, description="folder of the exported model; none means the released one"
    )
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="how much to log")

    @field_validator("metrics_port", mode="before")
    @classmethod
    def _may_be_none(cls, value: object) -> object:
        return None if value == "none" else value

    @field_validator("store_url")
    @classmethod
    def _is_a_store(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(
            ("sqlite:///", "postgresql://", "postgresql+psycopg://")
        ):
            raise ValueError("want sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE")
        return value

    @field_validator("dashboard_url")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("want http://HOST:PORT or https://HOST, as a browser takes it")
        return None if value is None else value.rstrip("/")

    @field_validator("broker")
    @classmethod
    def _has_host_and_port(cls, value: str | None) -> str | None:
        if value is not None and (":" not in value or not value.rpartition(":")[2].isdigit()):
            raise ValueError("want host:port, such as 127.0.0.1:1883")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - fixed by pydantic; no .env is read
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line, then environment, then the TOML file named by WRISTLEAD_CONFIG."""
        config = os.environ.get("WRISTLEAD_CONFIG")
        if config:
            Path(config).read_text("utf-8")  # else a file that is not there would be passed over in silence
        toml = (TomlConfigSettingsSource(settings_cls, config),) if config else ()
        return (init_settings, env_settings, *toml)

    @property
    def broker_address(self) -> tuple[str, int]:
        """Host and port of the broker every service connects to."""
        if self.broker is None:
            return "127.0.0.1", self.broker_port
        host, _, port = self.broker.rpartition(":")
        return host, int(port)

    @property
    def store_address(self) -> str:
        """The SQLAlchemy URL in use."""
        return self.store_url or f"sqlite:///{self.data_dir / 'wristlead.sqlite'}"

    def as_environment(self) -> dict[str, str]:
        """The same settings as `WRISTLEAD_*` variables, to hand to a child process."""
        values = self.model_dump(mode="json")
        return {f"WRISTLEAD_{name.upper()}": "none" if v is None else str(v) for name, v in values.items()}


def load_settings(**overrides: Any) -> Settings:
    """Settings from all sources; raises SettingsError with one line per invalid value."""
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        config = os.environ.get("WRISTLEAD_CONFIG")
        raise SettingsError(f"WRISTLEAD_CONFIG is {config!r}, want a TOML file: {error}") from None
    except ValidationError as error:
        raise SettingsError("; ".join(map(_in_words, error.errors()))) from None


def _in_words(error: Any) -> str:
    """One pydantic error: the setting, what was expected, what came."""
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        message = f"unknown setting, want one of {', '.join(Settings.model_fields)}"
    return f"{'.'.join(map(str, error['loc']))}: {message} (got {error['input']!r})"
