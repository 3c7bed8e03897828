#!/usr/bin/env bash
# Installs the system packages of lxcpy: the one list of them.
#
#   provision.sh run    what lxcpy needs
#   provision.sh test   also what its tests need
#
# For Debian 12 and 13, Ubuntu 22.04 and 24.04; needs root only when a package is missing. It may be
# run at any time and again: what is there already is left alone, without a question to the network.
set -euo pipefail

run_packages=(
    lxc iproute2 nftables
    mount util-linux
    busybox-static tini
    xz-utils zstd gzip bzip2
    curl ca-certificates
    python3 python3-venv
)
test_packages=(
    shellcheck
    podman crun runc skopeo debootstrap # interchange is tested against the real tools
    strace
    gcc libc6-dev # lxcpy-init, for this machine
    gcc-aarch64-linux-gnu qemu-user-static # and for the other one
)

usage() {
    echo "usage: $0 run|test" >&2
    exit 2
}

# Ubuntu 22.04's own Python is 3.10; its 3.11 is a package beside it.
add_newer_python() {
    local id version
    # shellcheck source=/dev/null
    id=$(. /etc/os-release && echo "${ID:-}")
    # shellcheck source=/dev/null
    version=$(. /etc/os-release && echo "${VERSION_ID:-}")
    if [ "$id $version" = "ubuntu 22.04" ]; then
        wanted+=(python3.11 python3.11-venv)
    fi
}

is_installed() {
    local status
    status=$(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null) && [ "${status:1:1}" = i ]
}

find_missing() {
    local package
    for package in "${wanted[@]}"; do
        is_installed "$package" || missing+=("$package")
    done
}

install_missing() {
    echo "installing: ${missing[*]}"
    if [ "$(id -u)" -ne 0 ]; then
        echo "$0: run it as root (sudo), or install these packages yourself" >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -qq -y --no-install-recommends "${missing[@]}"
}

case "${1:-}" in
    run) wanted=("${run_packages[@]}") ;;
    test) wanted=("${run_packages[@]}" "${test_packages[@]}") ;;
    *) usage ;;
esac
missing=()
add_newer_python
find_missing
if [ "${#missing[@]}" -gt 0 ]; then
    install_missing
fi
