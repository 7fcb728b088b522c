"""Types that travel between rooms: values only, no input or output, no clock."""
