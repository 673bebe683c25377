"""`python -m mekb` is the command `mekb`."""

from mekb.cli.app import main

if __name__ == "__main__":
    main()
