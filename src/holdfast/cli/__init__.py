"""Words in, words out, exit codes; no logic.

The group is lazy: ``holdfast --help`` reads one table and imports no command, so it answers in a
blink; a command's module is imported when that command is asked for. A module ``<name>.py`` with
a click ``command`` in it is all a new verb needs, besides its line in ``SECTIONS``.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem

from holdfast import __version__

#: Every verb, in the order of a service's life. The words are the help of ``holdfast --help``.
SECTIONS: dict[str, dict[str, str]] = {
    "Start": {
        "init": "Write a holdfast.yaml by looking at the project",
        "up": "Start the conductor if needed and bring the service up",
        "down": "Stop the service, and the conductor after the last one",
    },
    "Deploy": {
        "plan": "Show the steps of a rollout before anything moves",
        "deploy": "Roll a new release out, and back by itself if it is bad",
        "promote": "Skip the rest of the current step's wait",
        "approve": "Approve the current step",
        "pause": "Hold the running rollout where it is",
        "resume": "Let a paused rollout go on",
        "abort": "Take the running rollout back",
        "rollback": "Go back to an earlier release",
        "scale": "Change the number of replicas",
        "restart": "Replace every replica without losing a request",
    },
    "Look": {
        "status": "What runs, who gets traffic, and why nothing moves",
        "logs": "What the replicas print",
        "top": "Every service live: traffic, errors, latency, waits",
        "console": "A link to the web console, for one browser, once",
        "history": "What happened, who did it, and why",
        "doctor": "Check this machine, and say how to repair it",
    },
    "Prove": {
        "drill": "Measure every promise and print it beside the bound",
        "simulate": "Play rollouts with faults in virtual time",
        "replay": "Judge past rollouts again under another policy",
        "audit": "Verify, prove and export the ledger",
    },
    "Spec": {
        "validate": "Check holdfast.yaml, all problems at once",
        "explain": "List every setting, its value and where it comes from",
        "schema": "Print the JSON Schema of holdfast.yaml for editors",
    },
    "Render": {
        "render": "Write every production file that the spec describes",
        "check": "Hold the production files against their upstreams' checkers",
    },
    "Ship": {
        "build": "Build the image, and hold it against its promises",
        "sbom": "List what is in the image, as CycloneDX and SPDX",
        "scan": "Look for known vulnerabilities in the image",
        "registry": "Push, list, prune and copy images",
    },
    "Recover": {
        "backup": "Back a database up, prove it, give any second back",
    },
    "Cluster": {
        "install": "Bring the conductor into a Kubernetes cluster",
        "uninstall": "Take it out again; services stay",
        "conductor": "Be a conductor of the cluster, in the foreground",
    },
    "Access": {
        "token": "Create, list and revoke tokens of the HTTP API",
        "completion": "Print the completion script of a shell",
    },
}

#: Set by the completion scripts of the shells.
COMPLETE_VARIABLE = "_HOLDFAST_COMPLETE"

#: Command name -> "module:attribute".
COMMANDS: dict[str, str] = {
    name: f"holdfast.cli.{name}:command" for section in SECTIONS.values() for name in section
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and words without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        try:
            command = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            raise click.UsageError(f"this installation has no {cmd_name}", ctx) from error
        assert isinstance(command, click.Command)
        command.name = cmd_name
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"there is no command {args[0]!r}{_nearest(args[0])}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(10), words) for name, words in commands.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        # click's own would import every command to ask whether it is hidden.
        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        return [
            CompletionItem(name, help=words)
            for section in SECTIONS.values()
            for name, words in section.items()
            if name.startswith(incomplete)
        ]


def _nearest(word: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word, COMMANDS, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: holdfast init, holdfast up. Exit codes: docs/guides/exit-codes.md.",
)
@click.version_option(__version__, "-V", "--version", message="holdfast %(version)s")
def cli() -> None:
    """Production deployments you can trust.

    Rolls new releases out without losing a request, takes bad ones back by itself, and says the
    reason for every wait.
    """


def main(argv: Sequence[str] | None = None) -> int:
    """The entry point of the ``holdfast`` program. Returns the exit code; never raises."""
    _open_streams()
    try:
        return _run(list(sys.argv[1:] if argv is None else argv))
    except BaseException as error:
        from holdfast.cli.complaint import exit_with

        return exit_with(error, argv)


def _open_streams() -> None:
    """Make standard output and errors usable, whatever the caller left of them.

    A closed descriptor would be given to the next file that is opened, such as the ledger, and
    what was meant for a person would be written into it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    if isinstance(sys.stdout, io.TextIOWrapper):  # not where a caller put something else
        # A character that the locale lacks is shown by its number.
        sys.stdout.reconfigure(errors="backslashreplace")


def _run(words: list[str]) -> int:
    if COMPLETE_VARIABLE in os.environ:
        cli.main(words, prog_name="holdfast", complete_var=COMPLETE_VARIABLE)
    # Not click's main: it hides a broken pipe behind an exit code that means failure here.
    try:
        with cli.make_context("holdfast", words) as context:
            code = cli.invoke(context)
    except click.exceptions.Exit as done:
        code = done.exit_code
    sys.stdout.flush()
    return code if isinstance(code, int) else 0
