"""What can go wrong while a source is opened and read.

The first group ends a run before it begins. The second refuses one file, line or entry, and the run goes on.
"""

from core.errors import ThreadwiseError


class SourceNotFoundError(ThreadwiseError):
    """The path of the source does not exist."""

    code = "source_not_found"


class SourceUnreadableError(ThreadwiseError):
    """The source exists and cannot be read as a whole."""

    code = "source_unreadable"


class UnknownKindError(ThreadwiseError):
    """No kind of source of that name exists, or none recognises the path."""

    code = "unknown_kind"


class EmptyAudienceError(ThreadwiseError):
    """An audience without principals would hide every document from everybody."""

    code = "empty_audience"


class RefusedError(ThreadwiseError):
    """One file, line or entry of a source cannot be used; everything else can."""

    code = "refused"


class EntryUnreadableError(RefusedError):
    """The bytes cannot be had: damaged, encrypted, vanished or forbidden."""

    code = "unreadable"


class FileTooLargeError(RefusedError):
    """The entry is larger than `ingest.max_file_bytes`."""

    code = "file_too_large"


class OutsideSourceError(RefusedError):
    """A link leads out of the folder that was given as the source."""

    code = "outside_source"


class NotUtf8Error(RefusedError):
    """The text is not UTF-8."""

    code = "not_utf8"


class BrokenJsonError(RefusedError):
    """The entry is not the JSON that its place calls for."""

    code = "broken_json"


class SourceBusyError(ThreadwiseError):
    """Another process is ingesting the same source."""

    code = "source_busy"
    retryable = True


class RunSupersededError(ThreadwiseError):
    """A newer run of the same source took over; this one wrote nothing that the newer one does not have."""

    code = "run_superseded"


class EmptySourceError(ThreadwiseError):
    """A source that brought documents before has none at all now: more likely a mistake than a wish."""

    code = "source_empty"


class SourceNameTakenError(ThreadwiseError):
    """The name that a path would give its source belongs to what was read from another path."""

    code = "source_name_taken"


class RunCancelledError(ThreadwiseError):
    """Somebody asked for the end of this run; what was committed before stays."""

    code = "run_cancelled"


class RunStoppedError(ThreadwiseError):
    """The worker was asked to stop, or to let another run go first; the run goes on where it was."""

    code = "run_stopped"
    retryable = True


class SourcePausedError(ThreadwiseError):
    """The source is paused: its runs wait until it goes on."""

    code = "source_paused"


class DocumentStuckError(ThreadwiseError):
    """Preparing a document took longer than any document may."""

    code = "document_stuck"
    retryable = True


class GenerationSwitchedError(ThreadwiseError):
    """Readers see another generation than the one that this run has been writing to; the run goes on with that one."""

    code = "generation_switched"
    retryable = True


class PlanNotFoundError(ThreadwiseError):
    """There is no plan of this hash."""

    code = "plan_not_found"


class WorldChangedError(ThreadwiseError):
    """What a plan was made for is not there any more: the source or the catalogue has changed since."""

    code = "world_changed"


class LetterNotFoundError(ThreadwiseError):
    """There is no dead letter of this number."""

    code = "letter_not_found"


class DocumentNotFoundError(ThreadwiseError):
    """The source has no document of this id, and never had."""

    code = "document_not_found"


class WorkerLostError(ThreadwiseError):
    """Every worker that took this run died of it."""

    code = "worker_lost"
