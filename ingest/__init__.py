"""Sources to documents to chunks to committed versions. Retrieval and generation do not know it."""
