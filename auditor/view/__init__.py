"""The live view: snapshots drawn with rich."""
