"""``holdfast completion``."""

import click
from click.shell_completion import get_completion_class

from holdfast.cli import COMPLETE_VARIABLE, cli, printing


@click.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def command(shell: str, as_json: bool) -> None:
    """Print the completion script of SHELL.

    \b
    bash, in ~/.bashrc:                   source <(holdfast completion bash)
    zsh, in ~/.zshrc, after compinit:     source <(holdfast completion zsh)
    fish, in ~/.config/fish/config.fish:  holdfast completion fish | source
    """
    found = get_completion_class(shell)
    assert found is not None, f"click completes {shell}"
    variables = found(cli, {}, "holdfast", COMPLETE_VARIABLE).source_vars()
    # click's bash class would start bash to ask its version; the script itself is all we need.
    script = found.source_template % variables
    if as_json:
        printing.say_json({"shell": shell, "script": script})
    else:
        printing.say(script)
