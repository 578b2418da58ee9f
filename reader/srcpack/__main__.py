"""The command line as `python -m srcpack`: what the installed command `srcpack` runs."""

from importlib.metadata import entry_points

if __name__ == "__main__":
    (_command,) = entry_points(group="console_scripts", name="srcpack")
    _command.load()()
