"""What can go wrong on the way from a question to its passages."""

from core.errors import InvalidSettingError, ThreadwiseError


class InvalidLambdaError(InvalidSettingError):
    """The trade between relevance and diversity lies outside [0, 1]."""

    code = "invalid_lambda"


class InvalidTopKError(InvalidSettingError):
    """More or fewer passages are asked for than can be shown."""

    code = "invalid_top_k"


class EmptyQuestionError(ThreadwiseError):
    """There is nothing to search for."""

    code = "empty_question"


class NothingIngestedError(ThreadwiseError):
    """The catalogue has no generation yet."""

    code = "nothing_ingested"
