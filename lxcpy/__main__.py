"""`python -m lxcpy` and the console script."""

from typing import NoReturn


def main() -> NoReturn:
    from lxcpy.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
