"""The command line as `python -m srcpack_convert`."""

from .cli import main

if __name__ == "__main__":
    main()
