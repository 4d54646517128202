"""``holdfast audit``: verify, prove and export the ledger. Offline, read-only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli import printing
from holdfast.cli.complaint import FAILED, Complaint
from holdfast.cli.recorded import as_json, at_home, home_path, recorded, told

if TYPE_CHECKING:
    from holdfast.ledger import Broken, Intact
    from holdfast.ledger.note import VerifierKey

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group()
def command() -> None:
    """Verify, prove and export the ledger.

    Everything here reads files only: no conductor is asked, and nothing is trusted but the log's
    public keys (keys/log.vkey in the state directory) and the checkpoints you kept.
    """


def keys_option(function: Any) -> Any:  # noqa: ANN401  a decorator of any command
    return click.option(
        "--keys", type=FILE, metavar="FILE", help="The log's public keys. Default: of the home."
    )(function)


@command.command()
@click.option(
    "--against", type=FILE, multiple=True, metavar="FILE",
    help="A checkpoint kept elsewhere (audit checkpoint); may be given more than once.",
)  # fmt: skip
@keys_option
@at_home
@as_json
@click.pass_context
def verify(
    ctx: click.Context,
    against: tuple[Path, ...],
    keys: Path | None,
    home: Path | None,
    json_: bool,
) -> None:
    """Check every entry, signature and proof; say which one is broken.

    Exit code 1 when history is not what was signed, or not what a kept checkpoint saw. Somebody
    who holds the whole state directory can rewrite all of it: keep a checkpoint elsewhere.
    """
    from holdfast.ledger import Broken

    with recorded(home_path(home)) as archive:
        kept = {str(path): _text(path) for path in against}
        found = archive.verify(kept, _keys(keys), printing.pulse("checked", "entries"))
    if json_:
        printing.say_json(finding(found))
    elif isinstance(found, Broken):
        printing.say(printing.tone("broken", "bad") + f"  {found}")
    else:
        printing.say(printing.tone("intact", "good") + f"  {_sound(found)}")
    if isinstance(found, Broken):
        ctx.exit(FAILED)


def finding(found: Intact | Broken) -> dict[str, Any]:
    """The result of an audit for programs."""
    from holdfast.ledger import Intact

    if isinstance(found, Intact):
        root, seen = found.root.hex(), dict(found.witnesses)
        return {"intact": True, "size": found.size, "root": root, "witnesses": seen}
    words = {name: getattr(found, name) for name in ("seq", "expected", "found", "detail")}
    return {"intact": False, "finding": {"proof": found.proof.value, **words}}


def _sound(found: Intact) -> str:
    seen = ", ".join(f"{name} at {size}" for name, size in found.witnesses) or "nobody"
    return (
        f"{found.size} entries lead to the signed root {found.root.hex()[:16]}...; "
        f"continues what was seen by: {seen}"
    )


@command.command()
@click.argument("index", type=click.IntRange(0))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Write there (.tlog-proof) and not to standard output.",
)  # fmt: skip
@at_home
@as_json
def prove(index: int, output: Path | None, home: Path | None, json_: bool) -> None:
    """Write a proof that entry INDEX is in the ledger, for anybody to check offline."""
    with recorded(home_path(home)) as archive:
        if index >= (size := archive.head().size):
            says = f"there is no entry {index}; {size} are signed, and the first is 0"
            raise Complaint(
                says, "holdfast history --json shows the index of each", code="no-entry"
            )
        text = archive.prove(index)
    _write(text, output, {"index": index, "proof": text} if json_ else None)


@command.command()
@click.argument("proof", type=FILE)
@keys_option
@at_home
@as_json
def check(proof: Path, keys: Path | None, home: Path | None, json_: bool) -> None:
    """Check a PROOF file with the log's public keys alone.

    Exit code 1 when a signature or the path to the signed root is wrong.
    """
    from holdfast.ledger.archive import public_keys
    from holdfast.ledger.proof import check_proof

    with told():
        trusted = _keys(keys) or public_keys(home_path(home) / "ledger.db")
    with told(proof):
        proven = check_proof(_text(proof), trusted)
    header, _, body = proven.leaf.decode(errors="replace").partition("\n")
    head = proven.signed.head
    if json_:
        signed = {"origin": head.origin, "size": head.size, "root": head.root.hex()}
        entry = {"index": proven.index, "header": header, "body": body}
        printing.say_json({"proven": True, "entry": entry, "checkpoint": signed})
        return
    good = printing.tone("proven", "good")
    printing.say(f"{good}  entry {proven.index} of the {head.size} that {head.origin} signed")
    printing.say(f"  {header}\n  {body}")


@command.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@at_home
@as_json
def export(directory: Path, home: Path | None, json_: bool) -> None:
    """Write the ledger to DIRECTORY as static files (C2SP tlog-tiles)."""
    with recorded(home_path(home)) as archive:
        head = archive.export(directory, printing.pulse("written", "entries"))
    if json_:
        printing.say_json({"directory": str(directory), "size": head.size, "root": head.root.hex()})
        return
    printing.say(f"{head.size} entries of {head.origin} written to {directory}")
    keys = home_path(home) / "keys" / "log.vkey"
    second = f"python -m holdfast.ledger.verify_export {directory} {keys}"
    printing.say(f"check them with: {second}")


@command.command()
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Write there and not to standard output.",
)  # fmt: skip
@at_home
@as_json
def checkpoint(output: Path | None, home: Path | None, json_: bool) -> None:
    """Print the newest signed checkpoint; keep it elsewhere for audit verify --against."""
    with recorded(home_path(home)) as archive:
        text, head = archive.checkpoint(), archive.head()
    signed = {"size": head.size, "root": head.root.hex(), "checkpoint": text}
    _write(text, output, signed if json_ else None)


@command.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", required=True, metavar="NAME", help="The witness's name, like a host name.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Write the cosigned checkpoint there and not to standard output.",
)  # fmt: skip
@keys_option
@at_home
@as_json
def witness(
    directory: Path,
    name: str,
    output: Path | None,
    keys: Path | None,
    home: Path | None,
    json_: bool,
) -> None:
    """Cosign the newest checkpoint as a witness, if it continues what the witness saw.

    DIRECTORY holds the witness's own keys and memory; keep it away from the ledger, best on
    another machine. Exit code 1 when history was truncated, forked or rewritten.
    """
    import time

    from holdfast.ledger.archive import public_keys
    from holdfast.ledger.proof import parse_consistency
    from holdfast.ledger.witness import Witness, with_cosignatures

    with recorded(home_path(home)) as archive:
        signer = Witness(directory, name)
        seen = signer.seen(archive.origin)
        # A shrunken log is not ours to refuse: the witness does, and says so.
        start = min(seen.size, archive.head().size) if seen else 0
        request = archive.prove_consistency(start)
        log = _keys(keys) or public_keys(archive.path)
        lines = signer.cosign(request, log, int(time.time()))
    newest = parse_consistency(request)
    text, size = with_cosignatures(newest.checkpoint, lines), newest.head.size
    said = {"witness": name, "from": start, "size": size, "checkpoint": text}
    _write(text, output, said if json_ else None)


@command.command("new-keys")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@as_json
def new_keys(file: Path, json_: bool) -> None:
    """Write the private keys of a new ledger to FILE, for a Secret of a cluster.

    One identity for all conductors of one database. Keep a copy where the cluster cannot reach it.
    """
    from holdfast.ledger.keys import new_identity, write_secret

    if file.exists():
        raise Complaint(f"{file} exists", "keys are never overwritten; name another file")
    write_secret(file, new_identity())
    if json_:
        printing.say_json({"file": str(file)})
        return
    printing.say(f"written to {file}")


def _write(text: str, output: Path | None, document: dict[str, Any] | None) -> None:
    """The text to its file if one is named; then what a person or a program wants to see."""
    if output is not None:
        output.write_text(text, encoding="utf-8")
    if document is not None:
        printing.say_json(document)
    elif output is not None:
        printing.say(f"written to {output}")
    else:
        click.echo(text, nl=False)


def _text(path: Path) -> str:
    from holdfast.ledger.archive import note_text

    return note_text(path)


def _keys(path: Path | None) -> tuple[VerifierKey, ...]:
    from holdfast.ledger.note import parse_keys

    if path is None:
        return ()
    with told(path):
        if found := parse_keys(_text(path)):
            return found
    raise Complaint(f"{path}: found no key", "name the log's public keys", exit_code=FAILED)
