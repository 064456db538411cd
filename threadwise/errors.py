"""What can be wrong with what an installation is asked to do as a whole."""

from core.errors import ThreadwiseError


class IdempotencyConflictError(ThreadwiseError):
    """The same idempotency key came with another request."""

    code = "idempotency_conflict"


class QueueFullError(ThreadwiseError):
    """As many runs of the source wait as may wait."""

    code = "queue_full"
    retryable = True
