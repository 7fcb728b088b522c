"""The kernel's door: probes compiled, attached and read. The only room that imports bcc."""
