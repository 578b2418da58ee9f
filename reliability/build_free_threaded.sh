#!/usr/bin/env bash
# Builds CPython without its global lock where none is packaged: 3.13 of Debian's sources, configured with
# --disable-gil, some ten minutes on one core. Nothing of the system changes: apt reads lists of its own.
#
#     bash reliability/build_free_threaded.sh FOLDER      # then FOLDER/bin/python3.13t
#
# Needs a C compiler, make, and apt with the keys of Debian. MIRROR is the machine's own, if none is named.
set -euo pipefail

folder=$(realpath -m "${1:?usage: build_free_threaded.sh FOLDER}")
jobs=${JOBS:-1}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mirror=${MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' | grep -v security | sort -u | sed -n 1p)}
: "${mirror:=http://deb.debian.org/debian}"
mkdir -p "$work/lists" "$work/state"
key=/usr/share/keyrings/debian-archive-keyring.gpg
[ -e "$key" ] && signed="[signed-by=$key] " || signed=
echo "deb-src ${signed}$mirror trixie main" >"$work/sources.list"
private=(
    -o Dir::State::Lists="$work/lists"
    -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o Dir::Cache::pkgcache="$work/p" -o Dir::Cache::srcpkgcache="$work/s"
)
cd "$work"
apt-get -qq "${private[@]}" update
apt-get -qq "${private[@]}" source --download-only python3.13
mkdir source
tar -xf python3.13_*.orig.tar.[gx]z -C source --strip-components=1
cd source
./configure --quiet --disable-gil --prefix="$folder"
make -s -j "$jobs"
make -s install
"$folder/bin/python3.13t" -VV
