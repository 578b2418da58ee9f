"""The rules of symbolic and symbolicator that answers must keep, as pure functions."""
