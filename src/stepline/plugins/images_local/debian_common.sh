#!/bin/sh
# Makes what bases of all kinds have in common in the root file system $1. Nothing in it tells
# of the machine or of the time. $2: folder for our own Python packages, below the root.
set -eu
export LC_ALL=C
root=$1

for file in passwd group shadow; do
  case $file in
    passwd) line='task:x:10001:10001:task:/tmp:/bin/sh' ;;
    group) line='task:x:10001:' ;;
    shadow) line='task:*:10957:0:99999:7:::' ;;
  esac
  if [ -e "$root/etc/$file" ]; then
    # The day of a password's last change is the day of the build.
    [ $file != shadow ] || sed -i 's/^\([^:]*:[^:]*:\)[0-9]*:/\110957:/' "$root/etc/$file"
    echo "$line" >> "$root/etc/$file"
  fi
done
mkdir -p "$root/mnt" "$root/opt" "$root/tmp" "$root/usr/local/bin" "$root/var/tmp" "$root$2"
chmod 1777 "$root/tmp" "$root/var/tmp"

# Executors mount files of theirs over these.
for file in hostname hosts resolv.conf; do
  rm -f "$root/etc/$file"
  : > "$root/etc/$file"
done

# Licences stay.
find "$root/usr/share/doc" -mindepth 1 ! -type d ! -name copyright -delete
find "$root/usr/share/doc" -mindepth 1 -type d -empty -delete
rm -rf "$root"/usr/share/man/* "$root"/usr/share/info/* "$root"/usr/share/locale/* \
  "$root"/usr/share/lintian/* "$root"/usr/share/zoneinfo/right "$root"/usr/share/zoneinfo/posix \
  "$root"/usr/lib/x86_64-linux-gnu/gconv "$root"/usr/lib/python3*/EXTERNALLY-MANAGED
find "$root/var/log" -type f -delete
rm -rf "$root/etc/machine-id" "$root/var/lib/dbus/machine-id" "$root/etc/.pwd.lock" \
  "$root/etc/fstab"
rm -f "$root"/etc/passwd- "$root"/etc/group- "$root"/etc/shadow- "$root"/etc/gshadow- \
  "$root"/etc/subuid- "$root"/etc/subgid-

chroot "$root" /sbin/ldconfig
rm -f "$root/var/cache/ldconfig/aux-cache"

# Bytecode of the standard library, which holds whatever the time of its source is. A root that
# is read-only can never keep its own, and every task would compile what it imports.
find "$root/usr/lib" "$root/usr/share" -name __pycache__ -prune -exec rm -rf {} +
chroot "$root" /usr/bin/env PYTHONHASHSEED=0 /usr/bin/python3 -m compileall -q -j 1 \
  --invalidation-mode unchecked-hash \
  -x '/(test|tests|lib2to3|pydoc_data|idlelib)/|/_pydecimal.py$|/encodings/(big|cp[178]|euc|gb|h[pz]|iso|johab|k[oz]|mac|pt|shift|tis|palm)' \
  "/usr/lib/$3"
chroot "$root" /usr/bin/python3 -c \
  'import bz2, ctypes, json, lzma, sqlite3, ssl, uuid, zoneinfo; zoneinfo.ZoneInfo("UTC")'
