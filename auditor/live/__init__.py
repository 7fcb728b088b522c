"""A live run: the privileged side, the engine, and what joins them."""
