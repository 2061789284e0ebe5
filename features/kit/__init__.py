"""Domain-free tools: configuration, clock, files, locks, logs, the command line."""
