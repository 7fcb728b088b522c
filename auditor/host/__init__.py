"""What only the host knows: /proc, devices, files. The only room that imports elftools."""
