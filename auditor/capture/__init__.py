"""Captures: records in a file, written and read back."""
