"""The command line of infini: documents, people and terminals around the `infini_attention` library."""
