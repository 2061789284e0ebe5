"""What stands on a terminal: the console, progress bars, exit codes and spelling hints."""
