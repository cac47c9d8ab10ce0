"""`python -m stoker.cli`."""

from stoker.cli.start import main

if __name__ == "__main__":
    main()
