"""Adapters by which LangChain's chains and vector stores use this installation's retrieval and its embedder.

Nothing in Threadwise imports this module: it is for programs of others, and the only one to import `langchain_core`
here. LangChain sends what passes through a chain to LangSmith when its own tracing is switched on.
"""

from collections.abc import Sequence

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from pydantic import InstanceOf, PositiveInt

from core.catalog.passages import Reader
from core.words import Passage
from features.embedding import Embedder, embed_question
from retrieval.query import Query
from retrieval.retriever import Retriever


class PassageRetriever(BaseRetriever):
    """Searches as one reader: what the reader may not read at the moment of the question never enters a chain.

    Each of these is a setting of the search, see `retrieval.query.Query`. Raises what the search raises.
    """

    retriever: InstanceOf[Retriever]
    reader: InstanceOf[Reader]
    top_k: PositiveInt | None = None
    mmr_lambda: float | None = None
    sources: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        del run_manager
        asked = Query(
            text=query,
            reader=self.reader,
            top_k=self.top_k,
            mmr_lambda=self.mmr_lambda,
            sources=self.sources,
            kinds=self.kinds,
            authors=self.authors,
        )
        return [_document(passage) for passage in self.retriever.search(asked).passages]


class QuestionEmbeddings(Embeddings):
    """The embedder as LangChain's vector stores call it; vectors have length 1 and `embedder.space.dimension` numbers.

    A question of any length is embedded as the search embeds it. A document that is longer than the embedder reads
    raises `TextTooLongError`: split it first.
    """

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector for each text."""
        vectors: list[list[float]] = self.embedder.embed_documents(texts).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """The vector of a question."""
        vector: list[float] = embed_question(self.embedder, text).tolist()
        return vector


def _document(passage: Passage) -> Document:
    place = {
        "chunk_id": passage.chunk_id,
        "document_id": passage.document_id,
        "external_id": passage.external_id,
        "source": passage.source,
        "title": passage.title,
        "uri": passage.uri,
        "score": passage.score,
    }
    return Document(id=passage.chunk_id, page_content=passage.text, metadata=place)
