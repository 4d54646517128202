"""What ``build`` and ``registry`` share: errors of the supply side as words and exit codes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from holdfast.cli.complaint import FAILED, REFUSED, Complaint


@contextmanager
def shipping() -> Iterator[None]:
    """Errors inside become complaints."""
    try:
        from holdfast.supply.images.builder import CannotBuild
        from holdfast.supply.images.layout import BadImage
        from holdfast.supply.registry.client import RegistryError
        from holdfast.supply.registry.credentials import UnsafeFile
    except ModuleNotFoundError as error:
        says = f"this needs {error.name}, which is not installed"
        raise Complaint(says, "pip install 'holdfast[supply]'", code="not-installed") from error
    try:
        yield
    except CannotBuild as error:
        raise Complaint(error.says, error.hint, code="build", exit_code=FAILED) from error
    except BadImage as error:
        hint = "build it again: holdfast build"
        raise Complaint(str(error), hint, code="image", exit_code=FAILED) from error
    except UnsafeFile as error:
        raise Complaint(str(error), code="credentials", exit_code=REFUSED) from error
    except RegistryError as error:
        raise _of_registry(error) from error


def _of_registry(error: Exception) -> Complaint:
    status = getattr(error, "status", 0)
    if status in (401, 403):
        hint = "log in: docker login, or name its file in HOLDFAST_REGISTRY_AUTH"
        return Complaint(str(error), hint, code="registry", exit_code=REFUSED)
    if status == 405:
        hint = "let the registry delete: REGISTRY_STORAGE_DELETE_ENABLED=true"
        return Complaint(str(error), hint, code="registry", exit_code=REFUSED)
    hint = "what was sent is kept: run it again" if not status or status >= 500 else ""
    return Complaint(str(error), hint, code="registry", exit_code=FAILED)
