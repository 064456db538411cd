"""What can go wrong between the clock, the broker and the workers."""

from core.errors import ThreadwiseError


class DoorbellUnreachableError(ThreadwiseError):
    """The broker takes no rings now. They wait in the catalogue until it does."""

    code = "doorbell_unreachable"
    retryable = True


class DoorbellMissingError(ThreadwiseError):
    """The server that `threadwise up` rings with is not installed on this machine."""

    code = "doorbell_missing"
