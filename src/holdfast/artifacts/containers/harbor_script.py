"""The script that brings a Harbor to the state of the rendered bodies."""

from __future__ import annotations

import shlex

_HEAD = """#!/usr/bin/env bash
# Usage: HARBOR_NETRC=FILE [HARBOR_URL=https://...] [HARBOR_SECRETS=DIR] apply.sh [--dry-run]
#   HARBOR_NETRC    netrc file of an administrator, mode 0600: no password on a command line
#   HARBOR_SECRETS  directory, mode 0700: secrets of new robots are written there, and
#                   REGION.user and REGION.secret are read there for the registries of regions
set -euo pipefail
cd "$(dirname "$0")"
"""

_CALLS = """
url="${HARBOR_URL:-https://$registry}/api/v2.0"
secrets="${HARBOR_SECRETS:-.secrets}"
dry=false
[[ "${1:-}" == --dry-run ]] && dry=true
: "${HARBOR_NETRC:?a netrc file with the administrator of $url}"
umask 077

call() { # METHOD PATH [curl options]: the body of the answer; fails on 4xx and 5xx
  local method="$1" path="$2"
  shift 2
  if $dry && [[ "$method" != GET ]]; then
    echo "would $method $path" >&2
    return 0
  fi
  curl --silent --show-error --fail-with-body --retry 3 --netrc-file "$HARBOR_NETRC" \\
    --request "$method" --header 'Content-Type: application/json' "$@" "$url$path"
}

send() { # METHOD PATH: the body comes from standard input
  call "$1" "$2" --data-binary @- >/dev/null
}
"""

_PROJECT = """
found=$(call GET "/projects?name=$project" | jq --arg name "$project" \\
  'map(select(.name == $name)) | .[0] // empty')
if [[ -z "$found" ]]; then
  send POST /projects <project.json
  found=$(call GET "/projects?name=$project" | jq --arg name "$project" \\
    'map(select(.name == $name)) | .[0] // empty')
else
  jq 'del(.storage_limit)' project.json | send PUT "/projects/$(jq .project_id <<<"$found")"
fi
id=$(jq '.project_id // 0' <<<"${found:-{\\}}")
"""

_ROBOTS = """
for file in robot-*.json; do
  name=$(jq --raw-output .name "$file")
  robot=$(call GET "/robots?q=Level%3Dproject%2CProjectID%3D$id&page_size=100" |
    jq --raw-output --arg name "$name" 'map(select(.name | endswith("+" + $name))) | .[0] // empty')
  if [[ -z "$robot" ]]; then
    mkdir -p "$secrets"
    answer=$(call POST /robots --data-binary @"$file")
    # The only time Harbor tells it.
    [[ -z "$answer" ]] || jq --join-output .secret <<<"$answer" >"$secrets/$name"
  else
    jq --argjson robot "$robot" '. + {name: $robot.name}' "$file" |
      send PUT "/robots/$(jq .id <<<"$robot")"
  fi
done
"""

_RETENTION = """
retention=$(jq --raw-output '.metadata.retention_id // empty' <<<"${found:-{\\}}")
body=$(jq --argjson id "$id" '.scope.ref = $id' retention.json)
if [[ -z "$retention" ]]; then
  send POST /retentions <<<"$body"
else
  jq --argjson id "$retention" '. + {id: $id}' <<<"$body" | send PUT "/retentions/$retention"
fi

rules=$(call GET "/projects/$id/immutabletagrules" || $dry)
if ! jq --exit-status --slurpfile mine immutable.json \\
  'any(.[]; .scope_selectors == $mine[0].scope_selectors)' <<<"${rules:-[]}" >/dev/null; then
  send POST "/projects/$id/immutabletagrules" <immutable.json
fi

if [[ -z "$(call GET /system/scanAll/schedule | jq '.schedule.cron // empty')" ]]; then
  send POST /system/scanAll/schedule <scan-schedule.json
else
  send PUT /system/scanAll/schedule <scan-schedule.json
fi
"""

_REPLICAS = """
of_name() { # NAME: the id of the entry of that name in a list on standard input, if any
  jq --raw-output --arg name "$1" 'map(select(.name == $name)) | .[0].id // empty'
}

for region in $(jq --raw-output '.[].name' registries.json); do
  body=$(jq --arg region "$region" --rawfile user "$secrets/$region.user" \\
    --rawfile secret "$secrets/$region.secret" \\
    'map(select(.name == $region)) | .[0] + {credential: {type: "basic",
       access_key: ($user | rtrimstr("\\n")),
       access_secret: ($secret | rtrimstr("\\n"))}}' registries.json)
  target=$(call GET "/registries?q=name%3D$region" | of_name "$region")
  if [[ -z "$target" ]]; then
    send POST /registries <<<"$body"
    target=$(call GET "/registries?q=name%3D$region" | of_name "$region")
  else
    jq '{name, description, url, insecure, credential_type: "basic",
         access_key: .credential.access_key, access_secret: .credential.access_secret}' \\
      <<<"$body" | send PUT "/registries/$target"
  fi
  body=$(jq --argjson id "${target:-0}" --arg name "$service-$region" \\
    'map(select(.name == $name)) | .[0] + {dest_registry: {id: $id}}' replications.json)
  name=$(jq --raw-output .name <<<"$body")
  policy=$(call GET "/replication/policies?q=name%3D$name" | of_name "$name")
  if [[ -z "$policy" ]]; then
    send POST /replication/policies <<<"$body"
  else
    send PUT "/replication/policies/$policy" <<<"$body"
  fi
done
"""


def script(project: str, registry: str, service: str = "") -> str:
    """bash with curl and jq; ``service``: whose images other regions have copies of."""
    told = f"project={shlex.quote(project)}\nregistry={shlex.quote(registry)}\n"
    told += f"service={shlex.quote(service)}\n" if service else ""
    last = _REPLICAS if service else ""
    return "".join((_HEAD, told, _CALLS, _PROJECT, _ROBOTS, _RETENTION, last))
