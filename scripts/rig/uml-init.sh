#!/bin/bash
# The first process inside User Mode Linux, whose root is the host's own root folder, read-only. What is written stays in
# memory. Kernel command line: payload=FOLDER, whose run.sh is run from a copy.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C
mount -t proc proc /proc
payload=$(sed -n 's/.*payload=\([^ ]*\).*/\1/p' /proc/cmdline)
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs run /run
mount -t tmpfs shm /dev/shm
mkdir -p /run/lock /run/payload /run/modules/lib/modules /run/iscsi
cp -a "$payload"/. /run/payload/ # before /tmp is hidden
# The initiator's own configuration, in memory.
cp /etc/iscsi/*.conf /run/iscsi/ 2>/dev/null
mount -t tmpfs none /etc/iscsi
cp /run/iscsi/* /etc/iscsi/
echo InitiatorName=iqn.2025-01.org.odarchive.test:uml >/etc/iscsi/initiatorname.iscsi
sed -i 's/^iscsid.startup/#&/' /etc/iscsi/iscsid.conf
mount -t tmpfs none /var/lib/iscsi 2>/dev/null
mount -t tmpfs tmp /tmp
hostname uml
ip link set lo up
ln -sf /proc/self/fd /dev/fd
ln -s "/usr/lib/uml/modules/$(uname -r)" /run/modules/lib/modules/
for module in sg sr_mod ch iscsi_tcp udf isofs; do
  modprobe -d /run/modules "$module" || echo "rig: no module $module"
done
/lib/systemd/systemd-udevd --daemon 2>/dev/null
cd /run/payload && ./run.sh </dev/null
echo "GUEST run.sh rc=$?"
busybox poweroff -f
