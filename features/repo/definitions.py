"""What is known about chunks and documents: names, types, owners, descriptions and lifetimes, declared once.

Import this module through `features.feast_import`. Feature names are chosen so that no view has a column named like
another's join key, nor an on-demand output named like one of its inputs: Feast tells such columns apart by nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast

from feast import Entity, FeatureService, FeatureView, Field, FileSource, OnDemandFeatureView, RequestSource
from feast.data_format import ParquetFormat
from feast.types import Array, Bool, FeastType, Float32, Float64, Int64, String
from feast.value_type import ValueType

from features.signals import RAW_COLUMNS, REQUEST_TIME, SIGNALS, ranking_signals

if TYPE_CHECKING:
    from types import FunctionType

OWNER = "threadwise"
CHUNK_VIEW = "chunk_embedding"
DOCUMENT_VIEW = "document_signals"
ANSWER_VIEW = "answered_question"
RANKING_VIEW = "ranking_signals"
RANKING_SERVICE = "answer_ranking"
JOIN_KEYS = {CHUNK_VIEW: "chunk_id", DOCUMENT_VIEW: "document_id", ANSWER_VIEW: "question_id"}
RANKING_COLUMNS = {name: f"is_{name}" if name in RAW_COLUMNS else name for name in SIGNALS}
"""By signal, the name of its column in the on-demand view."""

_CHUNK_FIELDS = {
    "parent_document": (String, "id of the document the chunk is cut from"),
    "audience_id": (Int64, "number of the set of principals who may read it"),
    "source": (String, "name of the source"),
    "kind": (String, "kind of document: a Slack thread, a page, an FAQ entry"),
    "author": (String, "who wrote it, or empty"),
    "valid_from": (Int64, "microseconds: when it began to apply, 0 = always did"),
    "valid_to": (Int64, "microseconds: when it ceased to apply"),
    "row_version": (Int64, "sequence number of the commit; older rows never overwrite newer ones"),
}
_DOCUMENT_FIELDS = {
    "last_activity": (Int64, "microseconds of the newest message or edit"),
    "replies": (Int64, "messages after the first"),
    "reactions": (Int64, "emoji reactions"),
    "people": (Int64, "distinct people who wrote"),
    "resolved": (Bool, "somebody marked the question as answered"),
    "official": (Bool, "comes from a place that speaks for the company"),
    "length": (Int64, "characters"),
    "row_version": (Int64, "sequence number of the commit; older rows never overwrite newer ones"),
}


@dataclass(frozen=True, slots=True)
class Definitions:
    """Everything that is registered, entities first."""

    entities: tuple[Entity, ...]
    views: tuple[FeatureView, ...]
    ranking: OnDemandFeatureView
    service: FeatureService

    def objects(self) -> list[Entity | FeatureView | OnDemandFeatureView | FeatureService]:
        """In the order in which Feast may register them."""
        return [*self.entities, *self.views, self.ranking, self.service]


def ranking_columns(inputs: Mapping[str, Sequence[object]]) -> dict[str, list[float]]:
    """The on-demand function: `features.signals.ranking_signals` under the view's column names, lists in, lists out."""
    return {RANKING_COLUMNS[name]: values for name, values in ranking_signals(inputs).items()}


def definitions(offline: Path) -> Definitions:
    """The definitions with their offline sources, one folder of Parquet files per view below `offline`."""
    chunk, document, channel, question = entities = (
        _entity("chunk", "chunk_id", "a span of a document that fits the embedder"),
        _entity("document", "document_id", "a thread, a page or an FAQ entry"),
        _entity("channel", "channel_id", "a place where people write to each other"),
        _entity("question", "question_id", "a question that was answered and approved"),
    )
    del channel
    signals = _document_signals(document, offline)
    ranking = _ranking(signals)
    service = FeatureService(
        name=RANKING_SERVICE,
        features=[ranking],
        owner=OWNER,
        description="what the ranking of passages reads beside their scores",
        tags={"stage": "ranking"},
    )
    return Definitions(entities, (_embedding(chunk, offline), signals, _answered(question, offline)), ranking, service)


def _embedding(chunk: Entity, offline: Path) -> FeatureView:
    vector = Field(
        name="vector",
        dtype=Array(Float32),
        vector_index=True,
        vector_search_metric="cosine",
        description="the chunk's embedding in the live space, normalised",
    )
    return FeatureView(
        name=CHUNK_VIEW,
        entities=[chunk],
        schema=[Field(name="chunk_id", dtype=String), vector, *_fields(_CHUNK_FIELDS)],
        source=_source(CHUNK_VIEW, offline),
        ttl=timedelta(0),  # a chunk counts for as long as its document says so, whatever its age
        owner=OWNER,
        description="embedding and filterable columns of every live chunk",
        tags={"stage": "retrieval"},
    )


def _document_signals(document: Entity, offline: Path) -> FeatureView:
    return FeatureView(
        name=DOCUMENT_VIEW,
        entities=[document],
        schema=[Field(name="document_id", dtype=String), *_fields(_DOCUMENT_FIELDS)],
        source=_source(DOCUMENT_VIEW, offline),
        ttl=timedelta(days=3650),
        owner=OWNER,
        description="scalar facts about a document that its commit stores",
        tags={"stage": "ranking"},
    )


def _answered(question: Entity, offline: Path) -> FeatureView:
    embedding = Field(name="embedding", dtype=Array(Float32), description="the question's embedding")
    texts = {"question": (String, "the question as it was asked"), "answer": (String, "the answer that was approved")}
    return FeatureView(
        name=ANSWER_VIEW,
        entities=[question],
        schema=[Field(name="question_id", dtype=String), *_fields(texts), embedding],
        source=_source(ANSWER_VIEW, offline),
        ttl=timedelta(days=1),
        online=True,
        owner=OWNER,
        description="approved question-answer pairs",
        tags={"stage": "training"},
    )


def _ranking(signals: FeatureView) -> OnDemandFeatureView:
    request = RequestSource(
        name="ranking_request",
        schema=[Field(name=REQUEST_TIME, dtype=Int64, description="microseconds: when the question was asked")],
        owner=OWNER,
        description="what only the request knows",
    )
    # Not a singleton: that mode computes one row and repeats its values for all others.
    return OnDemandFeatureView(
        name=RANKING_VIEW,
        sources=[signals, request],
        schema=[Field(name=column, dtype=Float64) for column in RANKING_COLUMNS.values()],
        udf=cast("FunctionType", ranking_columns),
        udf_string="features.repo.definitions.ranking_columns",
        mode="python",
        owner=OWNER,
        description="the raw signals as numbers in [0, 1] at the time of the request",
        tags={"stage": "ranking"},
    )


def _entity(name: str, join_key: str, description: str) -> Entity:
    return Entity(
        name=name,
        join_keys=[join_key],
        value_type=ValueType.STRING,
        description=description,
        owner=OWNER,
        tags={"id": "hash"},
    )


def _fields(described: Mapping[str, tuple[FeastType, str]]) -> list[Field]:
    return [Field(name=name, dtype=dtype, description=text) for name, (dtype, text) in described.items()]


def _source(view: str, offline: Path) -> FileSource:
    return FileSource(
        name=f"{view}_parquet",
        path=str(offline / view),
        file_format=ParquetFormat(),
        timestamp_field="event_timestamp",
        created_timestamp_column="created",
        owner=OWNER,
        description=f"history of {view}, partitioned Parquet with microsecond timestamps",
    )
