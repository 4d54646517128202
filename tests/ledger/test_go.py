"""Go's own transparency-log and ML-DSA code, written by others, accepts what this ledger signs.

Uses ``sumdb/note`` and ``sumdb/tlog`` from the toolchain's vendor directory and the ML-DSA of the
standard library (internal before Go 1.27, hence the build overlay). Copied at test time only.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from holdfast.ledger import Ledger
from holdfast.ledger.archive import public_keys
from holdfast.ledger.dsse import ReleaseSigner

MLDSA = """package holdfastmldsa

import "crypto/internal/fips140/mldsa"

func Verify44(public, message, signature []byte) error {
	key, err := mldsa.NewPublicKey44(public)
	if err != nil {
		return err
	}
	return mldsa.Verify(key, message, signature, "")
}

func Verify65(public, message, signature []byte) error {
	key, err := mldsa.NewPublicKey65(public)
	if err != nil {
		return err
	}
	return mldsa.Verify(key, message, signature, "")
}
"""

MAIN = r"""package main

import (
	"crypto/ed25519"
	"crypto/holdfastmldsa"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func must(err error) {
	if err != nil {
		fmt.Println("rejected:", err)
		os.Exit(1)
	}
}

func read(parts ...string) string {
	data, err := os.ReadFile(filepath.Join(parts...))
	must(err)
	return string(data)
}

// open verifies both signatures of a checkpoint and returns origin, size and root.
func open(text string, keys []string) (string, tlog.Tree) {
	verifier, err := note.NewVerifier(keys[0])
	must(err)
	opened, err := note.Open([]byte(text), note.VerifierList(verifier))
	must(err)
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err)
	root, err := tlog.ParseHash(lines[2])
	must(err)
	tree := tlog.Tree{N: size, Hash: root}
	verifyMLDSA(opened, keys[1], lines[0], tree)
	return lines[0], tree
}

func verifyMLDSA(opened *note.Note, vkey, origin string, tree tlog.Tree) {
	parts := strings.SplitN(vkey, "+", 3)
	material, err := base64.StdEncoding.DecodeString(parts[2])
	must(err)
	for _, sig := range opened.UnverifiedSigs {
		if sig.Name != parts[0] || fmt.Sprintf("%08x", sig.Hash) != parts[1] || material[0] != 6 {
			continue
		}
		packed, err := base64.StdEncoding.DecodeString(sig.Base64)
		must(err)
		message := []byte("subtree/v1\n\x00")
		message = append(message, byte(len(sig.Name)))
		message = append(message, sig.Name...)
		message = append(message, packed[4:12]...)
		message = append(message, byte(len(origin)))
		message = append(message, origin...)
		message = binary.BigEndian.AppendUint64(message, 0)
		message = binary.BigEndian.AppendUint64(message, uint64(tree.N))
		message = append(message, tree.Hash[:]...)
		must(holdfastmldsa.Verify44(material[1:], message, packed[12:]))
		return
	}
	must(fmt.Errorf("no ML-DSA-44 signature"))
}

func hashes(lines []string) []tlog.Hash {
	var found []tlog.Hash
	for _, line := range lines {
		hash, err := tlog.ParseHash(line)
		must(err)
		found = append(found, hash)
	}
	return found
}

// files reads tiles of the export; Go writes the height into the path, tiled logs do not.
type files struct{ base string }

func (f files) Height() int { return 8 }

func (f files) SaveTiles(tiles []tlog.Tile, data [][]byte) {}

func (f files) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range tiles {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		found = append(found, []byte(read(f.base, path)))
	}
	return found, nil
}

// envelope verifies a DSSE envelope with both of its signatures.
func envelope(base string) {
	var e struct {
		Payload     []byte
		PayloadType string
		Signatures  []struct {
			KeyID string
			Sig   []byte
		}
	}
	must(json.Unmarshal([]byte(read(base, "envelope")), &e))
	message := []byte(fmt.Sprintf("DSSEv1 %d %s %d %s",
		len(e.PayloadType), e.PayloadType, len(e.Payload), e.Payload))
	verified := 0
	for _, s := range e.Signatures {
		switch algorithm, _, _ := strings.Cut(s.KeyID, ":"); algorithm {
		case "ed25519":
			if !ed25519.Verify([]byte(read(base, "ed25519.pub")), message, s.Sig) {
				must(fmt.Errorf("Ed25519 does not verify"))
			}
			verified++
		case "ml-dsa-65":
			must(holdfastmldsa.Verify65([]byte(read(base, "mldsa65.pub")), message, s.Sig))
			verified++
		}
	}
	fmt.Printf("go accepts %d signatures over %s\n", verified, e.Payload)
}

