"""Which documents say nearly the same: what a text is compared by, where its likes are looked for, and what was found.

Each of the documents stays as it is, under its own audience.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
)

from core.tables.ground import Micros, metadata

likeness = Table(
    "likeness",
    metadata,
    Column("document_id", ForeignKey("document.id"), primary_key=True),
    Column("content_sha", String(64), nullable=False),  # of the document when it was sketched
    Column("method", Integer, nullable=False),  # sketches of two methods are not compared
    Column("signature", LargeBinary, nullable=False),  # uint32, little endian; empty for a text too short to compare
)

# Documents that share a row's hash are compared. A hash that many share already takes no more of them.
likeness_band = Table(
    "likeness_band",
    metadata,
    Column("hash", BigInteger, primary_key=True, autoincrement=False),
    Column("document_id", ForeignKey("likeness.document_id"), primary_key=True, index=True),
)

near_duplicate = Table(
    "near_duplicate",
    metadata,
    Column("document_id", ForeignKey("likeness.document_id"), primary_key=True),
    Column("twin_id", ForeignKey("likeness.document_id"), primary_key=True, index=True),
    Column("similarity", Float, nullable=False),  # which share of their word sequences both have, as estimated
    Column("recorded_at", Micros, nullable=False),
    CheckConstraint("document_id < twin_id", name="ordered"),
)
