"""ROME staged on one machine, harmlessly."""
