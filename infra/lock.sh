#!/bin/sh
# Writes the lock files: requirements/*.txt for Python 3.11 to 3.14 on Linux, and infra/kafka/jars.sha256.
# dev is resolved first and constrains the others, so all three have the same versions.
set -eu
cd "$(dirname -- "$0")/../requirements"

if ! command -v uv >/dev/null; then
    echo "uv is needed to write the locks: install it (pip install uv)" >&2
    exit 1
fi

lock() {
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-header --no-annotate --no-emit-index-url --no-emit-find-links "$@"
}

lock --upgrade dev.in -o dev.txt
lock native.in -c dev.txt -o native.txt
lock runtime.in -c dev.txt -o runtime.txt

cd ..
sh infra/python.sh -m infra.bootstrap lock-jars
