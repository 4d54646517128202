"""The checks are measured: seeded damage to the rendered sets, nearly all of it found.

First by what is ours; what that misses is shown to the upstream's own checker of the file, where
it is installed. ``HOLDFAST_MUTATION_SEED`` plays another seed.
"""

from __future__ import annotations

import os
from collections import Counter

import corruption
import upstream
import yaml
from upstream import SPECS

from holdfast.artifacts.bundle import MANIFEST
from holdfast.artifacts.catalog import render
from holdfast.artifacts.check import rules, schema, syntax
from holdfast.artifacts.check.whole import Whole
from holdfast.artifacts.check.written import Written, of_bundle, read
from holdfast.spec.load import load
from holdfast.supply.checkers import run
from holdfast.supply.checkers.table import CHECKERS

SEED = int(os.environ.get("HOLDFAST_MUTATION_SEED", "1"))
EACH = 52  # for each of the four services
#: Those that judge one file by itself and in less than a second.
UPSTREAM = [each for each in CHECKERS if each.name in (
    "actionlint", "amtool", "cfn-lint", "envoy", "promtool config", "promtool rules")]  # fmt: skip


def words(findings):
    return Counter((each.rule, each.artifact, each.found) for each in findings)


def over_the_whole(files, service):
    whole = Whole(files, service)
    return words([*rules.check(whole), *syntax.check(whole)])


def of_one(files, touched):
    (file,) = (each for each in files if each.path == touched)
    return words(schema.check_file(file, upstream.schemas()))


def found(sound, whole_before, service, damage):
    """What the offline checks find that they do not find in the sound set."""
    after = files_of(sound, damage)
    if damage.touched in damage.set:
        news = of_one(after, damage.touched) - of_one(sound, damage.touched)
        if news:
            return news
    return over_the_whole(after, service) - whole_before


def files_of(sound, damage):
    """The set after the damage; documents come from memory, texts only where lines are asked."""
    changed = []
    for file in sound:
        if file.path in damage.set:
            documents = damage.set[file.path]
            same = documents == list(file.objects)
            text = file.text if same else yaml.safe_dump_all(documents, sort_keys=False)
            changed.append(Written(file.path, text, file.keys, tuple(documents)))
        elif not file.objects:
            changed.append(file)
    return changed


def found_upstream(root, missed):
    """Which of the damaged files an upstream refuses; each in a directory of its own."""
    files = []
    for index, (_service, damage) in enumerate(missed):
        text = yaml.safe_dump_all(damage.set.get(damage.touched, ()), sort_keys=False)
        path = f"{index}/{damage.touched}"
        (root / path).parent.mkdir(parents=True)
        (root / path).write_text(text)
        files.append(read(path, text))
    outcomes = run.check(root, files, table=UPSTREAM)
    return {each.artifact for outcome in outcomes for each in outcome.findings}


def test_nearly_all_of_the_seeded_damage_is_found(capsys, tmp_path):
    upstream.schemas()
    done, missed = Counter(), []
    for name, path in SPECS.items():
        service = load(path)
        sound = of_bundle(render(service))
        documents = corruption.documents(sound)
        manifest = documents.pop(MANIFEST)
        before = over_the_whole(sound, service)
        for damage in corruption.damages(documents, SEED, EACH):
            damage.set[MANIFEST] = manifest
            done[damage.kind] += 1
            if not found(sound, before, service, damage):
                missed.append((name, damage))
    theirs = found_upstream(tmp_path, missed)
    lost = [f"{name}: {each.kind}: {each.said}" for index, (name, each) in enumerate(missed)
            if f"{index}/{each.touched}" not in theirs]  # fmt: skip
    total, ours = done.total(), done.total() - len(missed)
    with capsys.disabled():
        print(f"\nseed {SEED}: {total - len(lost)} of {total} found, {ours} by ours; missed:")
        print("\n".join(f"  {each}" for each in lost))
    assert total >= 200 and len(done) >= 15, done
    assert len(lost) <= total * 0.05, f"seed {SEED}\n" + "\n".join(lost)
