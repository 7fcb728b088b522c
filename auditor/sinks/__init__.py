"""Alerts and events on their way out: JSON lines, text, counters."""
