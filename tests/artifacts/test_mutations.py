"""The checks are measured: seeded damage to the rendered sets, nearly all of it found offline.

``HOLDFAST_MUTATION_SEED`` plays another seed.
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
from holdfast.artifacts.check.written import Written, of_bundle
from holdfast.spec.load import load

SEED = int(os.environ.get("HOLDFAST_MUTATION_SEED", "1"))
EACH = 60  # for each of the four services


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


def test_nearly_all_of_the_seeded_damage_is_found_by_the_offline_checks(capsys):
    upstream.schemas()
    done, missed = Counter(), []
    for name, path in SPECS.items():
        service = load(path)
        sound = of_bundle(render(service))
        documents = corruption.documents(sound)
        documents.pop(MANIFEST)
        # of CloudFormation only cfn-lint knows; what it finds is measured where that is tested
        documents = {path: d for path, d in documents.items() if "/aws/" not in path}
        before = over_the_whole(sound, service)
        for damage in corruption.damages(documents, SEED, EACH):
            damage.set[MANIFEST] = list(next(f for f in sound if f.path == MANIFEST).objects)
            done[damage.kind] += 1
            if not found(sound, before, service, damage):
                missed.append(f"{name}: {damage.kind}: {damage.said}")
    total = done.total()
    with capsys.disabled():
        print(f"\nseed {SEED}: {total - len(missed)} of {total} found; missed:")
        print("\n".join(f"  {each}" for each in missed))
    assert total >= 200 and len(done) >= 15, done
    assert len(missed) <= total * 0.05, f"seed {SEED}\n" + "\n".join(missed)
