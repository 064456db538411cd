"""How an error leaves: by the command line an exit code and a text, by HTTP a status. Errors know neither."""

from collections.abc import Mapping
from typing import Final

from api.rendering import json_text, one_line
from core.errors import ThreadwiseError

DONE: Final = 0
FAILED: Final = 1
BAD_USE: Final = 2
DEPENDENCY_DOWN: Final = 3
INTERRUPTED: Final = 130  # 128 + SIGINT, as a shell reports it

_INTERNAL: Final = 500

# Files, entries and archives that are refused while the rest of a source is read.
_REFUSED: Final = (
    "broken_sidecar",
    "colliding_name",
    "document_too_large",
    "encrypted_document",
    "encrypted_entry",
    "json_number",
    "json_too_deep",
    "json_too_large",
    "json_too_many_values",
    "no_text",
    "not_a_regular_file",
    "parser_crashed",
    "parser_memory",
    "parser_timeout",
    "suspicious_ratio",
    "unknown_json",
    "unreadable_document",
    "unsafe_name",
    "wrong_type",
    "zip_overlapping",
    "zip_too_large",
    "zip_too_many_entries",
)

# Every code of the project stands in both tables, or a test says which one does not. A code that another version
# of the service sent may be missing: it counts as failed.
_EXITS: Final[Mapping[int, tuple[str, ...]]] = {
    FAILED: (
        *_REFUSED,
        "already_running",
        "answer_hung",
        "backup_damaged",
        "blob_damaged",
        "body_timeout",
        "body_too_large",
        "broken_json",
        "busy",
        "child_failed",
        "document_stuck",
        "doorbell_missing",
        "empty_upload",
        "file_system",
        "file_too_large",
        "forbidden",
        "gate_refused",
        "generation_busy",
        "generation_mismatch",
        "generation_switched",
        "headers_too_large",
        "idempotency_conflict",
        "internal",
        "invalid_feature_row",
        "language_model_refused",
        "lost_claim",
        "malformed_body",
        "method_not_allowed",
        "model_check_failed",
        "model_damaged",
        "model_missing",
        "model_too_large",
        "not_found",
        "not_utf8",
        "nothing_ingested",
        "outside_source",
        "outsider",
        "over_limit",
        "prompt_too_long",
        "pull_busy",
        "queue_full",
        "rate_limited",
        "refused",
        "rights_changed",
        "run_cancelled",
        "run_failed",
        "run_stopped",
        "run_superseded",
        "schema_too_new",
        "service_refused",
        "slack_off",
        "slack_refused",
        "slack_signature",
        "slack_unreadable",
        "source_busy",
        "source_empty",
        "source_paused",
        "source_unreadable",
        "space_mismatch",
        "text_too_long",
        "too_few_examples",
        "unauthorized",
        "unknown_entity",
        "unknown_host",
        "unreadable",
        "unserved_view",
        "unsupported_media_type",
        "vector_missing",
        "window_too_small",
        "worker_lost",
        "world_changed",
    ),
    BAD_USE: (
        "address_in_use",
        "answer_not_found",
        "backup_exists",
        "bad_use",
        "document_not_found",
        "empty_audience",
        "empty_question",
        "generation_not_found",
        "installation_used",
        "invalid_filter",
        "invalid_lambda",
        "invalid_request",
        "invalid_sampling",
        "invalid_setting",
        "invalid_top_k",
        "key_not_found",
        "letter_not_found",
        "not_an_evaluation_set",
        "plan_not_found",
        "pull_folder",
        "question_too_long",
        "run_not_found",
        "source_kind",
        "source_name_taken",
        "source_not_found",
        "unfit_option",
        "unknown_feature",
        "unknown_kind",
        "unknown_principal",
        "unknown_source",
        "value_refused",
        "workspace_taken",
    ),
    DEPENDENCY_DOWN: (
        "database_unavailable",
        "doorbell_unreachable",
        "language_model_unavailable",
        "model_download_failed",
        "model_unavailable",
        "parser_unavailable",
        "service_not_ready",
        "service_unavailable",
        "shutting_down",
        "slack_access",
        "slack_limited",
        "slack_unreachable",
        "storage_full",
    ),
    INTERRUPTED: ("interrupted",),
}
EXIT_OF: Final = {code: status for status, codes in _EXITS.items() for code in codes}

