#!/usr/bin/env bash
# Packs the source of what is committed, with the modules that it is built of, into bin/odarchive-source.tar.gz. The same commit and
# the same Go make the same bytes. Whoever has it builds odarchive without a network: go build -mod=vendor ./cmd/odarchive
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git archive --format=tar --prefix=odarchive-source/ HEAD | tar -x -C "$work"
"${GO:-go}" -C "$work/odarchive-source" mod vendor
mkdir -p bin
when=$(git log -1 --format=%ct)
tar --sort=name --mtime="@$when" --owner=0 --group=0 --numeric-owner --format=gnu -C "$work" -c odarchive-source | gzip -n -9 >bin/odarchive-source.tar.gz.part
mv bin/odarchive-source.tar.gz.part bin/odarchive-source.tar.gz
ls -l bin/odarchive-source.tar.gz
