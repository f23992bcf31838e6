#!/bin/bash
# The first process of a User Mode Linux whose root is this machine's own, read-only. Mounts the image on /dev/ubda with both drivers
# and prints what they see, in base64 so that no name harms the console: for each file type, size, time, permissions, path; then
# hashes; then what the kernel said.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C
mount -t proc proc /proc
mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs run /run
mkdir -p /run/mod/lib/modules /run/m
ln -s "/usr/lib/uml/modules/$(uname -r)" /run/mod/lib/modules/
for m in udf isofs nls_utf8; do modprobe -d /run/mod "$m" || echo "modprobe $m failed"; done
limit=$(sed -n 's/.*hashbelow=\([0-9]*\).*/\1/p' /proc/cmdline)
for fs in udf iso9660; do
  mount -t "$fs" -o ro,iocharset=utf8 /dev/ubda /run/m || { echo "GUEST $fs mount failed"; continue; }
  cd /run/m || exit
  find . -printf '%y %s %T@ %m %P\0' | base64 -w 512 | sed "s/^/$fs-list:/"
  find . -type f -size "-${limit}c" -print0 | sort -z | xargs -0 sha256sum -z | base64 -w 512 | sed "s/^/$fs-sums:/"
  find . -type f -size "+${limit}c" -print0 | sort -z | while IFS= read -r -d '' f; do
    { tail -c 4096 "$f" | sha256sum | cut -c1-64 | tr '\n' ' '; printf '%s\0' "$f"; } 
  done | base64 -w 512 | sed "s/^/$fs-tails:/"
  cd /
  umount /run/m
done
dmesg | grep -iE 'udf|isofs|iso9660|I/O error' | sed 's/^/kernel:/'
echo "GUEST done"
busybox poweroff -f
