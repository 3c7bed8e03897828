#!/bin/sh
# Mounts the root file system of web.
# LXC runs it as the container's pre-mount hook, in the container's own mount namespace.
# By hand, on another empty directory if you like:  unshare -m sh -c 'sh mount.sh TARGET; exec sh'
# Never while the container runs: two mounts must not share one writable branch.
set -eu
# LXC gives its hooks the environment of the payload, which is a stranger's.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
# util-linux 2.39 and later would use fsconfig(2), which cuts options at 256 bytes.
LIBMOUNT_FORCE_MOUNT2=always
export PATH LC_ALL LIBMOUNT_FORCE_MOUNT2
target=/var/lib/lxcpy/containers/0123456789ab/rootfs
if [ "$#" -gt 0 ]; then
    target=$1
fi
cd '/srv/it'"'"'s here'
mount -t aufs -o br:u=rw:a=ro+wh none "$target"
exec mount -o 'remount,append:$(b) `c`=ro+wh' "$target"
