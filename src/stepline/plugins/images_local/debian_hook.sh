#!/bin/sh
# Finishes the root file system $1, whose packages are set up and which has apt, dpkg and pip.
# Its sources of packages are those of the machine that it runs on, in a folder that is mounted
# when it runs: nothing of any machine stays in it. $2: folder for our own Python packages.
set -eu
export LC_ALL=C
root=$1
own=/run/stepline/apt

# What stood in for the package of this name where the release has none.
if [ "$(chroot "$root" dpkg-query --showformat '${Version}' --show usr-is-merged)" = 1 ]; then
  chroot "$root" dpkg --purge usr-is-merged > /dev/null
fi

rm -f "$root"/etc/apt/sources.list.d/* "$root"/etc/apt/apt.conf.d/*mmdebstrap \
  "$root"/etc/apt/auth.conf.d/*
ln -sf $own/sources.list "$root/etc/apt/sources.list"
ln -s $own/apt.conf "$root/etc/apt/apt.conf.d/91machine"
cat > "$root/etc/apt/apt.conf.d/90stepline" <<END
Acquire::Languages "none";
Acquire::Retries "3";
APT::Sandbox::User "root";
DPkg::Use-Pty "0";
END
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/cache/debconf/*-old \
  "$root"/var/lib/dpkg/*-old "$root"/var/backups/*
mkdir -p "$root/var/lib/apt/lists/partial" "$root/var/cache/apt/archives/partial"

# What the slim base does not have is not installed here either.
cat > "$root/etc/dpkg/dpkg.cfg.d/stepline" <<END
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/info/*
path-exclude=/usr/share/lintian/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/man/*
path-exclude=/usr/lib/python3*/EXTERNALLY-MANAGED
END
# Services are not started while their packages are installed.
printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
