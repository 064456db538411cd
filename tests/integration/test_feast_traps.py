"""Four ways in which Feast returns wrong data without an error: each shown with a naive variant, then our cure."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.feast_import import import_feast
from features.signals import RAW_COLUMNS, REQUEST_TIME, ranking_signals
from tests.support.feature_store import NOW, QUESTION, Installation, install, question_vector, sample


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = install(tmp_path_factory.mktemp("traps"), sample())
    yield installation
    installation.store.close()
    installation.database.close()


# -- A: rows are paired with entities that Feast has sorted ----------------------


def parents_found(made: Installation) -> dict[str, str]:
    from feast.filter_models import ComparisonFilter  # noqa: PLC0415 - after `import_feast`

    readable: Any = ComparisonFilter(type="in", key="audience_id", value=[made.audience("everyone")])
    found = made.store.feast.retrieve_online_documents_v2(
        features=["chunk_embedding:parent_document"], query=question_vector().tolist(), top_k=8, filters=readable
    ).to_dict()
    return dict(zip(found["chunk_id"], found["parent_document"], strict=True))


def test_a_rows_in_the_order_of_their_rank_would_carry_other_chunks_values(
    made: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = {row.chunk_id: row.document_id for row in made.written}
    online: Any = made.store.feast._get_provider().online_store
    sorted_rows = online.retrieve_online_documents_v2

    def ranked_rows(*arguments: Any, **named: Any) -> list[Any]:  # noqa: ANN401 - Feast's signature
        rows: list[Any] = sorted_rows(*arguments, **named)
        return sorted(rows, key=lambda row: float(row[2]["distance"].double_val))

    monkeypatch.setattr(online, "retrieve_online_documents_v2", ranked_rows)
    naive = parents_found(made)
    assert sum(right[chunk_id] != parent for chunk_id, parent in naive.items()) > 4
    monkeypatch.undo()
    found = parents_found(made)
    assert found == {chunk_id: right[chunk_id] for chunk_id in found}
    assert found.keys() == naive.keys()


# -- B and C: the on-demand function ------------------------------------------


def ranking(made: Installation, view: Any, documents: Sequence[str]) -> dict[str, list[float | None]]:  # noqa: ANN401
    """What Feast computes with this variant of the view, registered under a name of its own."""
    feast = made.store.feast
    feast.apply([view])
    refs = [f"{view.name}:{field.name}" for field in view.features]
    rows: dict[str, Any] = {"document_id": list(documents), REQUEST_TIME: [NOW] * len(documents)}
    answer: dict[str, list[float | None]] = feast.get_online_features(refs, rows).to_dict()
    return answer


def variant(made: Installation, name: str, udf: Any, **options: Any) -> Any:  # noqa: ANN401
    from feast import Field, OnDemandFeatureView, RequestSource  # noqa: PLC0415 - after `import_feast`
    from feast.types import Float64, Int64  # noqa: PLC0415

    request = RequestSource(name=f"{name}_request", schema=[Field(name=REQUEST_TIME, dtype=Int64)])
    return OnDemandFeatureView(
        name=name,
        sources=[made.store.feast.get_feature_view("document_signals"), request],
        schema=[Field(name="recency", dtype=Float64)],
        udf=udf,
        udf_string=name,
        mode="python",
        **options,
    )


def recency_of_one(inputs: dict[str, Any]) -> dict[str, float]:
    """Written as singleton mode wants it: scalars in, scalars out, whatever Feast really hands over."""
    listed = {name: value if isinstance(value, list) else [value] for name, value in inputs.items()}
    return {"recency": ranking_signals(listed)["recency"][0]}


def recency_unguarded(inputs: dict[str, Any]) -> dict[str, list[float]]:
    pairs = zip(inputs["last_activity"], inputs[REQUEST_TIME], strict=True)
    return {"recency": [0.5 ** ((now - last) / 1e15) for last, now in pairs]}


@pytest.mark.filterwarnings("ignore:On demand feature view is an experimental feature")
def test_b_a_singleton_view_would_repeat_one_rows_value_for_all(made: Installation) -> None:
    documents = sorted({row.document_id for row in made.written})
    naive = ranking(made, variant(made, "naive_singleton", recency_of_one, singleton=True), documents)["recency"]
    hot = made.store.ranking_signals(documents, NOW)["recency"].tolist()
    assert len(set(hot)) > 5
    assert len(set(naive) - {None}) == 1
    service = made.store.feast.get_feature_service("answer_ranking")
    rows: dict[str, Any] = {"document_id": documents, REQUEST_TIME: [NOW] * len(documents)}
    assert made.store.feast.get_online_features(service, rows).to_dict()["recency"] == hot


@pytest.mark.filterwarnings("ignore:On demand feature view is an experimental feature")
def test_c_one_unknown_document_would_fail_the_whole_request(made: Installation) -> None:
    known = next(row.document_id for row in made.written if "last_activity" in row.signals)
    with pytest.raises(TypeError):
        ranking(made, variant(made, "naive_unguarded", recency_unguarded), [known, "unknown"])
    service = made.store.feast.get_feature_service("answer_ranking")
    rows: dict[str, Any] = {"document_id": [known, "unknown"], REQUEST_TIME: [NOW, NOW]}
    answer = made.store.feast.get_online_features(service, rows).to_dict()
    assert answer["recency"][0] > 0
    assert {answer[name][1] for name in answer if name != "document_id"} == {0.0}


# -- D: columns are told apart by their short names alone ------------------------


def test_d_a_column_named_like_another_join_key_would_be_shadowed(tmp_path: Path) -> None:
    import_feast()
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig  # noqa: PLC0415
    from feast.types import Int64, String  # noqa: PLC0415
    from feast.value_type import ValueType  # noqa: PLC0415

    folder = str(tmp_path)
    local = {"registry": f"{folder}/registry.db", "online_store": {"type": "sqlite", "path": f"{folder}/online.db"}}
    feast = FeatureStore(config=RepoConfig(project="naive", provider="local", repo_path=tmp_path, **local))
    chunk, document = (
        Entity(name=n, join_keys=[f"{n}_id"], value_type=ValueType.STRING) for n in ("chunk", "document")
    )
    source = FileSource(path=f"{folder}/none.parquet", timestamp_field="event_timestamp")
    chunks = FeatureView(
        name="chunks",
        entities=[chunk],
        schema=[Field(name="chunk_id", dtype=String), Field(name="document_id", dtype=String)],
        source=source,
    )
    documents = FeatureView(
        name="documents",
        entities=[document],
        schema=[Field(name="document_id", dtype=String), Field(name="replies", dtype=Int64)],
        source=source,
    )
    feast.apply([chunk, document, chunks, documents])
    import pandas as pd  # noqa: PLC0415 - Feast's data frames

    now = [pd.Timestamp(NOW, unit="us", tz="UTC")]
    feast.write_to_online_store(
        "chunks", pd.DataFrame({"chunk_id": ["c1"], "document_id": ["the chunk's own"], "event_timestamp": now})
    )
    feast.write_to_online_store(
        "documents", pd.DataFrame({"document_id": ["another"], "replies": [3], "event_timestamp": now})
    )
    refs = ["chunks:document_id", "documents:replies"]
    answer = feast.get_online_features(refs, {"chunk_id": ["c1"], "document_id": ["another"]}).to_dict()
    # Beside the other document's replies now stands the id of the chunk's own document.
    assert (answer["document_id"], answer["replies"]) == (["the chunk's own"], [3])
    online: Any = feast._get_provider().online_store
    online._conn.close()


def test_d_no_view_of_ours_has_such_a_column(tmp_path: Path) -> None:
    import_feast()
    from features.repo.definitions import definitions  # noqa: PLC0415 - imports Feast

    made = definitions(tmp_path)
    join_keys = {key for entity in made.entities for key in [entity.join_key]}
    for view in made.views:
        assert not join_keys & {field.name for field in view.features}
    outputs = {field.name for field in made.ranking.features}
    assert not outputs & {REQUEST_TIME, *RAW_COLUMNS, *join_keys}
    assert not outputs & {field.name for view in made.views for field in view.features}


def test_d_chunks_and_documents_are_read_together_without_mixing(made: Installation) -> None:
    row, other = made.written[2], made.written[20]
    refs = ["chunk_embedding:parent_document", "document_signals:replies"]
    keys = {"chunk_id": [row.chunk_id], "document_id": [other.document_id]}
    answer = made.store.feast.get_online_features(refs, keys).to_dict()
    assert answer["parent_document"] == [row.document_id]
    assert answer["document_id"] == [other.document_id]
    assert answer["replies"] == [other.signals["replies"]]


def test_searching_needs_no_text_from_feast(made: Installation) -> None:
    found = made.store.search_rows(question_vector(), QUESTION, pool=5, filter=made.readable("everyone"))
    assert np.isfinite(found.dense).all()
    assert {field.name for field in made.store.feast.get_feature_view("chunk_embedding").features}.isdisjoint({"text"})
