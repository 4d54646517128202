"""The data services: what is promised reaches them, and regions know each other."""

from __future__ import annotations

import json
import re

import pytest
import upstream
from family import file, objects, rendered, spec, text, the

from holdfast.artifacts import names
from holdfast.artifacts.resilience.data import postgres
from holdfast.artifacts.resilience.objects import HOSTNAME

ONE = "regions: [{name: here, primary: true}]"


def clusters(service):
    return {
        region.name: the(service, "Cluster", below=f"overlays/{region.name}")["spec"]
        for region in service.regions
    }


def seconds(text):
    return int(text.removesuffix("s"))


@pytest.mark.req("T131", "T132", "T133", "T134", "T115")
def test_every_data_service_is_accepted_by_its_own_schema(service):
    upstream.assert_accepted(
        rendered(service), "resilience/data", "resilience/overlays", "resilience/base"
    )


@pytest.mark.req("T131", "T132", "T133", "T134")
@pytest.mark.parametrize("database", ["postgres", "cockroach", "none"])
@pytest.mark.parametrize("objects_", ["s3", "minio", "none"])
@pytest.mark.parametrize("more", ["", ONE, "kubernetes: {namespace: trade, mesh: none}"])
def test_every_choice_of_data_services_is_accepted(database, objects_, more):
    cache, queue = ("none", "none") if database == "none" else ("redis", "kafka")
    chosen = f"{{database: {database}, objects: {objects_}, cache: {cache}, queue: {queue}}}"
    given = spec(f"resilience: {chosen}\n{more}")
    upstream.assert_accepted(rendered(given))
    kinds = {o["kind"] for f in rendered(given) for o in f.artifact.objects() if "kind" in o}
    assert ("Cluster" in kinds) is (database == "postgres")
    assert ("Tenant" in kinds) is (objects_ == "minio")
    assert ("RedisSentinel" in kinds) is (cache == "redis")
    assert ("Kafka" in kinds) is (queue == "kafka")


@pytest.mark.req("T131", "T115")
def test_one_region_writes_and_every_other_follows_it(reference):
    found = clusters(reference)
    primary = names.primary(reference).name
    for region, cluster in found.items():
        replica = cluster["replica"]
        assert replica["primary"] == replica["source"] == f"trading-engine-db-{primary}"
        assert replica["self"] == f"trading-engine-db-{region}"
        assert ("initdb" in cluster["bootstrap"]) is (region == primary)
        known = {each["name"]: each for each in cluster["externalClusters"]}
        assert set(known) == {f"trading-engine-db-{name}" for name in found}
        if region != primary:
            assert cluster["bootstrap"]["recovery"]["source"] == replica["primary"]
        for each in known.values():
            assert each["connectionParameters"]["sslmode"] == "verify-full"


@pytest.mark.req("T115", "T131")
def test_the_door_between_databases_opens_to_the_regions_networks_only(reference):
    for cluster in clusters(reference).values():
        (door,) = cluster["managed"]["services"]["additional"]
        allowed = door["serviceTemplate"]["spec"]["loadBalancerSourceRanges"]
        assert allowed == [region.cidr for region in reference.regions]


@pytest.mark.req("T131")
def test_in_one_region_there_is_no_door_and_nobody_to_follow():
    (cluster,) = clusters(spec(ONE)).values()
    assert "replica" not in cluster and "managed" not in cluster
    assert "initdb" in cluster["bootstrap"]


@pytest.mark.req("T127", "T121")
@pytest.mark.parametrize("rpo", ["10s", "1m", "5m"])
def test_the_archive_of_the_database_is_never_older_than_half_of_what_may_be_lost(rpo):
    given = spec(f"resilience: {{backup: {{rpo: {rpo}}}}}")
    promised = given.resilience.backup.rpo
    for cluster in clusters(given).values():
        assert cluster["instances"] >= 3
        archive = seconds(cluster["postgresql"]["parameters"]["archive_timeout"])
        assert 0 < archive <= promised / 2
        assert any(plugin["isWALArchiver"] for plugin in cluster["plugins"])


@pytest.mark.req("T127")
def test_only_a_promise_to_lose_nothing_makes_writes_wait_for_a_copy_that_is_gone():
    wanted = {"0s": "required", "1m": "preferred"}
    for rpo, durability in wanted.items():
        given = spec(f"resilience: {{backup: {{rpo: {rpo}}}}}")
        for cluster in clusters(given).values():
            said = cluster["postgresql"]["synchronous"]
            assert said["number"] >= 1 and said["dataDurability"] == durability


@pytest.mark.req("T126")
@pytest.mark.parametrize("rto", ["30s", "5m"])
def test_no_step_of_a_failover_may_take_longer_than_the_whole_is_promised_to_take(rto):
    given = spec(f"resilience: {{backup: {{rto: {rto}}}}}")
    promised = given.resilience.backup.rto
    for cluster in clusters(given).values():
        assert cluster["failoverDelay"] == 0
        for step in ("switchoverDelay", "stopDelay", "smartShutdownTimeout"):
            assert cluster[step] <= promised
    sentinel = the(given, "RedisSentinel")["spec"]["redisSentinelConfig"]
    down, whole = int(sentinel["downAfterMilliseconds"]), int(sentinel["failoverTimeout"])
    assert down < whole and down + whole <= promised * 1000


