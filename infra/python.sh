#!/bin/sh
# Runs a Python of version 3.11 or newer with the given arguments, from the checkout's folder, or says what to install.
# One that was compiled without optimizations, as pyenv does unless told otherwise, takes 1.4 times as long for all that it
# does (docs/performance.md): it is used only where the PATH has no other.
set -eu
cd "$(dirname -- "$0")/.."

fit='import sys; sys.exit(sys.version_info < (3, 11))'
# Distributions optimize what they install under /usr, but do not say so in the arguments.
fast='import sys, sysconfig, venv, ensurepip
optimized = sys.base_prefix == "/usr" or "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
sys.exit(sys.version_info < (3, 11) or not optimized)'

for wanted in "$fast" "$fit"; do
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        IFS=:
        for folder in $PATH; do
            # Run it: a name on the PATH may be a shim for a version that is not there.
            if [ -x "$folder/$name" ] && "$folder/$name" -c "$wanted" >/dev/null 2>&1; then
                unset IFS
                exec "$folder/$name" "$@"
            fi
        done
        unset IFS
    done
done

echo "Python 3.11 or newer is needed and was not found: install it (Debian, Ubuntu: apt install python3 python3-venv)" >&2
exit 1
