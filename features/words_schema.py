"""How text becomes terms and a question becomes a Tantivy query: fields, analyzer, clauses.

BM25 as Tantivy computes it (Robertson and Zaragoza 2009; k1 = 1.2, b = 0.75). A filter is a clause that scores 0, so
that it never changes a score: term statistics are those of the whole generation.
"""

from collections.abc import Sequence
from importlib.metadata import version

import tantivy
from tantivy import FieldType, Filter, Occur, Query

from core.catalog.feeds import WordsRow
from features.filters import PassageFilter

FORMAT = f"1 tantivy {version('tantivy')}"
"""Changes with the schema, the analyzer and Tantivy itself: an index of another format is built anew."""

LONGEST_TERM = 40
MOST_TERMS = 64
ONE_BY_ONE = 200
"""Up to this many values are asked for as single terms, which is faster than a set."""

_ANALYZER = "threadwise_english"
_RAW = ("source", "kind", "author")

Clause = tuple[Occur, Query]


def analyzer() -> tantivy.TextAnalyzer:
    """Words in lower case without accents, reduced to their English stem."""
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    filters = (Filter.remove_long(LONGEST_TERM), Filter.lowercase(), Filter.ascii_fold(), Filter.stemmer("english"))
    for step in filters:
        builder = builder.filter(step)
    return builder.build()


def schema() -> tantivy.Schema:
    """The fields of one chunk. Terms carry their frequency and no positions: BM25 needs no more."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("chunk_id", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("text_sha", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("body", tokenizer_name=_ANALYZER, index_option="freq")
    builder.add_integer_field("audience_id", indexed=True, fast=True)
    for name in _RAW:
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    for name in ("valid_from", "valid_to"):
        builder.add_integer_field(name, fast=True)
    return builder.build()


def register(index: tantivy.Index) -> None:
    """Make the analyzer known to an index that was opened or created, and its reader reload only when told."""
    index.register_tokenizer(_ANALYZER, analyzer())
    index.config_reader("manual")


def document(row: WordsRow) -> tantivy.Document:
    """One chunk as the index holds it."""
    return tantivy.Document(
        chunk_id=row.chunk_id,
        text_sha=row.text_sha,
        body=row.text,
        audience_id=row.audience_id,
        source=row.source,
        kind=row.kind,
        author=row.author,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
    )


def term_clauses(fields: tantivy.Schema, searcher: tantivy.Searcher, terms: Sequence[str]) -> list[Clause]:
    """One optional clause per distinct term; of very many, the rarest, which decide the order anyway."""
    distinct = list(dict.fromkeys(terms))
    if len(distinct) > MOST_TERMS:
        distinct = sorted(distinct, key=lambda term: searcher.doc_freq("body", term) or searcher.num_docs)[:MOST_TERMS]
    return [(Occur.Should, Query.term_query(fields, "body", term, "freq")) for term in distinct]


def filter_clauses(fields: tantivy.Schema, passage_filter: PassageFilter) -> list[Clause]:
    """What every hit must fulfil. Validity is spelled as what it excludes: a live index holds little of that."""
    late = Query.range_query(fields, "valid_from", FieldType.Integer, passage_filter.at, None, include_lower=False)
    over = Query.range_query(fields, "valid_to", FieldType.Integer, None, passage_filter.at)
    clauses = [(Occur.MustNot, late), (Occur.MustNot, over)]
    if passage_filter.audience_ids is not None:
        clauses.append(any_of(fields, "audience_id", passage_filter.audience_ids))
    named = (("source", passage_filter.sources), ("kind", passage_filter.kinds), ("author", passage_filter.authors))
    clauses.extend(
        any_of(fields, name, wanted) for name, wanted in (*named, ("chunk_id", passage_filter.chunk_ids)) if wanted
    )
    return clauses


def any_of(fields: tantivy.Schema, name: str, values: Sequence[str | int]) -> Clause:
    """The field has one of these values; adds nothing to a score."""
    if len(values) > ONE_BY_ONE:
        query = Query.term_set_query(fields, name, list(values))
    else:
        single = [(Occur.Should, Query.term_query(fields, name, value, "basic")) for value in values]
        query = Query.boolean_query(single)
    return Occur.Must, Query.const_score_query(query, 0.0)
