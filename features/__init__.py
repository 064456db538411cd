"""What is known about a chunk or document: its embedding, the Feast definitions and store, the engines, the signals."""