@pytest.mark.req("T142")
def test_memory_of_the_database_fits_into_its_pod_whatever_all_connections_do(reference):
    parameters = postgres.parameters(reference)

    def mib(name):
        return int(parameters[name].removesuffix("MB"))

    whole = postgres.MEMORY // 2**20
    used = mib("shared_buffers") + int(parameters["max_connections"]) * mib("work_mem")
    assert used <= whole * 0.6
    for cluster in clusters(reference).values():
        assert cluster["resources"]["limits"]["memory"] == names.memory(postgres.MEMORY)


@pytest.mark.req("T142")
def test_a_full_log_volume_is_far_away_when_the_archive_is_not_reachable(service):
    if service.resilience.database != "postgres":
        assert not objects(service, "Cluster")
        return
    for cluster in clusters(service).values():
        volume = int(cluster["walStorage"]["size"].removesuffix("Gi")) * 1024
        parameters = cluster["postgresql"]["parameters"]
        kept = int(parameters["max_wal_size"].removesuffix("MB"))
        kept += int(parameters["max_slot_wal_keep_size"].removesuffix("MB"))
        assert kept <= volume


@pytest.mark.req("T144")
def test_all_poolers_together_leave_connections_for_people_and_copies(reference):
    pooler = the(reference, "Pooler", "trading-engine-db-pooler")["spec"]
    given = pooler["pgbouncer"]["parameters"]
    assert pooler["pgbouncer"]["poolMode"] == "transaction"
    assert pooler["cluster"]["name"] == "trading-engine-db"
    most = int(given["default_pool_size"]) + int(given["reserve_pool_size"])
    assert pooler["instances"] * most <= postgres.CONNECTIONS * 0.8
    assert int(given["min_pool_size"]) > 0


@pytest.mark.req("T131")
def test_a_cockroach_cluster_is_begun_once_and_joined_by_the_others():
    given = spec("resilience: {database: cockroach}")
    begun = []
    for region in given.regions:
        values = file(given, f"data/helm/cockroach-{region.name}.yaml").body
        assert values["conf"]["locality"] == f"region={region.cloud}"
        assert values["conf"]["cluster-name"] == "shop-db"
        assert values["tls"]["enabled"] is True
        begun += [region.primary] if not values["conf"]["join"] else []
    assert begun == [True]
    sql = text(given, "backup/cockroach.sql")
    assert "SURVIVE REGION FAILURE" in sql and 'SET PRIMARY REGION "us-east-1"' in sql
    two = "regions: [{name: a, primary: true}, {name: b, cloud: eu-west-1, cidr: 10.1.0.0/16}]"
    assert "SURVIVE ZONE FAILURE" in text(
        spec(f"resilience: {{database: cockroach}}\n{two}"), "backup/cockroach.sql"
    )


@pytest.mark.req("T132")
def test_a_majority_of_sentinels_agrees_and_survives_a_drain(reference):
    sentinel = the(reference, "RedisSentinel")["spec"]
    quorum = int(sentinel["redisSentinelConfig"]["quorum"])
    assert quorum * 2 > sentinel["clusterSize"]
    assert sentinel["clusterSize"] - quorum >= 1 and sentinel["pdb"]["minAvailable"] == quorum
    cache = the(reference, "RedisReplication")
    assert sentinel["redisSentinelConfig"]["redisReplicationName"] == cache["metadata"]["name"]
    settings = the(reference, "ConfigMap", "trading-engine-cache-settings")
    name = cache["spec"]["redisConfig"]["additionalRedisConfig"]
    assert name == settings["metadata"]["name"]
    assert "min-replicas-to-write 1" in settings["data"]["redis-additional.conf"]
    secret = cache["spec"]["kubernetesConfig"]["redisSecret"]
    brought = the(reference, "ExternalSecret", secret["name"])["spec"]["data"]
    assert [each["secretKey"] for each in brought] == [secret["key"]]


@pytest.mark.req("T133")
def test_a_lost_broker_loses_no_record_and_stops_no_writer(reference):
    for region in reference.regions:
        kafka = the(reference, "Kafka", below=f"overlays/{region.name}")["spec"]["kafka"]
        config = kafka["config"]
        copies, in_sync = config["default.replication.factor"], config["min.insync.replicas"]
        assert 1 < in_sync < copies
        assert config["unclean.leader.election.enable"] is False
        assert all(each["tls"] for each in kafka["listeners"])
    topic = the(reference, "KafkaTopic")["spec"]
    assert topic["replicas"] == copies and topic["config"]["min.insync.replicas"] == in_sync
    assert topic["config"]["retention.ms"] == reference.resilience.backup.keep * 1000
    pools = objects(reference, "KafkaNodePool")
    assert {role for pool in pools for role in pool["spec"]["roles"]} == {"broker", "controller"}
    assert all(pool["spec"]["replicas"] >= copies for pool in pools)


