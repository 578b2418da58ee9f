"""The command line as `python -m srcpack_convert`."""

from srcpack_convert.cli.main import main

if __name__ == "__main__":
    main()
