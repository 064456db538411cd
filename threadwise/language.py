"""The language model that the settings name, and whether it is there."""

from pathlib import Path

from core.settings import LlmSettings
from generation import bundled
from generation.errors import ModelMissingError
from generation.model import LanguageModel

BUNDLED = "smollm2-135m-instruct-q4_1"


def models_folder(cache_dir: Path) -> Path:
    """Where weights are kept: below the cache, so that installations share them."""
    return cache_dir / "models"


def open_language_model(settings: LlmSettings, cache_dir: Path) -> LanguageModel | None:
    """The loaded model; None where there is to be none, or where the bundled one was not pulled yet.

    Raises `ModelMissingError`, `ModelDamagedError`, `ModelTooLargeError` and `ModelUnavailableError`.
    """
    if settings.kind == "none":
        return None
    if settings.kind == "scripted":
        from generation.scripted import ScriptedModel, repeat_quotes  # noqa: PLC0415 - for measurements only

        pace = settings.token_seconds
        return ScriptedModel(repeat_quotes, first_token_seconds=pace, token_seconds=pace, slots=settings.slots)
    if settings.kind == "http":
        return _http(settings)
    path = Path(settings.path).expanduser() if settings.kind == "gguf" else _pulled(cache_dir)
    if path is None:
        return None
    if not path.is_file():
        raise ModelMissingError(f"There is no file of weights at {path}.", hint="Set THREADWISE_LLM__PATH to a GGUF.")
    from generation.llama import LlamaModel  # noqa: PLC0415 - only where it is used

    return LlamaModel(path, context_tokens=settings.context_tokens, slots=settings.slots, threads=settings.threads)


def _pulled(cache_dir: Path) -> Path | None:
    try:
        return bundled.find(bundled.entry_of(BUNDLED), models_folder(cache_dir))
    except ModelMissingError:
        return None


def _http(settings: LlmSettings) -> LanguageModel:
    from generation.http_model import HttpModel  # noqa: PLC0415 - only where it is used

    return HttpModel(
        settings.base_url,
        settings.name,
        context_tokens=settings.context_tokens,
        slots=settings.slots,
        api_key=settings.api_key.get_secret_value(),
        read_seconds=settings.timeout_seconds,
    )