func main() {
	base := os.Args[1]
	if len(os.Args) > 2 {
		envelope(base)
		return
	}
	keys := strings.Split(strings.TrimSpace(read(base, "keys.vkey")), "\n")
	_, tree := open(read(base, "export", "checkpoint"), keys)

	// Every leaf, through the tiles, to the signed root.
	reader := tlog.TileHashReader(tree, files{filepath.Join(base, "export")})
	for n := int64(0); n < tree.N; n++ {
		_, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, n)})
		must(err)
	}

	// The tlog-proof.
	top, checkpoint, _ := strings.Cut(read(base, "proof"), "\n\n")
	lines := strings.Split(top, "\n")
	leaf, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	must(err)
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	must(err)
	_, proven := open(checkpoint, keys)
	path := tlog.RecordProof(hashes(lines[3:]))
	must(tlog.CheckRecord(path, proven.N, proven.Hash, index, tlog.RecordHash(leaf)))

	// The consistency proof from the older checkpoint.
	_, older := open(read(base, "older"), keys)
	top, checkpoint, _ = strings.Cut(read(base, "consistency"), "\n\n")
	_, newer := open(checkpoint, keys)
	steps := tlog.TreeProof(hashes(strings.Split(top, "\n")[1:]))
	must(tlog.CheckTree(steps, newer.N, newer.Hash, older.N, older.Hash))
	fmt.Printf("go accepts %d entries, entry %d, from %d\n", tree.N, index, older.N)
}
"""


def go(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    offline = {"GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    return subprocess.run(
        ["go", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **offline},
    )


@pytest.fixture(scope="module")
def checker(tmp_path_factory) -> Path:
    """The Go program, built from the toolchain's own vendored code."""
    if shutil.which("go") is None:
        pytest.skip("Go is not installed")
    root = Path(go("env", "GOROOT").stdout.strip())
    vendored = root / "src/cmd/vendor/golang.org/x/mod/sumdb"
    if not (vendored / "tlog").is_dir():
        pytest.skip(f"this Go toolchain has no {vendored}")
    if not (root / "src/crypto/internal/fips140/mldsa").is_dir():
        pytest.skip("this Go toolchain has no ML-DSA (Go 1.26 or newer has)")
    base = tmp_path_factory.mktemp("go")
    for name in ("note", "tlog"):
        shutil.copytree(vendored / name, base / "xmod/sumdb" / name)
    (base / "xmod/go.mod").write_text("module golang.org/x/mod\n\ngo 1.24\n")
    (base / "go.mod").write_text(
        "module check\n\ngo 1.24\n\nrequire golang.org/x/mod v0.0.0\n\n"
        "replace golang.org/x/mod => ./xmod\n"
    )
    (base / "main.go").write_text(MAIN)
    (base / "mldsa.go.txt").write_text(MLDSA)
    target = str(root / "src/crypto/holdfastmldsa/mldsa.go")
    overlay = {"Replace": {target: str(base / "mldsa.go.txt")}}
    (base / "overlay.json").write_text(json.dumps(overlay))
    built = go("build", "-overlay", "overlay.json", "-o", "checker", ".", cwd=base)
    version = go("env", "GOVERSION").stdout.strip()
    if built.returncode and not version.startswith("go1.26"):
        pytest.skip(f"{version} has another internal ML-DSA: {built.stderr[:200]}")
    assert built.returncode == 0, built.stderr
    return base / "checker"


@pytest.fixture
def evidence(tmp_path: Path, origin: str, make_drafts) -> Path:
    with Ledger.open(tmp_path / "home" / "ledger.db", origin) as ledger:
        ledger.append_now(make_drafts(123))
        (tmp_path / "older").write_text(ledger.checkpoint())
        ledger.append_now(make_drafts(577, 123))
        ledger.export(tmp_path / "export")
        (tmp_path / "proof").write_text(ledger.prove(321))
        (tmp_path / "consistency").write_text(ledger.prove_consistency(123))
        keys = "".join(f"{key}\n" for key in public_keys(ledger.path))
    (tmp_path / "keys.vkey").write_text(keys)
    return tmp_path


@pytest.fixture
def envelope(tmp_path: Path) -> Path:
    signer = ReleaseSigner.load_or_make(tmp_path / "release.pem")
    (tmp_path / "envelope").write_bytes(signer.sign(b'{"digest":"3f9a"}', "application/json"))
    (tmp_path / "ed25519.pub").write_bytes(signer.public.ed25519)
    (tmp_path / "mldsa65.pub").write_bytes(signer.public.mldsa65)
    return tmp_path


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] = data[at] ^ 1
    path.write_bytes(data)


@pytest.mark.live
@pytest.mark.req("I4", "I2")
def test_independent_go_code_accepts_checkpoint_tiles_and_proofs(checker, evidence):
    ran = subprocess.run([checker, evidence], capture_output=True, text=True, timeout=60)
    assert ran.stdout == "go accepts 700 entries, entry 321, from 123\n", ran
    assert ran.returncode == 0


@pytest.mark.live
@pytest.mark.req("I4", "I2")
@pytest.mark.parametrize(
    ("name", "at"),
    [("export/checkpoint", -200), ("export/checkpoint", 30), ("export/tile/0/001", 77),
     ("proof", 60), ("older", -900), ("consistency", 20)],
)  # fmt: skip
def test_independent_go_code_rejects_a_flipped_bit(checker, evidence, name, at):
    flip(evidence / name, at)
    ran = subprocess.run([checker, evidence], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1 and ran.stdout.startswith("rejected: "), ran


@pytest.mark.live
@pytest.mark.req("I2")
def test_independent_go_code_accepts_both_signatures_of_a_release_envelope(checker, envelope):
    words = [checker, envelope, "envelope"]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert ran.stdout == 'go accepts 2 signatures over {"digest":"3f9a"}\n', ran
    flip(envelope / "mldsa65.pub", 1_000)
    ran = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1 and "rejected" in ran.stdout
