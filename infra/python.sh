#!/bin/sh
# Runs a Python of version 3.11 or newer with the given arguments, from the checkout's folder, or says what to install.
set -eu
cd "$(dirname -- "$0")/.."

for python in python3 python3.14 python3.13 python3.12 python3.11; do
    # Run it: a name on the PATH may be a shim for a version that is not there.
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        exec "$python" "$@"
    fi
done

echo "Python 3.11 or newer is needed and was not found: install it (Debian, Ubuntu: apt install python3 python3-venv)" >&2
exit 1
