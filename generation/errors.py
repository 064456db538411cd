"""What can go wrong while an answer is written."""

from core.errors import ThreadwiseError


class InvalidSamplingError(ThreadwiseError):
    """A sampling parameter is outside its range."""

    code = "invalid_sampling"


class ModelUnavailableError(ThreadwiseError):
    """The language model's engine cannot be reached, is overloaded or broke off."""

    code = "language_model_unavailable"
    retryable = True


class ModelRefusedError(ThreadwiseError):
    """The server of the language model refuses the request itself: its model name, its key or its form."""

    code = "language_model_refused"


class ModelMissingError(ThreadwiseError):
    """The weights are not on this machine."""

    code = "model_missing"


class ModelDamagedError(ThreadwiseError):
    """A file of weights is not a GGUF, is not the one expected, or cannot be loaded."""

    code = "model_damaged"


class ModelDownloadError(ThreadwiseError):
    """The weights could not be fetched."""

    code = "model_download_failed"
    retryable = True


class ModelTooLargeError(ThreadwiseError):
    """The weights, their cache and their working memory do not fit into what is free."""

    code = "model_too_large"


class PromptTooLongError(ThreadwiseError):
    """The prompt leaves no room for an answer in the model's context."""

    code = "prompt_too_long"

    @classmethod
    def of(cls, count: int, limit: int) -> "PromptTooLongError":
        """The error for a prompt of `count` tokens where a slot holds `limit`, answer included."""
        return cls(
            f"The prompt has {count} tokens, the model's context holds {limit} with the answer.",
            hint="Give it fewer or shorter passages.",
        )
