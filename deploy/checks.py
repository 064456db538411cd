"""What can be known to fail before anything is started or changed, each with one clear error."""

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from core.errors import InvalidSettingError
from core.settings import LlmSettings, Settings
from deploy import account, postgres
from generation.errors import ModelDamagedError, ModelMissingError
from generation.gguf import is_gguf

BROKERS: Final = ("redis", "rediss", "redis+socket", "sentinel")


def check(settings: Settings, folder: Path) -> None:
    """Raise for what cannot work under these settings and in this data folder, neither of which is changed.

    Raises `InvalidSettingError`, `DatabaseUnavailableError` for a database's URL that cannot be understood,
    `ModelMissingError` and `ModelDamagedError`.
    """
    account.check_data_folder(folder)
    _check_broker(settings.queue.url)
    _check_model(settings.llm)
    if settings.database_url:
        _check_database(settings.database_url)
    else:
        postgres.check(folder / "postgres")


def _check_broker(url: str) -> None:
    if url and _scheme(url) not in BROKERS:
        raise InvalidSettingError(
            "THREADWISE_QUEUE__URL is no address of a Redis or Valkey.",
            hint="For example redis://:PASSWORD@HOST:6379/0.",
        )


def _check_model(settings: LlmSettings) -> None:
    if settings.kind == "http" and _scheme(settings.base_url) not in ("http", "https"):
        raise InvalidSettingError(
            "THREADWISE_LLM__KIND is http, and THREADWISE_LLM__BASE_URL no address of a server.",
            hint="For example http://127.0.0.1:8080/v1.",
        )
    if settings.kind != "gguf":
        return
    hint = "Set THREADWISE_LLM__PATH to a GGUF."
    if not settings.path:
        raise InvalidSettingError("THREADWISE_LLM__KIND is gguf, and THREADWISE_LLM__PATH is empty.", hint=hint)
    weights = Path(settings.path).expanduser().absolute()
    if not weights.is_file():
        raise ModelMissingError(f"There is no file of weights at {weights}.", hint=hint)
    if not is_gguf(weights):
        raise ModelDamagedError(f"{weights} is not a GGUF file.", hint=hint)


def _check_database(url: str) -> None:
    from core.database import Database  # noqa: PLC0415 - a third of a second, for a database that is elsewhere

    Database(url).close()


def _scheme(url: str) -> str:
    """How the address begins, empty where it is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return parts.scheme if parts.netloc or parts.path.startswith("/") else ""
