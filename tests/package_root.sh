# shellcheck shell=bash
# A bare Debian, as a root of its own, for the scripts that try the packages in build/package. They run as root, and
# source this at their top. $root is the root; the array `enter` goes in front of a command so that it runs there.
set -euo pipefail
self=$(readlink -f "$0")
cd "$(dirname "$self")/.."
alone=(unshare --mount --propagation private --pid --fork --kill-child --mount-proc)
if [ "${1-}" != inside ]; then
  if ! "${alone[@]}" mount -t tmpfs tmpfs /mnt; then
    echo "skipped: nothing can be mounted here, so there can be no root of its own"
    exit 0
  fi
  # Mounts are seen by nobody else, and all processes end with this one.
  exec timeout --foreground --signal=KILL 1200 "${alone[@]}" "$self" inside
fi
results=$PWD/build/package
bare=$results/bare       # is kept, since fetching it takes a minute
fetched=$results/fetched # what apt has fetched

step() { printf '\n== %s (%d s)\n' "$*" "$SECONDS"; }
fail() {
  printf 'FAILED: %s\n' "$*" >&2
  exit 1
}
wait_until() { # COMMAND...: for at most 20 seconds
  local tries
  for ((tries = 0; tries < 200; tries++)); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    sleep 0.1
  done
  cat "$root/run/log" 2>/dev/null || true
  fail "waited in vain for: $*"
}

# --- the root ---------------------------------------------------------------------------------------------------------

release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
if [ ! -e "$bare/complete" ]; then
  step "fetching $release, from where this machine gets it"
  # shellcheck disable=SC2016
  mirror=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
    sed -n "s/^$release //p" | head -n 1)
  rm -rf "$bare"
  debootstrap --variant=minbase "$release" "$bare" "$mirror" || fail "debootstrap"
  touch "$bare/complete"
fi
root=$(mktemp -d)
remove_root() { umount --recursive --lazy "$root" && rmdir "$root"; }
trap remove_root EXIT
mount -t tmpfs -o mode=0755 tmpfs "$root"
cp -a "$bare/." "$root"
rm "$root/complete"
mkdir -p "$fetched/partial" "$root/clone/build/package"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs -o mode=0755 tmpfs "$root/run"
mount --bind "$fetched" "$root/var/cache/apt/archives"
mount --bind "$results" "$root/clone/build/package"
cp /etc/resolv.conf "$root/etc/resolv.conf"
install -m 755 /dev/stdin "$root/clone/dev" <<<'#!/bin/sh' # `./dev package` has been called by then

# --- commands in it ---------------------------------------------------------------------------------------------------

enter=(chroot "$root")
within() {
  "${enter[@]}" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}
quiet_apt='apt-get -qq -y -o APT::Install-Recommends=false -o APT::Keep-Downloaded-Packages=true -o Dpkg::Use-Pty=0'
apt() {
  # shellcheck disable=SC2086
  within $quiet_apt "$@"
}
apt_ours() { # FOLDER/PACKAGE...: those below build/package
  local name files=()
  for name in "$@"; do files+=("/clone/build/package/${name%/*}/$(basename "$results/$name"_*.deb)"); done
  apt install "${files[@]}"
}

# follow GUIDE HEADING: does what host/guides/GUIDE.md says there, word for word: writes its files, and runs its commands
# as a shell at the top of a clone does. $settle comes in front of each block of them.
settle=:
follow() {
  awk -v heading="$2" '
    !fenced && /^#+ / { inside = substr($0, index($0, " ") + 1) == heading }
    !inside { next }
    /^<!-- file: / { file = $3 }
    !/^```/ { if (fenced) print; next }
    !fenced { fenced = 1; print file ? "cat >" file " <<\"END OF FILE\"" : "settle"; next }
    { if (file) print "END OF FILE"; fenced = 0; file = "" }' "host/guides/$1.md" >"$root/clone/guide"
  [ -s "$root/clone/guide" ] || fail "the guide $1 has no commands there: $2"
  # shellcheck disable=SC2016
  within timeout 120 bash -euc 'quiet_apt=$1 settle=$2
    sudo() { "$@"; }
    apt-get() { command $quiet_apt "$@"; }
    settle() { { set +x; } 2>/dev/null; eval "$settle"; set -x; }
    cd /clone
    set -x
    . ./guide' follow "$quiet_apt" "$settle" || fail "the guide $1: $2"
}
