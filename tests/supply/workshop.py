"""A builder image of this machine's own compiler, and a small C service: nothing is downloaded."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

PACKAGES = ("gcc", "libc6-dev", "make", "dash", "coreutils", "sed")
_SKIPPED = ("/usr/share/doc/", "/usr/share/man/", "/usr/share/locale/", "/usr/share/info/")
_LINKS = ("bin", "sbin", "lib", "lib64")

SERVICE = r"""
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "greeting.h"

static void finish(int number) { (void)number; _exit(0); }

int main(void) {
  signal(SIGTERM, finish);
  int port = atoi(getenv("PORT")), yes = 1;
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(port)};
  here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int gate = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(gate, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(gate, (struct sockaddr *)&here, sizeof here) || listen(gate, 16)) return 1;
  for (;;) {
    int one = accept(gate, 0, 0);
    char asked[1024], said[256], body[128];
    if (read(one, asked, sizeof asked) < 0) { close(one); continue; }
    int written = open_fails("/escape");
    snprintf(body, sizeof body, "%s uid=%d root=%s\n", greeting(), getuid(),
             written ? "read-only" : "writable");
    int length = snprintf(said, sizeof said,
      "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s", strlen(body), body);
    if (write(one, said, length) < 0) return 1;
    close(one);
  }
}
"""
GREETING_H = "const char *greeting(void);\nint open_fails(const char *path);\n"
GREETING = """
#include <fcntl.h>
#include <unistd.h>
#include "greeting.h"
const char *greeting(void) { return "hello"; }
int open_fails(const char *path) { return open(path, O_CREAT | O_WRONLY, 0600) < 0; }
"""
THIRD_PARTY = "all:\n\t$(CC) $(CFLAGS) -c greeting.c -o greeting.o\n"
MAKEFILE = """
install: tiny
\tinstall -D tiny $(DESTDIR)$(PREFIX)/tiny
tiny: main.c
\t$(CC) $(CFLAGS) -Ithird_party main.c third_party/greeting.o -o tiny $(LDFLAGS)
check: tiny
"""
SPEC = """
service: tiny
version: 1.0.0
run: /app/tiny
traffic: {port: %d}
image: {repository: %s, language: generic}
"""


def need(*programs: str) -> None:
    """Skips where a program is missing, or where we may not build."""
    missing = [name for name in programs if shutil.which(name, path=_PATH) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: apt-get install {' '.join(missing)}")
    if os.geteuid():
        pytest.skip("building without a user namespace needs root")


_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def project(directory: Path, repository: str = "localhost/tiny", port: int = 8080) -> Path:
    """The sources of the service and its spec."""
    (directory / "third_party").mkdir(parents=True)
    (directory / "third_party" / "Makefile").write_text(THIRD_PARTY)
    (directory / "third_party" / "greeting.c").write_text(GREETING)
    (directory / "third_party" / "greeting.h").write_text(GREETING_H)
    (directory / "Makefile").write_text(MAKEFILE)
    (directory / "main.c").write_text(SERVICE)
    (directory / "holdfast.yaml").write_text(SPEC % (port, repository))
    return directory


def storage(directory: Path) -> dict[str, str]:
    """buildah's own store, below a directory, so that nothing is left on the machine."""
    conf = directory / "storage.conf"
    root, run = directory / "root", directory / "run"
    conf.write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{root}"\nrunroot = "{run}"\n')
    return {**os.environ, "CONTAINERS_STORAGE_CONF": str(conf)}


def _closure() -> list[str]:
    """The packages and all they depend on, as dpkg knows them here."""
    shown = "${Package}\t${Depends},${Pre-Depends}\n"
    table = {}
    for line in _out("dpkg-query", "-W", f"-f={shown}").splitlines():
        name, _, needs = line.partition("\t")
        words = [
            each.split("|")[0].split("(")[0].split(":")[0].strip() for each in needs.split(",")
        ]
        table[name] = [word for word in words if word]
    found: list[str] = []
    todo = list(PACKAGES)
    while todo:
        name = todo.pop()
        if name in table and name not in found:
            found.append(name)
            todo += table[name]
    return found


def _out(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def builder(directory: Path, environment: dict[str, str]) -> str:
    """An image with a compiler, made of the files of this machine's packages."""
    context = directory / "builder"
    context.mkdir()
    with tarfile.open(context / "root.tar", "w") as archive:
        for link in _LINKS:
            if Path(f"/{link}").is_symlink():
                archive.add(f"/{link}", link)
        listed = _out("dpkg-query", "-L", *_closure()).splitlines()
        for path in sorted({str(Path(each)) for each in listed if each.startswith("/")}):
            real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
            wanted = not path.startswith(_SKIPPED) and os.path.lexists(real)
            if wanted and (os.path.islink(real) or os.path.isfile(real)):
                archive.add(real, real.lstrip("/"), recursive=False)
        empty = tarfile.TarInfo("tmp")
        empty.type, empty.mode = tarfile.DIRTYPE, 0o1777
        archive.addfile(empty)
    (context / "Dockerfile").write_text(
        "FROM scratch\nADD root.tar /\nENV PATH=/usr/bin:/usr/sbin\n"
    )
    name = "localhost/workshop:1"
    _built(context, name, environment)
    return name


def base(directory: Path, environment: dict[str, str]) -> str:
    """What distroless static is in essence: a user, certificates' directory, nothing to run."""
    context = directory / "base"
    (context / "etc").mkdir(parents=True)
    (context / "etc" / "passwd").write_text("nonroot:x:65532:65532::/:/sbin/nologin\n")
    (context / "Dockerfile").write_text("FROM scratch\nCOPY etc /etc\n")
    name = "localhost/static:1"
    _built(context, name, environment)
    return name


def _built(context: Path, name: str, environment: dict[str, str]) -> None:
    command = ["buildah", "build", "--isolation", "chroot", "--tag", name, str(context)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def read_json(text: str):
    return json.loads(text)
