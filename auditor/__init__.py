"""auditor: watch what an AI agent's tool calls do to a training node, from the kernel up."""

__version__ = "0.1.0"
