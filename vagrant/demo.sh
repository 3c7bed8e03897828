#!/usr/bin/env bash
# A guided tour of lxcpy with real containers, as root. It works in a place of its own (directories,
# bridge, firewall table) and removes all of it at the end, also after a failure.
set -eu

cd "$(dirname "$0")/.."
PATH=$PWD/.venv/bin:$PATH
if [ "$(id -u)" -ne 0 ]; then
    echo "$0: containers need root: sudo make demo" >&2
    exit 1
fi

place=$(mktemp -d /var/tmp/lxcpy-demo.XXXXXX)
export LXCPY_ROOT=$place/root LXCPY_RUNROOT=$place/run LXCPY_BRIDGE=lxcpydemo0

clean_up() {
    local status=$? container
    for container in $(lxcpy ps -aq 2>/dev/null); do
        lxcpy rm -f "$container" >/dev/null || true
    done
    ip link delete "$LXCPY_BRIDGE" 2>/dev/null || true
    nft delete table ip "lxcpy_$LXCPY_BRIDGE" 2>/dev/null || true
    rm -rf --one-file-system "$place"
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

tell() {
    printf '\n# %s\n' "$*"
}

# Show a command line, then run it; its status is this function's.
step() {
    printf '$ %s\n' "$1"
    eval "$1"
}

# The same, with text for its standard input.
feed() {
    printf '$ %s\n' "$1"
    printf '%s\n' "$2" | sed 's/^/    /'
    printf '%s\n' "$2" | eval "$1"
}

tell 'What is here'
step 'lxcpy version'
step 'lxcpy info'

tell 'A first image, made offline of the busybox of this host'
step 'lxcpy bootstrap busybox'
step 'lxcpy images'

tell 'A command in a throwaway container: own files, own processes, own network'
step 'lxcpy run --rm busybox echo hello'
step 'lxcpy run --rm busybox ps'
step 'lxcpy run --rm busybox ip -4 -o address show eth0'

tell 'Its exit code is yours'
step 'lxcpy run --rm busybox sh -c "exit 3" || echo "exit code $?"'

tell 'Work in a shell, by hand or as here from a pipe'
# shellcheck disable=SC2016  # the variable is for the script inside
feed 'lxcpy run -i --name work busybox sh' 'cat > /usr/bin/greet <<"END"
#!/bin/sh
echo "Hello, ${1:-nobody}, from $(hostname)"
END
chmod +x /usr/bin/greet
rm /bin/vi
greet shell'

tell 'What did that change? Added, Changed, Deleted'
step 'lxcpy diff work'

tell 'The change becomes an image, the image makes more containers'
step 'lxcpy commit -m "a greeting" -c "ENTRYPOINT [\"greet\"]" work greeter'
step 'lxcpy run --rm greeter world'
step 'lxcpy run --rm --hostname moon greeter earth'

tell 'A worker in the background; its output is collected'
step 'lxcpy run -d --name worker busybox sh -c "while :; do echo tick; sleep 1; done"'
sleep 2
step 'lxcpy logs worker'
step 'lxcpy exec worker ps'
step 'lxcpy ps'

tell 'To LXC it is an LXC container: no daemon stands between'
# shellcheck disable=SC2016  # step expands it
step 'lxc-ls -P $LXCPY_ROOT/containers --fancy --fancy-format NAME,STATE,PID,RAM'

tell 'The end'
step 'lxcpy kill worker'
step 'lxcpy wait worker'
step 'lxcpy ps -a'
step 'lxcpy images'
step 'lxcpy rm work worker'
step 'lxcpy rmi greeter busybox'
