"""The command line: a file for each command, named after it, and what they share."""
