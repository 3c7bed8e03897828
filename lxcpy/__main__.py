"""`python -m lxcpy` and the console script."""

from typing import NoReturn


def main() -> NoReturn:
    import gc

    gc.set_threshold(100_000)  # importing makes no garbage: looking for it took 5 of 70 ms
    from lxcpy.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
