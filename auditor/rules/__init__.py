"""Sigma rules: read, compiled to Python functions, matched over events."""