_HTTP: Final[Mapping[tuple[int, str], tuple[str, ...]]] = {
    (400, "Bad request"): ("bad_use", "broken_json", "malformed_body", "slack_unreadable"),
    (401, "Unauthorized"): ("slack_signature", "unauthorized"),
    (403, "Forbidden"): ("forbidden", "outsider"),
    (404, "Not found"): (
        "answer_not_found",
        "document_not_found",
        "generation_not_found",
        "key_not_found",
        "letter_not_found",
        "not_found",
        "plan_not_found",
        "run_not_found",
        "slack_off",
        "source_not_found",
        "unknown_source",
    ),
    (405, "Method not allowed"): ("method_not_allowed",),
    (408, "Too slow"): ("body_timeout",),
    (409, "Conflict"): (
        "address_in_use",
        "already_running",
        "backup_exists",
        "gate_refused",
        "generation_busy",
        "idempotency_conflict",
        "installation_used",
        "lost_claim",
        "pull_busy",
        "pull_folder",
        "run_cancelled",
        "run_failed",
        "run_stopped",
        "run_superseded",
        "source_busy",
        "source_empty",
        "source_kind",
        "source_name_taken",
        "source_paused",
        "workspace_taken",
        "world_changed",
    ),
    (413, "Too large"): ("body_too_large", "file_too_large"),
    (415, "Unsupported media type"): ("unsupported_media_type",),
    (421, "Misdirected request"): ("unknown_host",),
    (422, "Cannot be processed"): (
        *_REFUSED,
        "empty_audience",
        "empty_question",
        "empty_upload",
        "invalid_filter",
        "invalid_lambda",
        "invalid_request",
        "invalid_sampling",
        "invalid_top_k",
        "not_an_evaluation_set",
        "outside_source",
        "not_utf8",
        "over_limit",
        "prompt_too_long",
        "question_too_long",
        "refused",
        "source_unreadable",
        "text_too_long",
        "unfit_option",
        "unknown_entity",
        "unknown_feature",
        "unknown_kind",
        "unknown_principal",
        "unreadable",
        "value_refused",
    ),
    (429, "Too much at once"): ("busy", "queue_full", "rate_limited"),
    (431, "Headers too large"): ("headers_too_large",),
    (500, "Internal error"): (
        "backup_damaged",
        "blob_damaged",
        "child_failed",
        "document_stuck",
        "doorbell_missing",
        "file_system",
        "generation_mismatch",
        "internal",
        "invalid_feature_row",
        "invalid_setting",
        "model_check_failed",
        "model_damaged",
        "schema_too_new",
        "space_mismatch",
        "too_few_examples",
        "unserved_view",
        "window_too_small",
        "worker_lost",
    ),
    (502, "Bad gateway"): ("language_model_refused", "service_refused", "slack_access", "slack_refused"),
    (503, "Not available"): (
        "answer_hung",
        "database_unavailable",
        "doorbell_unreachable",
        "generation_switched",
        "interrupted",
        "language_model_unavailable",
        "model_download_failed",
        "model_missing",
        "model_too_large",
        "model_unavailable",
        "nothing_ingested",
        "parser_unavailable",
        "rights_changed",
        "service_not_ready",
        "service_unavailable",
        "shutting_down",
        "slack_limited",
        "slack_unreachable",
        "vector_missing",
    ),
    (507, "No room left"): ("storage_full",),
}
HTTP_OF: Final = {code: answer for answer, codes in _HTTP.items() for code in codes}


class BadUseError(ThreadwiseError):
    """The command line cannot be understood: an unknown option, a missing argument, a value out of range."""

    code = "bad_use"


class InterruptionError(ThreadwiseError):
    """Somebody stopped the command with Ctrl-C."""

    code = "interrupted"
    retryable = True

    @classmethod
    def now(cls) -> "InterruptionError":
        """The error of a command that was stopped."""
        return cls("The command was stopped.", hint="Run it again: what was committed is kept.")


class FileSystemError(ThreadwiseError):
    """A file or folder cannot be read or written."""

    code = "file_system"

    @classmethod
    def of(cls, error: OSError) -> "FileSystemError":
        """The same failure in our own terms."""
        place = "" if error.filename is None else f"{error.filename}: "
        return cls(f"{place}{error.strerror or error}.", hint="Check that it exists, its rights and the space left.")


class RunFailedError(ThreadwiseError):
    """A run that the command waited for ended without success."""

    code = "run_failed"


class AddressInUseError(ThreadwiseError):
    """Another program listens where the service was asked to."""

    code = "address_in_use"


class ServiceUnavailableError(ThreadwiseError):
    """The running service does not answer, or broke off."""

    code = "service_unavailable"
    retryable = True


class ServiceNotReadyError(ThreadwiseError):
    """The service was started and did not become ready in time."""

    code = "service_not_ready"
    retryable = True


class ServiceRefusedError(ThreadwiseError):
    """The running service answered with an error; where it said which one, this is that error with its own code."""

    code = "service_refused"

    @classmethod
    def of(cls, problem: Mapping[str, object], status: int) -> "ServiceRefusedError":
        """The error in a problem document: `code`, `detail`, `hint`, `retryable`."""
        title = problem.get("title") or f"The service answered with status {status}"
        error = cls(str(problem.get("detail") or f"{title}."), hint=str(problem.get("hint") or ""))
        # What the class says is only the default: the service knows what happened there.
        known = {"code": str(problem.get("code") or cls.code), "retryable": bool(problem.get("retryable"))}
        error.__dict__.update(known)
        return error


def exit_code(error: ThreadwiseError) -> int:
    """1 failed, 2 bad use, 3 a dependency is down, 130 interrupted."""
    return EXIT_OF.get(error.code, FAILED)


def http_status(error: ThreadwiseError) -> int:
    """The HTTP status of an error, 500 for one without a place in the table."""
    return HTTP_OF.get(error.code, (_INTERNAL, ""))[0]


def http_title(error: ThreadwiseError) -> str:
    """The title of its problem document: the same for every error of its status."""
    return HTTP_OF.get(error.code, (_INTERNAL, "Internal error"))[1]


def as_text(error: ThreadwiseError) -> str:
    """One line for a person: stable code, what happened, what to do."""
    return one_line(f"error[{error.code}]: {error}")


def as_json(error: ThreadwiseError) -> str:
    """The same for a program."""
    shape = {"code": error.code, "message": error.message, "hint": error.hint, "retryable": error.retryable}
    return json_text({"error": shape})
