#!/bin/sh
# Runs Python 3.11 or newer with the given arguments in the checkout's folder, or prints what to install.
# A Python that was compiled without optimizations, as pyenv does by default, takes 1.4 times as long (docs/performance.md).
# It is used only if the PATH has no other.
set -eu
cd "$(dirname -- "$0")/.."

any='import sys; sys.exit(sys.version_info < (3, 11))'
# The Pythons of distributions, under /usr, are optimized, but their CONFIG_ARGS do not show it.
optimized='import sys, sysconfig, venv, ensurepip
optimized = sys.base_prefix == "/usr" or "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
sys.exit(sys.version_info < (3, 11) or not optimized)'

for check in "$optimized" "$any"; do
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        IFS=:
        for folder in $PATH; do
            # The check runs the program: it may be a shim for a version that is not installed.
            if [ -x "$folder/$name" ] && "$folder/$name" -c "$check" >/dev/null 2>&1; then
                unset IFS
                exec "$folder/$name" "$@"
            fi
        done
        unset IFS
    done
done

echo "Python 3.11 or newer is needed and was not found: install it (Debian, Ubuntu: apt install python3 python3-venv)" >&2
exit 1
