#!/bin/sh
# Finishes the root file system $1, whose packages were unpacked but not set up: it does what
# is of use of their setup, takes out the tools that only packages need, and writes down what
# is installed. $2: folder for our own Python packages, below the root.
set -eu
export LC_ALL=C
root=$1

cp "$root/usr/share/base-passwd/passwd.master" "$root/etc/passwd"
cp "$root/usr/share/base-passwd/group.master" "$root/etc/group"
cp "$root/usr/share/base-files/profile" "$root/etc/profile"
for place in base-files libc-bin; do
  file=$root/usr/share/$place/nsswitch.conf
  if [ -e "$file" ]; then cp "$file" "$root/etc/"; fi
done
[ -e "$root/bin/sh" ] || ln -s dash "$root/bin/sh"
[ -e "$root/usr/bin/awk" ] || ln -s mawk "$root/usr/bin/awk"
ln -sf /usr/share/zoneinfo/Etc/UTC "$root/etc/localtime"
echo Etc/UTC > "$root/etc/timezone"

# As ca-certificates does it: one bundle, and a link by name for each.
mkdir -p "$root/etc/ssl/certs"
: > "$root/etc/ssl/certs/ca-certificates.crt"
(cd "$root/usr/share/ca-certificates" && find . -name '*.crt' | sort) | while read -r file; do
  cat "$root/usr/share/ca-certificates/$file" >> "$root/etc/ssl/certs/ca-certificates.crt"
  ln -sf "/usr/share/ca-certificates/${file#./}" \
    "$root/etc/ssl/certs/$(basename "$file" .crt).pem"
done
chroot "$root" /usr/bin/openssl rehash /etc/ssl/certs 2> /dev/null

# What only dpkg needs, and openssl, which made the links above: nothing installs packages in
# an image that is shipped.
unneeded=' debconf debianutils dpkg libdebconfclient0 openssl perl-base '
status=$root/var/lib/dpkg/status
rm -rf "$root/var/lib/dpkg"
mkdir -p "$root/var/lib/dpkg"
for package in "$root"/var/cache/apt/archives/*.deb; do
  name=$(dpkg-deb --field "$package" Package)
  case $unneeded in
    *" $name "*)
      dpkg-deb --fsys-tarfile "$package" | tar --list | grep -v '/$' |
        while read -r file; do rm -f "$root/$file"; done ;;
    *)
      dpkg-deb --field "$package" | sed '1a Status: install ok installed' >> "$status"
      echo >> "$status" ;;
  esac
done
rm -rf "$root/usr/share/perl5" "$root/usr/share/debconf" "$root/usr/lib/dpkg" \
  "$root/etc/dpkg" "$root/etc/apt" "$root/var/lib/apt" "$root/var/cache/apt" \
  "$root/usr/share/lintian"
