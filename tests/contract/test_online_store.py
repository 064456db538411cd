"""What Feast and retrieval may rely on in our online store: the generic calls, the columnar ones, and their parity."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.words import OPEN_TO
from features.errors import (
    FilterError,
    InvalidRowError,
    SpaceMismatchError,
    UnknownEntityError,
    UnknownFeatureError,
    UnservedViewError,
)
from features.filters import PassageFilter
from features.signals import RAW_COLUMNS
from tests.support import catalog_rows as rows
from tests.support.feature_store import DIMENSION, NOW, QUESTION, Installation, install, question_vector, sample

CHUNK, DOCUMENT = "chunk_embedding", "document_signals"
COLUMNS = ("parent_document", "audience_id", "source", "kind", "author", "valid_from", "valid_to", "row_version")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """For tests that only read."""
    made = install(tmp_path_factory.mktemp("shared"), sample())
    yield made
    made.store.close()
    made.database.close()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Installation]:
    """For tests that write."""
    made = install(tmp_path, sample(12))
    yield made
    made.store.close()
    made.database.close()


def feast_filter(audiences: list[int], **equal: str) -> Any:  # noqa: ANN401 - Feast's class, imported late
    from feast.filter_models import ComparisonFilter, CompoundFilter  # noqa: PLC0415

    leaves = [
        ComparisonFilter(type="in", key="audience_id", value=audiences),
        ComparisonFilter(type="lte", key="valid_from", value=NOW),
        ComparisonFilter(type="gt", key="valid_to", value=NOW),
        *(ComparisonFilter(type="eq", key=key, value=value) for key, value in equal.items()),
    ]
    return CompoundFilter(type="and", filters=leaves)


def generic_search(made: Installation, filters: Any, **how: Any) -> dict[str, list[Any]]:  # noqa: ANN401
    features = [f"{CHUNK}:{name}" for name in ("vector", *COLUMNS)]
    options: dict[str, Any] = {"query": question_vector().tolist(), "query_string": QUESTION, "top_k": 10} | how
    answer = made.store.feast.retrieve_online_documents_v2(features=features, filters=filters, **options)
    found: dict[str, list[Any]] = answer.to_dict()
    return found


def protos(key: str, entity: str, **values: Any) -> Any:  # noqa: ANN401 - a row as Feast writes it
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey  # noqa: PLC0415
    from feast.protos.feast.types.Value_pb2 import FloatList, Value  # noqa: PLC0415

    encoded = {
        name: Value(float_list_val=FloatList(val=raw)) if isinstance(raw, list) else Value(int64_val=raw)
        for name, raw in values.items()
    }
    return EntityKey(join_keys=[key], entity_values=[Value(string_val=entity)]), encoded, datetime.now(UTC), None


def write(made: Installation, view: str, *data: Any) -> None:  # noqa: ANN401
    feast = made.store.feast
    feast._get_provider().online_write_batch(feast.config, feast.get_feature_view(view), list(data), None)


# -- searching ----------------------------------------------------------------


def test_every_row_of_a_search_carries_its_own_chunks_values(shared: Installation) -> None:
    found = generic_search(shared, feast_filter([shared.audience("everyone")]))
    by_id = {row.chunk_id: row for row in shared.written}
    assert len(found["chunk_id"]) > 10
    for place, chunk_id in enumerate(found["chunk_id"]):
        row = by_id[chunk_id]
        assert found["parent_document"][place] == row.document_id
        assert found["source"][place] == row.source
        assert found["kind"][place] == row.kind
        assert found["valid_to"][place] == OPEN_TO
        assert np.array_equal(np.array(found["vector"][place], dtype=np.float32), row.vector)
        assert 1 - found["distance"][place] == pytest.approx(float(np.dot(row.vector, question_vector())), abs=1e-6)


def test_the_columnar_search_equals_feasts_bit_for_bit(shared: Installation) -> None:
    everyone = shared.audience("everyone")
    wanted = PassageFilter((everyone,), NOW, sources=("slack",))
    hot = shared.store.search_rows(question_vector(), QUESTION, pool=10, filter=wanted)
    found = generic_search(shared, feast_filter([everyone], source="slack"))
    place = {chunk_id: index for index, chunk_id in enumerate(found["chunk_id"])}
    assert sorted(hot.chunk_ids) == sorted(place)
    order = [place[chunk_id] for chunk_id in hot.chunk_ids]
    assert [found["parent_document"][i] for i in order] == hot.document_ids
    assert [found["distance"][i] for i in order] == (1.0 - hot.dense.astype(np.float64)).tolist()
    assert [found["text_rank"][i] for i in order] == hot.lexical.astype(np.float64).tolist()
    assert np.array_equal(np.array([found["vector"][i] for i in order], dtype=np.float32), hot.vectors)


def test_candidates_are_the_union_of_both_engines_and_scored_by_both(shared: Installation) -> None:
    wanted = shared.readable("everyone")
    both = shared.store.search_rows(question_vector(), QUESTION, pool=6, filter=wanted)
    dense = shared.store.search_rows(question_vector(), "", pool=6, filter=wanted)
    lexical = shared.store.search_rows(None, QUESTION, pool=6, filter=wanted)
    everything = shared.store.search_rows(question_vector(), QUESTION, pool=100, filter=wanted)
    assert set(both.chunk_ids) == {*dense.chunk_ids, *lexical.chunk_ids}
    assert len(both) > 6
    whole = dict(zip(everything.chunk_ids, zip(everything.dense, everything.lexical, strict=True), strict=True))
    for chunk_id, cosine, score in zip(both.chunk_ids, both.dense, both.lexical, strict=True):
        assert cosine == whole[chunk_id][0]
        assert score == pytest.approx(whole[chunk_id][1], rel=1e-6)
    assert both.dense.tolist() == sorted(both.dense.tolist(), reverse=True)
    assert not dense.lexical.any()
    assert not lexical.dense.any()


def test_a_question_of_words_alone_needs_no_embedding(shared: Installation) -> None:
    found = generic_search(shared, feast_filter([shared.audience("everyone")]), query=None)
    assert found["chunk_id"]
    assert all(rank > 0 for rank in found["text_rank"])


def test_nothing_unreadable_is_ever_found(shared: Installation) -> None:
    by_id = {row.chunk_id: row for row in shared.written}
    for principal in ("everyone", "C-private", "C-board"):
        found = shared.store.search_rows(question_vector(), QUESTION, pool=60, filter=shared.readable(principal))
        assert {by_id[chunk_id].audience for chunk_id in found.chunk_ids} == {(principal,)}
    nobody = shared.store.search_rows(question_vector(), QUESTION, pool=60, filter=PassageFilter((), NOW))
    assert (len(nobody), nobody.vectors.shape) == (0, (0, DIMENSION))


def test_a_search_without_audiences_is_refused(shared: Installation) -> None:
    with pytest.raises(FilterError, match="whose passages"):
        generic_search(shared, None)


def test_a_search_that_matches_nothing_is_an_empty_answer(shared: Installation) -> None:
    assert generic_search(shared, feast_filter([10_000])).get("distance", []) == []


def test_another_metric_or_dimension_is_refused(shared: Installation) -> None:
    feast = shared.store.feast
    view, provider = feast.get_feature_view(CHUNK), feast._get_provider()
    filters = feast_filter([1])
    with pytest.raises(SpaceMismatchError, match="cosine"):
        provider.retrieve_online_documents_v2(feast.config, view, ["source"], [0.0], 5, "L2", None, filters)
    with pytest.raises(SpaceMismatchError, match="vectors of 16"):
        provider.retrieve_online_documents_v2(feast.config, view, ["source"], [0.0], 5, "cosine", None, filters)


def test_only_chunks_can_be_searched(shared: Installation) -> None:
    feast = shared.store.feast
    with pytest.raises(UnservedViewError):
        feast.retrieve_online_documents_v2(features=[f"{DOCUMENT}:replies"], query_string="x", top_k=1)


def test_an_installation_without_any_ingestion_finds_nothing(tmp_path: Path) -> None:
    made = install(tmp_path, sample(1))
    with made.database.write() as session:
        session.exec_driver_sql("DELETE FROM live_generation")
    assert len(made.store.search_rows(question_vector(), QUESTION, pool=5, filter=PassageFilter(None, NOW))) == 0
    assert made.store.read_columns(CHUNK, ["x"], ["source"])["source"].tolist() == [None]
    made.store.close()
    made.database.close()


# -- reading features ---------------------------------------------------------


def test_the_columnar_signals_equal_feasts_bit_for_bit(shared: Installation) -> None:
    feast = shared.store.feast
    documents = [row.document_id for row in shared.written] + ["unknown"]
    now = NOW + 12_345_678_901
    service = feast.get_feature_service("answer_ranking")
    generic = feast.get_online_features(service, {"document_id": documents, "now": [now] * len(documents)}).to_dict()
    hot = shared.store.ranking_signals(documents, now)
    assert len(set(hot["recency"].tolist())) > 10
    for name, values in hot.items():
        column = f"is_{name}" if name in RAW_COLUMNS else name
        assert generic[column] == values.tolist()
        assert values[-1] == 0.0


def test_the_columnar_values_equal_feasts(shared: Installation) -> None:
    documents = [row.document_id for row in shared.written[::7]] + ["unknown"]
    names = ["last_activity", "replies", "resolved", "length"]
    refs = [f"{DOCUMENT}:{name}" for name in names]
    generic = shared.store.feast.get_online_features(refs, {"document_id": documents}).to_dict()
    hot = shared.store.read_columns(DOCUMENT, documents, names)
    for name in names:
        values = [None if np.isnan(value) else value for value in hot[name].tolist()]
        assert values == generic[name]


def test_chunk_columns_are_read_with_their_vectors(shared: Installation) -> None:
    row = shared.written[3]
    hot = shared.store.read_columns(CHUNK, ["unknown", row.chunk_id], ["vector", "source", "valid_to"])
    assert hot["source"].tolist() == [None, row.source]
    assert np.isnan(hot["vector"][0]).all()
    assert np.array_equal(hot["vector"][1], row.vector)
    generic = shared.store.feast.get_online_features([f"{CHUNK}:vector"], {"chunk_id": [row.chunk_id]}).to_dict()
    assert np.array_equal(np.array(generic["vector"][0], dtype=np.float32), row.vector)


def test_the_columnar_reads_refuse_names_that_are_not_registered(shared: Installation) -> None:
    with pytest.raises(UnknownFeatureError, match="salary"):
        shared.store.read_columns(DOCUMENT, ["x"], ["replies", "salary"])
    with pytest.raises(UnknownFeatureError, match="payroll"):
        shared.store.read_columns("payroll", ["x"], ["replies"])


def test_a_view_without_a_table_is_refused_for_reading_and_writing(own: Installation) -> None:
    with pytest.raises(UnservedViewError, match="answered_question"):
        own.store.feast.get_online_features(["answered_question:answer"], {"question_id": ["q1"]})
    with pytest.raises(UnservedViewError, match="answered_question"):
        write(own, "answered_question", protos("question_id", "q1", embedding=[1.0]))


# -- writing ------------------------------------------------------------------


def test_signals_written_through_feast_are_read_back_and_never_go_back(own: Installation) -> None:
    document = own.written[0].document_id
    write(own, DOCUMENT, protos("document_id", document, replies=41, row_version=1_000))
    write(own, DOCUMENT, protos("document_id", document, replies=7, row_version=999))
    columns = own.store.read_columns(DOCUMENT, [document], ["replies", "reactions", "last_activity"])
    assert (columns["replies"][0], columns["reactions"][0]) == (41, 0)
    assert np.isnan(columns["last_activity"][0])


def test_a_data_frame_is_written_through_feasts_own_call(own: Installation) -> None:
    import pandas as pd  # noqa: PLC0415 - Feast's data frames

    flags = {"resolved": [True], "official": [False]}
    numbers = {"last_activity": [5], "replies": [6], "reactions": [7], "people": [8], "length": [9]}
    document = own.written[0].document_id
    key = {"document_id": [document], "row_version": [10_000]}
    times = {name: [pd.Timestamp(NOW, unit="us", tz="UTC")] for name in ("event_timestamp", "created")}
    own.store.feast.write_to_online_store(DOCUMENT, pd.DataFrame(key | flags | numbers | times))
    columns = own.store.read_columns(DOCUMENT, [document], ["last_activity", "people", "resolved"])
    assert [column[0] for column in columns.values()] == [5, 8, 1]


def test_a_vector_written_through_feast_is_searched_at_once(own: Installation) -> None:
    target = own.written[5]
    write(own, CHUNK, protos("chunk_id", target.chunk_id, vector=question_vector().tolist(), row_version=10_000))
    found = own.store.search_rows(question_vector(), "", pool=1, filter=PassageFilter(None, NOW))
    assert found.chunk_ids == [target.chunk_id]
    assert found.dense[0] == pytest.approx(1.0)
    write(own, CHUNK, protos("chunk_id", target.chunk_id, vector=target.vector.tolist(), row_version=9_999))
    again = own.store.search_rows(question_vector(), "", pool=1, filter=PassageFilter(None, NOW))
    assert again.chunk_ids == [target.chunk_id]


def test_a_batch_with_an_unknown_entity_stores_nothing(own: Installation) -> None:
    target = own.written[5]
    good = protos("chunk_id", target.chunk_id, vector=question_vector().tolist(), row_version=10_000)
    bad = protos("chunk_id", "unknown", vector=question_vector().tolist(), row_version=10_000)
    with pytest.raises(UnknownEntityError):
        write(own, CHUNK, good, bad)
    assert np.array_equal(own.store.read_columns(CHUNK, [target.chunk_id], ["vector"])["vector"][0], target.vector)
    with pytest.raises(UnknownEntityError):
        write(own, DOCUMENT, protos("document_id", "unknown", replies=1, row_version=1))


def test_rows_that_cannot_be_stored_are_refused(own: Installation) -> None:
    chunk_id = own.written[0].chunk_id
    with pytest.raises(SpaceMismatchError):
        write(own, CHUNK, protos("chunk_id", chunk_id, vector=[1.0], row_version=10_000))
    with pytest.raises(InvalidRowError):
        write(own, CHUNK, protos("chunk_id", chunk_id, row_version=10_000))
    with pytest.raises(InvalidRowError):
        write(own, DOCUMENT, protos("document_id", own.written[0].document_id, replies=1))


def test_a_commit_is_searched_at_once(own: Installation) -> None:
    wanted = PassageFilter(None, NOW)
    own.store.search_rows(question_vector(), QUESTION, pool=5, filter=wanted)
    own.write(rows.Row(name="new", text="sabbatical", vector=question_vector()))
    found = own.store.search_rows(question_vector(), "sabbatical", pool=1, filter=wanted)
    assert found.chunk_ids == [rows.Row(name="new", text="", vector=question_vector()).chunk_id]
    assert found.lexical[0] > 0


def test_a_new_generation_is_searched_once_it_is_live(own: Installation) -> None:
    wanted = PassageFilter(None, NOW)
    own.store.search_rows(question_vector(), QUESTION, pool=5, filter=wanted)
    space = rows.space_of(8)
    generation = rows.start_generation(own.database, space)
    rows.write(own.database, generation, space, [rows.Row(name="n", text="leave", vector=rows.unit_vectors(1, 8)[0])])
    found = own.store.search_rows(rows.unit_vectors(1, 8)[0], QUESTION, pool=5, filter=wanted)
    assert len(found) == 1
    assert found.vectors.shape == (1, 8)


def test_deleted_entities_are_gone_for_readers(own: Installation) -> None:
    chunk_id, document = own.written[0].chunk_id, own.written[2].document_id
    own.store.delete(CHUNK, [chunk_id])
    own.store.delete(DOCUMENT, [document])
    found = own.store.search_rows(question_vector(), QUESTION, pool=60, filter=PassageFilter(None, NOW))
    assert chunk_id not in found.chunk_ids
    assert len(found) == 11
    assert np.isnan(own.store.read_columns(DOCUMENT, [document], ["replies"])["replies"][0])


def test_definitions_that_go_and_a_teardown_delete_no_document(own: Installation) -> None:
    feast = own.store.feast
    feast.apply([], objects_to_delete=[feast.get_feature_view(DOCUMENT)], partial=False)
    feast._get_provider().online_store.teardown(feast.config, [], [])
    found = own.store.search_rows(question_vector(), QUESTION, pool=60, filter=PassageFilter(None, NOW))
    assert len(found) == 12


def test_a_forked_process_opens_a_database_of_its_own(own: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    online: Any = own.store.feast._get_provider().online_store
    parents = online._at(own.store.feast.config)
    assert online._at(own.store.feast.config) is parents
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: -1)
        assert online._at(own.store.feast.config).database is not parents.database
        online.shut()
    parents.database.close()


@pytest.mark.no_database
def test_the_store_is_configured_by_known_names_only() -> None:
    from pydantic import ValidationError  # noqa: PLC0415

    from features.online_store import ThreadwiseOnlineStoreConfig  # noqa: PLC0415 - imports Feast

    with pytest.raises(ValidationError, match="salary"):
        ThreadwiseOnlineStoreConfig.model_validate({"database_url": "sqlite://", "data_dir": ".", "salary": 1})


def test_versioned_reads_and_infrastructure_are_not_offered(shared: Installation) -> None:
    online: Any = shared.store.feast._get_provider().online_store
    assert online._is_versioned_read_supported() is False
    assert online.plan(shared.store.feast.config, None) == []