@pytest.mark.req("T133", "T115")
def test_a_region_mirrors_every_other_and_never_itself(reference):
    for region in reference.regions:
        mirror = the(reference, "KafkaMirrorMaker2", below=f"overlays/{region.name}")["spec"]
        sources = {each["source"]["alias"] for each in mirror["mirrors"]}
        assert sources == {r.name for r in reference.regions} - {region.name}
        assert mirror["target"]["alias"] == region.name
        for each in mirror["mirrors"]:
            host = each["source"]["bootstrapServers"].partition(":")[0]
            other = the(reference, "Kafka", below=f"overlays/{each['source']['alias']}")
            (door,) = [x for x in other["spec"]["kafka"]["listeners"] if x["name"] == "regions"]
            assert host in door["configuration"]["bootstrap"]["alternativeNames"]
            assert f":{door['port']}" in each["source"]["bootstrapServers"]


@pytest.mark.req("T133")
def test_everybody_who_logs_in_to_the_queue_has_a_user_of_it(reference):
    users = {each["metadata"]["name"] for each in objects(reference, "KafkaUser")}
    used = set(re.findall(r'"secretName": "([^"]+-mirror)"', json.dumps(
        objects(reference, "KafkaMirrorMaker2"))))  # fmt: skip
    assert used and used <= users
    client = the(reference, "KafkaUser", "trading-engine-queue-client")["spec"]
    for acl in client["authorization"]["acls"]:
        assert acl["resource"]["name"] == "trading-engine" and "All" not in acl["operations"]


@pytest.mark.req("T133", "T138")
def test_regions_share_the_authorities_that_a_cluster_alone_would_make_itself():
    alone, together = spec(ONE), spec()
    kafka = the(alone, "Kafka", below="overlays/here")["spec"]
    assert "clusterCa" not in kafka
    brought = {each["metadata"]["name"] for each in objects(together, "ExternalSecret")}
    for suffix in ("cluster-ca", "cluster-ca-cert", "clients-ca", "clients-ca-cert"):
        assert f"shop-queue-{suffix}" in brought
    for region in together.regions:
        kafka = the(together, "Kafka", below=f"overlays/{region.name}")["spec"]
        assert kafka["clusterCa"]["generateCertificateAuthority"] is False


@pytest.mark.req("T134")
def test_the_object_store_survives_a_server_and_keeps_what_must_not_be_deleted():
    given = spec("resilience: {objects: minio}")
    tenant = the(given, "Tenant")["spec"]
    (pool,) = tenant["pools"]
    assert pool["servers"] >= 4 and pool["servers"] * pool["volumesPerServer"] >= 16
    assert all(bucket["objectLock"] for bucket in tenant["buckets"])
    secret = the(given, "ExternalSecret", tenant["configuration"]["name"])["spec"]
    assert set(secret["target"]["template"]["data"]) == {"config.env"}
    script = text(given, "data/objects-regions.sh")
    assert all(region.name in script for region in given.regions) and "GOVERNANCE" not in script


@pytest.mark.req("T8")
def test_no_data_service_carries_a_secret_of_its_own(service):
    for found in rendered(service):
        for each in found.artifact.objects():
            assert each.get("kind") != "Secret"
            assert "secretAccessKey" not in json.dumps(each)


@pytest.mark.req("T115", "T130", "T133")
def test_whatever_other_regions_ask_for_by_name_has_that_name_in_dns(reference):
    for region in reference.regions:
        below = f"overlays/{region.name}"
        database = the(reference, "Cluster", below=below)["spec"]
        (door,) = database["managed"]["services"]["additional"]
        told = {door["serviceTemplate"]["metadata"]["annotations"][HOSTNAME]}
        kafka = the(reference, "Kafka", below=below)["spec"]["kafka"]
        (abroad,) = [each for each in kafka["listeners"] if each["name"] == "regions"]
        ways = [abroad["configuration"]["bootstrap"], *abroad["configuration"]["brokers"]]
        told |= {each["annotations"][HOSTNAME] for each in ways}
        asked = {
            each["connectionParameters"]["host"]
            for other in reference.regions
            for each in the(reference, "Cluster", below=f"overlays/{other.name}")["spec"][
                "externalClusters"
            ]
            if each["name"].endswith(region.name)
        }
        asked |= {
            mirror["source"]["bootstrapServers"].partition(":")[0]
            for other in reference.regions
            if other.name != region.name
            for mirror in the(reference, "KafkaMirrorMaker2", below=f"overlays/{other.name}")[
                "spec"
            ]["mirrors"]
            if mirror["source"]["alias"] == region.name
        }
        asked |= {each["advertisedHost"] for each in abroad["configuration"]["brokers"]}
        assert asked == told and len(told) == 5
