"""What the REST service itself refuses. Statuses stand in `api.errors`, as for every other error."""

from collections.abc import Sequence
from math import ceil

from core.errors import ThreadwiseError


class UnauthorizedError(ThreadwiseError):
    """No key came with the request, or one that opens nothing."""

    code = "unauthorized"


class ForbiddenError(ThreadwiseError):
    """The key is alive but does not have the scope that this demands."""

    code = "forbidden"


class NotFoundError(ThreadwiseError):
    """There is nothing at this address."""

    code = "not_found"


class MethodNotAllowedError(ThreadwiseError):
    """The address exists and does not know this method."""

    code = "method_not_allowed"


class UnknownHostError(ThreadwiseError):
    """The request was meant for another host: a page in a browser may have been told a wrong address."""

    code = "unknown_host"


class AnswerHungError(ThreadwiseError):
    """An answer went on beyond every limit it has, and was given up."""

    code = "answer_hung"
    retryable = True


class SlackOffError(ThreadwiseError):
    """There is no bot here."""

    code = "slack_off"


class HeadersTooLargeError(ThreadwiseError):
    """More headers than any client of ours sends."""

    code = "headers_too_large"


class MalformedBodyError(ThreadwiseError):
    """The body is no JSON that can be read."""

    code = "malformed_body"


class BodyTimeoutError(ThreadwiseError):
    """The body did not arrive in time."""

    code = "body_timeout"
    retryable = True


class BodyTooLargeError(ThreadwiseError):
    """The body is larger than what is accepted here."""

    code = "body_too_large"


class UnsupportedMediaTypeError(ThreadwiseError):
    """The body is of a kind that is not read here."""

    code = "unsupported_media_type"


class OverLimitError(ThreadwiseError):
    """One number of the request asks for more than one request may cost."""

    code = "over_limit"


class InvalidRequestError(ThreadwiseError):
    """The request has the wrong shape. `fields` are (place, what is wrong) and repeat nothing of what was sent."""

    code = "invalid_request"

    def __init__(self, message: str, *, hint: str = "", fields: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message, hint=hint)
        self.fields = tuple(fields)


class EmptyUploadError(ThreadwiseError):
    """The upload has no bytes."""

    code = "empty_upload"


class ShuttingDownError(ThreadwiseError):
    """The service is being stopped."""

    code = "shutting_down"
    retryable = True


class LaterError(ThreadwiseError):
    """Too much at once. `seconds` says from when on a repeat can succeed."""

    code = "busy"
    retryable = True

    def __init__(self, message: str, *, seconds: float) -> None:
        self.seconds = max(1, ceil(seconds))
        super().__init__(message, hint=f"Try again in {self.seconds} s.")


class RateLimitedError(LaterError):
    """This key, or this address without a valid key, has used up its share."""

    code = "rate_limited"
