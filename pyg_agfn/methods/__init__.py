"""Training methods for labels that may be wrong."""
