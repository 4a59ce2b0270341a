"""The command: one module for each group of commands, its options, its display, its exit codes."""
