"""Every setting, its default and its environment variable. The only reader of the environment.

A variable reads `THREADWISE_<SECTION>__<FIELD>`, for example `THREADWISE_RETRIEVAL__TOP_K=8`. Constructors
receive their own section, never the whole.
"""

import os
import re
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from core.errors import InvalidSettingError


def _folder(value: object) -> object:
    if not isinstance(value, str | Path):
        return value
    if not str(value).strip():
        message = "the name of the folder is empty"
        raise ValueError(message)
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        message = "~ stands for a home folder, and there is none"
        raise ValueError(message) from error


Folder = Annotated[Path, BeforeValidator(_folder)]
"""A folder by its name, which may begin with `~` and may not be empty."""


def default_cache_dir() -> Path:
    """Below the home folder; below the system's temporary folder for a user who has no home."""
    try:
        return Path.home() / ".cache" / "threadwise"
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"threadwise-cache-{os.getuid()}"


def sqlite_url(path: Path) -> str:
    """The URL with which SQLAlchemy opens exactly this file, whatever characters its name has."""
    # Bytes that are no text cannot be quoted: SQLAlchemy would read them back as question marks.
    return "sqlite:///" + re.sub(r"[\x00-\x7f]+", lambda run: quote(run[0]), str(path))


class Section(BaseModel):
    """A frozen group of settings; an unknown name is an error, not a silence."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class EmbeddingSettings(Section):
    """Which model turns text into vectors, and how much of the machine it may use."""

    model: str = Field(
        "minilm",
        min_length=1,
        description="`minilm` (bundled, ONNX int8) or any sentence-transformers model id or folder",
    )
    threads: int = Field(1, ge=1, le=64, description="threads inside one embedding call")
    cache_dir: Folder = Field(default_factory=default_cache_dir, description="where prepared models are kept")


class IngestSettings(Section):
    """How documents are cut and how hard ingestion works."""

    chunk_tokens: int = Field(256, ge=32, le=8192, description="upper bound; the embedder's own limit wins when lower")
    overlap_tokens: int = Field(20, ge=0, le=512, description="tokens repeated when one block has to be split")
    sitting_gap_minutes: int = Field(
        60, ge=1, le=525_600, description="a pause this long starts a new sitting of loose messages"
    )
    workers: int = Field(2, ge=1, le=64, description="documents worked on at once, one embedding session each")
    lease_seconds: float = Field(
        30.0, ge=0.1, le=86_400, description="a worker without a sign of life for this long has lost its run"
    )
    max_attempts: int = Field(3, ge=1, le=100, description="tries before a document is quarantined")
    quarantine_share: float = Field(
        0.01, ge=0, le=1, description="of the documents a new generation may go without, at most"
    )
    max_file_bytes: int = Field(256 * 1024 * 1024, ge=1024, le=2**40, description="larger files are quarantined unread")
    parse_seconds: float = Field(60.0, gt=0, le=3600, description="a PDF, page or office file that takes longer fails")
    parse_memory_mb: int = Field(1024, ge=256, le=2**20, description="what the process that parses them may take")
    document_seconds: float = Field(
        600.0, gt=0, le=86_400, description="a document that takes longer has failed this time"
    )
    max_memory_mb: int = Field(4096, ge=64, le=2**20, description="a worker that grows beyond it ends itself")
    min_free_mb: int = Field(256, ge=0, le=2**20, description="below so much free disk nothing more is taken in")
    pause_seconds: float = Field(
        10.0, gt=0, le=3600, description="after a full disk or a lost dependency, before it is tried again"
    )


class IndexSettings(Section):
    """The shape of the vector index, see docs/decisions."""

    kind: Literal["flat", "hnsw", "ivf"] = Field(
        "flat", description="flat is exact; hnsw and ivf trade recall for speed"
    )
    hnsw_m: int = Field(16, ge=4, le=128, description="links of a node")
    hnsw_ef_construction: int = Field(
        200, ge=8, le=100_000, description="candidates while building: quality against time"
    )
    hnsw_ef_search: int = Field(128, ge=1, le=100_000, description="candidates while searching: recall against time")
    ivf_nlist: int = Field(
        128, ge=1, le=1_000_000, description="lists; each needs 39 vectors, else the index stays flat"
    )
    ivf_nprobe: int = Field(10, ge=1, le=1_000_000, description="lists that a search reads: recall against time")
    threads: int = Field(1, ge=1, le=64, description="OpenMP threads of one search")


class RetrievalSettings(Section):
    """How a question becomes ranked passages."""

    top_k: int = Field(5, ge=1, le=100, description="passages returned unless the request says otherwise")
    pool: int = Field(100, ge=1, le=2000, description="candidates from each engine, whatever top_k is")
    fusion: Literal["convex", "rrf"] = Field("convex", description="how dense and lexical scores become one")
    dense_weight: float = Field(0.65, ge=0.0, le=1.0, description="share of the dense score in convex fusion")
    rrf_k: int = Field(60, ge=1, le=10_000, description="the constant of reciprocal rank fusion")
    mmr_lambda: float = Field(0.95, ge=0.0, le=1.0, description="1 = relevance order, 0 = most diverse")
    mmr_candidates: int = Field(
        50, ge=1, le=2000, description="best candidates among which MMR chooses, at least top_k"
    )
    duplicate_similarity: float = Field(0.98, gt=0.0, le=1.0, description="cosine from which two chunks are one")
    recency_weight: float = Field(0.03, ge=0.0, le=1.0, description="what a conversation of today gains, of 1.0")
    reaction_weight: float = Field(0.02, ge=0.0, le=1.0, description="what many reactions gain, of 1.0")
    recency_half_life_days: float = Field(
        180.0, ge=0.01, le=36_500, description="after so many days half of the gain is left"
    )
    neighbours: int = Field(1, ge=0, le=5, description="chunks before and after a hit that are merged into its passage")


class LlmSettings(Section):
    """Which language model words the answers, and how much of the machine it may use."""

    kind: Literal["bundled", "gguf", "http", "scripted", "none"] = Field(
        "bundled",
        description="`bundled` (SmolLM2, see `threadwise models`), `gguf` (a file), `http` (an OpenAI-style server), "
        "`none` (answers are quotes), `scripted` (repeats what it is given: for tests of load)",
    )
    path: str = Field("", description="the GGUF file of kind `gguf`")
    base_url: str = Field("", description="of kind `http`, for example http://127.0.0.1:8080/v1")
    name: str = Field("", description="the model's name at that server; empty = the only one that it has")
    api_key: SecretStr = Field(SecretStr(""), description="sent to that server if set")
    context_tokens: int = Field(2048, ge=256, le=1_048_576, description="window of one slot: prompt and answer")
    slots: int = Field(2, ge=1, le=256, description="answers worded at once")
    threads: int = Field(1, ge=1, le=256, description="of the model in process; fewer than there are cores")
    timeout_seconds: float = Field(30.0, gt=0, le=3600, description="without a sign of life from an HTTP server")
    token_seconds: float = Field(0.0, ge=0, le=10, description="pace of the scripted model")


class AskSettings(Section):
    """How passages become an answer, and what one question may cost."""

    passages: int = Field(5, ge=1, le=50, description="passages that are looked at for quotes")
    quotes: int = Field(3, ge=1, le=10, description="quotes in one answer at most")
    threshold: float = Field(0.4, ge=0, le=1, description="confidence below which the answer is declined")
    contact: str = Field("", description="whom to ask when an answer is declined, for example #hr-questions")
    rephrase: bool = Field(
        default=True, description="let the model word what the quotes say; only verified sentences leave"
    )
    shots: int = Field(0, ge=0, le=3, description="worked examples in the prompt; very small models repeat them")
    context_tokens: int = Field(384, ge=64, le=1_048_576, description="of quotes in a prompt; long questions get less")
    max_tokens: int = Field(96, ge=1, le=8192, description="of the answer that the model words")
    temperature: float = Field(0.0, ge=0, le=2, description="0 = the likeliest word always")
    max_question_chars: int = Field(2000, ge=1, le=100_000, description="longer questions are refused")
    deadline_seconds: float = Field(30.0, gt=0, le=3600, description="then the quotes stand and wording stops")
    queue: int = Field(8, ge=0, le=10_000, description="questions that may wait for a slot, others are refused")
    queue_seconds: float = Field(5.0, gt=0, le=600, description="longest wait for a slot")

    @property
    def grace_seconds(self) -> float:
        """Longer than any request takes: what is older than that is read by nobody who began before."""
        return self.deadline_seconds + 60


class ApiSettings(Section):
    """Where the service listens and what it accepts."""

    host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    port: int = Field(8765, ge=0, le=65_535, description="port to listen on, 0 = any free one")
    max_body_bytes: int = Field(65_536, ge=1024, le=2**30, description="of a request that is no upload")
    max_upload_bytes: int = Field(2 * 1024**3, ge=1024, le=2**40, description="of an uploaded export")
    requests_per_minute: int = Field(600, ge=1, le=1_000_000, description="of one key")
    burst: int = Field(60, ge=1, le=100_000, description="requests a key may make at once")
    max_top_k: int = Field(100, ge=1, le=100, description="passages one search may ask for")


class QueueSettings(Section):
    """The doorbell between the clock and the workers, and how runs are taken."""

    url: str = Field(
        "", description="redis://… of a Redis or Valkey; empty = one of our own, started by `up`; none = no broker"
    )
    relay_seconds: float = Field(0.2, gt=0, le=60, description="how often new runs are looked for")
    sweep_seconds: float = Field(5.0, gt=0, le=3600, description="how often forgotten runs are rung again")
    slice_seconds: float = Field(60.0, gt=0, le=86_400, description="then a run lets another source go first")
    max_attempts: int = Field(
        5, ge=1, le=1000, description="workers in a row that may die of one run, nothing done, before it has failed"
    )
    max_waiting: int = Field(20, ge=1, le=100_000, description="runs of one source that may wait, others are refused")
    stale_hours: float = Field(
        168.0, gt=0, le=87_600, description="a source not brought up to date for so long is reported"
    )


class SlackSettings(Section):
    """The bot in a Slack workspace; there is none without a bot token."""

    bot_token: SecretStr = Field(SecretStr(""), description="xoxb-…, from the app's page; empty = no bot")
    signing_secret: SecretStr = Field(SecretStr(""), description="proves that a request comes from Slack")
    previous_signing_secret: SecretStr = Field(SecretStr(""), description="still accepted while the secret is changed")
    app_token: SecretStr = Field(SecretStr(""), description="xapp-…; set = Socket Mode, no address for Slack is needed")
    api_url: str = Field(
        "https://slack.com/api/",
        pattern=r"^https?://[A-Za-z0-9.-]{1,253}(:\d{1,5})?/([\w.-]+/)*$",
        description="Slack's Web API",
    )
    workers: int = Field(2, ge=1, le=64, description="questions of Slack worked on at once")
    lease_seconds: float = Field(20.0, ge=1, le=3600, description="a question not renewed for this long is taken over")
    timeout_seconds: float = Field(5.0, gt=0, le=60, description="of one call to Slack, below a third of the lease")
    max_attempts: int = Field(4, ge=1, le=100, description="tries before the asker is told that it went wrong")
    patience_seconds: float = Field(
        86_400.0,
        gt=0,
        le=2_592_000,
        description="a question that waited so long for Slack is given up when it fails again",
    )

    @model_validator(mode="after")
    def _check_lease(self) -> Self:
        # What was sent before a worker died has landed, or never will, when the next one looks for it.
        if 3 * self.timeout_seconds > self.lease_seconds:
            message = "timeout_seconds has to be at most a third of lease_seconds"
            raise ValueError(message)
        return self


class Settings(BaseSettings):
    """All settings of one installation."""

    model_config = SettingsConfigDict(
        env_prefix="THREADWISE_", env_nested_delimiter="__", frozen=True, extra="ignore", env_file=None
    )

    data_dir: Folder = Field(Path("data"), description="catalogue, blobs and engines live here")
    database_url: str = Field("", description="empty = SQLite in the data folder; else postgresql+psycopg://…")
    embedding: EmbeddingSettings = Field(default_factory=EmbeddingSettings)
    ingest: IngestSettings = Field(default_factory=IngestSettings)
    index: IndexSettings = Field(default_factory=IndexSettings)
    retrieval: RetrievalSettings = Field(default_factory=RetrievalSettings)
    llm: LlmSettings = Field(default_factory=LlmSettings)
    ask: AskSettings = Field(default_factory=AskSettings)
    api: ApiSettings = Field(default_factory=ApiSettings)
    queue: QueueSettings = Field(default_factory=QueueSettings)
    slack: SlackSettings = Field(default_factory=SlackSettings)

    @property
    def resolved_database_url(self) -> str:
        """The database to open: the one that was set, or the data folder's own."""
        return self.database_url or sqlite_url(self.data_dir.resolve() / "threadwise.sqlite3")


def load_settings(data_dir: Path | str | None = None) -> Settings:
    """Read the settings from the environment, where a given data folder wins.

    Raises `InvalidSettingError` that names the variable.
    """
    given: dict[str, Any] = {} if data_dir is None else {"data_dir": data_dir}
    try:
        return Settings(**given)
    except SettingsError as error:
        raise InvalidSettingError(
            f"{error}.", hint="A section is set by its fields, for example THREADWISE_RETRIEVAL__TOP_K=8."
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        name = "THREADWISE_" + "__".join(str(part) for part in first["loc"]).upper()
        raise InvalidSettingError(f"{name}: {first['msg']}.", hint="See docs/settings.md.") from error


def chosen_crash_point() -> str:
    """The place at which a test wants this process to die; empty in ordinary life."""
    return os.environ.get("THREADWISE_CRASH_AT", "")
