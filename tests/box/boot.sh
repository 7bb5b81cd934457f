#!/bin/sh
# Boots a real systemd in namespaces of its own: boot.sh STATE NAME SOURCE SHARE.
# Run as the first process of a PID namespace and a mount namespace of its own: with it, everything in the box ends.
# Its root is an overlay of this machine's, in memory: whatever is written vanishes with it.
set -eu
# Not that of whoever tests: with 077 nobody but root could enter the box's own root directory, D-Bus neither.
umask 022
state=$1
name=$2
source=$3
share=$4

# A cgroup of its own, so that several boxes, and what else runs here, do not meet.
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
    [ -e "$hierarchy/cgroup.procs" ] || continue
    mkdir -p "$hierarchy/$name"
    echo $$ >"$hierarchy/$name/cgroup.procs"
done

# nspawn leaves its marks there; they are nobody else's.
mkdir -p /run/systemd/nspawn
mount -t tmpfs -o mode=0755 tmpfs /run/systemd/nspawn
mount -t tmpfs -o size=4g,mode=0755 tmpfs "$state"
mkdir "$state/up" "$state/work" "$state/root" "$state/lower"
mount --bind / "$state/lower" # the root file system alone: no /proc, no /tmp of this machine
mount -t overlay overlay -o "lowerdir=$state/lower,upperdir=$state/up,workdir=$state/work" "$state/root"
root=$state/root
# Only what a service needs of a host; nothing else that is installed here is started.
printf '[Unit]\nRequires=basic.target dbus.service\nAfter=basic.target dbus.service\nAllowIsolate=yes\n' \
    >"$root/etc/systemd/system/box.target"
mkdir -p "$root/etc/systemd/journald.conf.d"
# A test asks the journal for what it has just caused.
printf '[Journal]\nRateLimitIntervalSec=0\nStorage=volatile\n' >"$root/etc/systemd/journald.conf.d/box.conf"
# Without a machine's id, as an image may be, a first boot would ask questions and start what presets name.
[ -s "$root/etc/machine-id" ] || tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
rm -rf "$root/opt/citadel" "$root/var/lib/citadel" "$root"/etc/systemd/system/citadel*
exec systemd-nspawn --quiet --directory="$root" --machine="$name" --register=no --keep-unit --private-network \
    --link-journal=no --bind-ro="$source:/src" --bind="$share:/share" --boot --console=pipe \
    systemd.unit=box.target systemd.log_target=journal systemd.show_status=no
