"""Input that nobody sends on purpose: for every endpoint by its document, for every decoder byte by byte."""
