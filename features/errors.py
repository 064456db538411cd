"""What can go wrong in the feature layer."""

from core.errors import ThreadwiseError


class FilterError(ThreadwiseError):
    """A filter names a column or an operator that the engines cannot answer, or says no audiences at all."""

    code = "invalid_filter"


class SpaceMismatchError(ThreadwiseError):
    """Vectors of two embedding spaces, or of another length or metric than the index, came together."""

    code = "space_mismatch"


class UnknownFeatureError(ThreadwiseError):
    """The feature registry has no view or feature of that name."""

    code = "unknown_feature"


class UnservedViewError(ThreadwiseError):
    """The view is declared, but the online store keeps no table for it."""

    code = "unserved_view"


class UnknownEntityError(ThreadwiseError):
    """A feature was written for a chunk or document that no commit has brought."""

    code = "unknown_entity"


class InvalidRowError(ThreadwiseError):
    """A feature row lacks a value without which it cannot be stored."""

    code = "invalid_feature_row"


class TextTooLongError(ThreadwiseError):
    """A text has more tokens than the embedder reads; cutting it would lose its end unnoticed."""

    code = "text_too_long"

    @classmethod
    def of(cls, count: int, limit: int) -> "TextTooLongError":
        """The error for `count` tokens (special ones included) where the model reads `limit`."""
        return cls(f"The text has {count} tokens, the embedder reads {limit}.", hint="Split it first.")


class ModelCheckError(ThreadwiseError):
    """A model's files are not what they should be, or its vectors differ too much from the reference."""

    code = "model_check_failed"


class ModelUnavailableError(ThreadwiseError):
    """An embedding model cannot be found, prepared or read."""

    code = "model_unavailable"
