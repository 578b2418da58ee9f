"""The command line as `python -m srcpack`: what the installed command `srcpack` runs."""

from importlib.metadata import entry_points

if __name__ == "__main__":
    (command,) = entry_points(group="console_scripts", name="srcpack")
    command.load()()
