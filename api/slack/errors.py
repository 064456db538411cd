"""What can go wrong between the bot and Slack, and with who asks it."""

from core.errors import ThreadwiseError


class SlackUnreachableError(ThreadwiseError):
    """Slack does not answer, breaks off, or answers something that is no answer of Slack.

    `unknown` says that the call may have had its effect: a message may stand in Slack although nobody said so.
    """

    code = "slack_unreachable"
    retryable = True

    def __init__(self, message: str, *, hint: str = "", unknown: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.unknown = unknown


class SlackLimitedError(ThreadwiseError):
    """Slack asks for a pause of so many `seconds`; the call had no effect."""

    code = "slack_limited"
    retryable = True

    def __init__(self, message: str, *, hint: str = "", seconds: int) -> None:
        super().__init__(message, hint=hint)
        self.seconds = seconds


class SlackRefusedError(ThreadwiseError):
    """A call that cannot succeed as it is: `reason` is Slack's word for it, or ours for what is not even asked."""

    code = "slack_refused"

    def __init__(self, message: str, *, hint: str = "", reason: str) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason

    @classmethod
    def of(cls, reason: str) -> "SlackRefusedError":
        """The error for Slack's own word, for example `channel_not_found`."""
        return cls(
            f"Slack refuses: {reason}.", hint="See the errors of the method in Slack's reference.", reason=reason
        )


class SlackAccessError(ThreadwiseError):
    """The app's token or its scopes do not do; an admin of the workspace can mend it while the question waits."""

    code = "slack_access"
    retryable = True


class OutsiderError(ThreadwiseError):
    """Somebody who does not belong to the workspace asks, or would read the reply."""

    code = "outsider"


class RightsChangedError(ThreadwiseError):
    """Who reads the reply changed again and again while it was made."""

    code = "rights_changed"
    retryable = True
