"""What can go wrong, in words for people; printed in one place, `lxcpy.cli.app.main`."""

EXIT_FAILURE = 125  # lxcpy's own failure; the numbers are docker's and podman's
EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127
EXIT_SIGNAL = 128  # + the number of the signal


class LxcpyError(Exception):
    """A failure with a reason and, where there is one, a remedy.

    `message` is one line: what was tried, on which name, why it failed. `hint` is what to do next.
    `details` are lines of a tool's own output, shown below with --debug. `exit_code` is the exit
    status of the command line.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        details: str | None = None,
        exit_code: int = EXIT_FAILURE,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details
        self.exit_code = exit_code


class NotFoundError(LxcpyError):
    """No object of that name; some verbs give it an exit code of their own."""


class InUseError(LxcpyError):
    """The object is running, or something else depends on it."""


class StartError(LxcpyError):
    """The payload did not start: exit code 126 or 127 when its command is at fault, else 125."""


class CommandError(LxcpyError):
    """A program that lxcpy called failed; `code` is its exit status, negative for a signal."""

    def __init__(self, argv: list[str], code: int, stderr: str, *, hint: str | None = None) -> None:
        reason = (stderr.strip().splitlines() or ["it said nothing"])[-1]
        how = f"was killed by signal {-code}" if code < 0 else f"exited with status {code}"
        super().__init__(f"{argv[0]} {how}: {reason}", hint=hint, details=stderr)
        self.argv = argv
        self.code = code
        self.stderr = stderr
