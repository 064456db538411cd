"""LangChain's chains search with the same rights and the same result as everybody else."""

import asyncio
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.runnables import RunnableLambda
from langchain_core.vectorstores import InMemoryVectorStore
from pydantic import ValidationError

from core.catalog.passages import Reader
from features.errors import TextTooLongError
from retrieval.errors import EmptyQuestionError
from retrieval.langchain import PassageRetriever, QuestionEmbeddings
from retrieval.query import Query
from threadwise.runtime import Threadwise

RUTH = "T05LQ8R2PNK/U05LQF8E1HC"
OWEN = "T05LQ8R2PNK/U05LQUZN7GK"
PRIVATE = "C05LQ39T414"


def retriever_for(threadwise: Threadwise, principal: str, **more: Any) -> PassageRetriever:  # noqa: ANN401 - its fields
    return PassageRetriever(retriever=threadwise.retriever, reader=threadwise.reader(principal), **more)


def test_a_chain_is_given_what_the_search_returns(demo: Threadwise, questions: list[dict[str, Any]]) -> None:
    retriever = retriever_for(demo, RUTH, top_k=7)
    for question in questions[:10]:
        query = Query(text=question["question"], reader=demo.reader(RUTH), top_k=7)
        passages, documents = demo.search(query).passages, retriever.invoke(question["question"])
        assert [document.page_content for document in documents] == [passage.text for passage in passages]
        for document, passage in zip(documents, passages, strict=True):
            assert document.id == passage.chunk_id
            place = {name: value for name, value in document.metadata.items() if name != "score"}
            names = ("chunk_id", "document_id", "external_id", "source", "title", "uri")
            assert place == {name: getattr(passage, name) for name in names}
            assert document.metadata["score"] == pytest.approx(passage.score, abs=1e-6), "recency moves with the clock"


def test_a_chain_of_somebody_without_rights_is_given_nothing_private(
    demo: Threadwise, questions: list[dict[str, Any]]
) -> None:
    private = [question["question"] for question in questions if question["private"]]
    for question in private:
        assert any(PRIVATE in str(document) for document in retriever_for(demo, RUTH).invoke(question))
        found = retriever_for(demo, OWEN, top_k=20).invoke(question)
        assert found
        assert not any(PRIVATE in str(document) for document in found)


def test_a_chain_without_rights_at_all_is_given_nothing(demo: Threadwise) -> None:
    nobody = PassageRetriever(retriever=demo.retriever, reader=Reader(principals=()), sources=("slack",))
    assert nobody.invoke("Where is the company moving to?") == []


def test_filters_and_settings_of_a_search_are_fields_of_the_retriever(demo: Threadwise) -> None:
    pages = retriever_for(demo, RUTH, kinds=("page",), top_k=3, mmr_lambda=1.0).invoke("What do I do when I am ill?")
    assert [document.metadata["source"] for document in pages] == ["handbook"] * 3
    scores = [document.metadata["score"] for document in pages]
    assert scores == sorted(scores, reverse=True)
    assert not retriever_for(demo, RUTH, sources=("slack",), authors=("Nobody",)).invoke("leave")


def test_it_composes_with_the_other_parts_of_a_chain(demo: Threadwise) -> None:
    def titles(documents: list[Document]) -> list[str]:
        return [document.metadata["title"] for document in documents]

    chain = retriever_for(demo, RUTH, sources=("handbook",)) | RunnableLambda(titles)
    assert "Leave and absence" in chain.invoke("How many weeks off does a dad get?")
    several = chain.batch(["How many weeks off does a dad get?", "I left my laptop on the train, what do I do?"])
    assert len(several) == 2


def test_it_can_be_awaited(demo: Threadwise) -> None:
    retriever = retriever_for(demo, RUTH)
    awaited = asyncio.run(retriever.ainvoke("Which VPN do we use?"))
    assert [d.id for d in awaited] == [d.id for d in retriever.invoke("Which VPN do we use?")]


def test_errors_of_the_search_reach_the_chain(demo: Threadwise) -> None:
    with pytest.raises(EmptyQuestionError):
        retriever_for(demo, RUTH).invoke("  ")


def test_something_else_than_a_reader_is_refused(demo: Threadwise) -> None:
    with pytest.raises(ValidationError):
        PassageRetriever.model_validate({"retriever": demo.retriever, "reader": {"principals": (), "unrestricted": 1}})


def test_a_number_of_passages_below_one_is_refused(demo: Threadwise) -> None:
    with pytest.raises(ValidationError):
        retriever_for(demo, RUTH, top_k=0)


def test_embeddings_are_those_of_the_search(demo: Threadwise) -> None:
    embeddings = QuestionEmbeddings(demo.embedder)
    texts = ["Everybody has 25 days of leave.", "A bike is leased for three years."]
    assert embeddings.embed_documents(texts) == demo.embedder.embed_documents(texts).tolist()
    question = embeddings.embed_query("How many days of leave are there?")
    assert all(type(number) is float for number in question)
    assert np.linalg.norm(question) == pytest.approx(1.0, abs=1e-5)
    assert embeddings.embed_documents([]) == []


def test_a_long_question_is_embedded_whole_and_a_long_document_is_refused(demo: Threadwise) -> None:
    embeddings = QuestionEmbeddings(demo.embedder)
    long = "How many days of leave are there? " * 60
    assert np.linalg.norm(embeddings.embed_query(long)) == pytest.approx(1.0, abs=1e-5)
    with pytest.raises(TextTooLongError):
        embeddings.embed_documents([long])


def test_a_vector_store_of_langchain_works_with_them(demo: Threadwise) -> None:
    store = InMemoryVectorStore(QuestionEmbeddings(demo.embedder))
    store.add_texts(["Everybody has 25 days of leave.", "A bike is leased for three years."])
    assert "bike" in store.similarity_search("How long is a bicycle leased?", k=1)[0].page_content
