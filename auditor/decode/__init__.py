"""Records to events: pure functions of bytes."""
