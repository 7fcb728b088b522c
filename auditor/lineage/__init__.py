"""Who descends from whom, and which tool call it is charged to."""
