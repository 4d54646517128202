"""Secrets, certificates, scans: referenced only, least rights, renewed in time."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
import upstream
from family import file, objects, rendered, spec, text, the

from holdfast.artifacts.catalog import render
from holdfast.artifacts.check.schema import Schemas
from holdfast.artifacts.names import namespace, tls_secret


@pytest.fixture
def whole(service):
    """The whole set, other families included."""
    return render(service)


DURATION = re.compile(r"(\d+)h(\d+)m(\d+)s")


def hours(duration):
    found = DURATION.fullmatch(duration)
    return int(found[1]) + int(found[2]) / 60 + int(found[3]) / 3600


@pytest.mark.req("T8", "T138", "T139")
def test_every_security_object_is_accepted_by_its_own_schema(service):
    upstream.assert_accepted(rendered(service), "resilience/security", "resilience/platform")


@pytest.mark.req("T8")
def test_the_service_s_secret_has_exactly_the_keys_its_pods_ask_for():
    given = spec("")
    asked = given.run.model_copy(update={"secrets": {"API_KEY": "env:A", "DB_PASSWORD": "file:b"}})
    given = given.model_copy(update={"run": asked})
    found = the(given, "ExternalSecret", "shop-secrets")
    assert found["metadata"]["namespace"] == "shop"
    wanted = {each["secretKey"]: each["remoteRef"] for each in found["spec"]["data"]}
    assert set(wanted) == {"API_KEY", "DB_PASSWORD"}
    assert {each["key"] for each in wanted.values()} == {"shop/shop"}
    assert "env:A" not in json.dumps(found)


@pytest.mark.req("T8")
def test_a_service_without_secrets_brings_none_for_its_pods():
    names = {each["metadata"]["name"] for each in objects(spec(), "ExternalSecret")}
    assert "shop-secrets" not in names and "shop-alerting" in names


@pytest.mark.req("T8")
def test_each_store_logs_in_as_an_account_of_its_own_namespace_with_a_role_that_setup_makes(
    service,
):
    setup = text(service, "security/vault/setup.sh")
    stores = objects(service, "SecretStore")
    assert {each["metadata"]["namespace"] for each in stores} == {namespace(service), "monitoring"}
    for store in stores:
        vault = store["spec"]["provider"]["vault"]
        login = vault["auth"]["kubernetes"]
        assert vault["server"].startswith("https://")
        assert f"auth/kubernetes/role/{login['role']} " in setup
        account, space = login["serviceAccountRef"]["name"], store["metadata"]["namespace"]
        assert f"bound_service_account_names={account} " in setup
        assert f"bound_service_account_namespaces={space} " in setup


@pytest.mark.req("T8")
def test_what_any_secret_of_the_set_asks_for_is_what_a_policy_allows(service, whole):
    asked = {
        each["remoteRef"]["key"]
        for found in whole
        for secret in found.artifact.objects()
        if secret.get("kind") == "ExternalSecret"
        for each in secret["spec"].get("data", ())
    }
    allowed = set()
    for found in rendered(service):
        if found.path.endswith(".hcl"):
            said = found.artifact.body
            assert "*" not in said and "sudo" not in said and "delete" not in said
            allowed |= set(re.findall(r'path "secret/data/([^"]+)"', said))
    patterns = [re.escape(each).replace(r"\+", "[^/]+") for each in allowed]
    for each in asked:
        assert any(re.fullmatch(pattern, each) for pattern in patterns), each


@pytest.mark.req("T8")
def test_vault_s_own_configuration_is_accepted_and_speaks_only_tls(service):
    known: Schemas = upstream.schemas()
    import jsonschema_rs

    validator = jsonschema_rs.validator_for(known.read("other/vault.json"))
    for region in service.regions:
        body = file(service, f"security/vault/server-{region.name}.json").body
        # Its alternatives of seals are open objects: with oneOf no seal at all would be accepted.
        assert list(validator.iter_errors({k: v for k, v in body.items() if k != "seal"})) == []
        listener = body["listener"][0]["tcp"]
        assert listener["tls_min_version"] == "tls13" and "tls_disable" not in listener
        assert body["seal"][0]["awskms"]["region"] == region.cloud
        assert len(body["storage"]["raft"]["retry_join"]) >= 3


@pytest.mark.req("T8", "T140")
def test_the_setup_of_vault_is_a_shell_script_and_turns_the_audit_log_on(service, tmp_path):
    script = tmp_path / "setup.sh"
    script.write_text(text(service, "security/vault/setup.sh"))
    read = subprocess.run(["sh", "-n", str(script)], capture_output=True, text=True, check=False)
    assert read.returncode == 0, read.stderr
    assert "vault audit enable file" in script.read_text()


@pytest.mark.req("T138")
def test_certificates_are_renewed_weeks_before_anybody_is_called_and_with_a_new_key(service):
    found = objects(service, "Certificate")
    assert tls_secret(service) in {each["spec"]["secretName"] for each in found}
    for each in found:
        given = each["spec"]
        if given.get("isCA"):
            continue
        assert given["privateKey"]["rotationPolicy"] == "Always"
        assert 14 * 24 < hours(given["renewBefore"]) < hours(given["duration"]) / 2


@pytest.mark.req("T138")
def test_the_databases_of_all_regions_have_names_in_their_certificate():
    given = spec("kubernetes: {host: shop.example.org}")
    names = the(given, "Certificate", "shop-db-server")["spec"]["dnsNames"]
    for region in given.regions:
        assert f"db.{region.name}.shop.example.org" in names
    copies = the(given, "Certificate", "shop-db-replication")["spec"]
    assert copies["commonName"] == "streaming_replica" and copies["usages"] == ["client auth"]
    signed = text(given, "security/vault/setup.sh")
    assert "streaming_replica" in signed and "shop.example.org" in signed


@pytest.mark.req("T138")
def test_every_issuer_that_a_certificate_names_exists(service):
    made = {(e["kind"], e["metadata"]["name"]) for kind in ("Issuer", "ClusterIssuer")
            for e in objects(service, kind)}  # fmt: skip
    for each in objects(service, "Certificate"):
        reference = each["spec"]["issuerRef"]
        assert (reference["kind"], reference["name"]) in made


@pytest.mark.req("T139")
def test_every_control_is_proved_by_checks_and_reported_on_a_schedule(reference):
    given = the(reference, "ClusterComplianceReport")["spec"]
    controls = given["compliance"]["controls"]
    assert len({each["id"] for each in controls}) == len(controls) >= 10
    assert all(each["checks"] for each in controls)
    values = file(reference, "security/helm/scanner.yaml").body
    assert values["operator"]["clusterComplianceEnabled"] is True
    assert namespace(reference) in values["targetNamespaces"].split(",")


def signs(allowed, name):
    """What Vault does with allow_bare_domains and allow_subdomains (its documentation, PKI)."""
    return any(name == each or name.endswith(f".{each}") for each in allowed)


#: The certificates of nodes that the chart of CockroachDB asks for (certificate.node.yaml).
CHART = ("localhost", "127.0.0.1", "{0}-public", "{0}-public.{1}",
         "{0}-public.{1}.svc.cluster.local", "*.{0}", "*.{0}.{1}",
         "*.{0}.{1}.svc.cluster.local")  # fmt: skip


@pytest.mark.req("T8", "T138")
@pytest.mark.parametrize("database", ["postgres", "cockroach"])
@pytest.mark.parametrize("space", ["", "kubernetes: {namespace: trade}"])
def test_vault_signs_every_name_that_a_certificate_of_its_issuer_asks_for(database, space):
    given = spec(f"resilience: {{database: {database}}}\n{space}")
    (role,) = re.findall(r"allowed_domains=(\S+)", text(given, "security/vault/setup.sh"))
    wanted = [
        name
        for each in objects(given, "Certificate", "security/")
        if each["spec"]["issuerRef"]["name"] == "shop-issuer"
        for name in (*each["spec"].get("dnsNames", ()), each["spec"].get("commonName"))
        if name
    ]
    if database == "cockroach":
        wanted += [name.format(f"shop-db-{region.name}", namespace(given))
                   for region in given.regions for name in CHART]  # fmt: skip
    assert wanted
    assert [name for name in wanted if not signs(role.split(","), name)] == []
