#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Test kernels, built from the distribution's linux-source-6.12.
#
#   scripts/kernels.sh plain|debug|lockstat|kcsan|arm64-plain|arm64-lockstat
#
# builds it if needed, and prints the build folder.
#
# A kernel is built once per source version, configuration and compiler, in
# ${XDG_CACHE_HOME:-~/.cache}/omniommu/kernels, and rebuilt when one changes.
set -euo pipefail
cd "$(dirname "$0")/.."

flavour=${1:?usage: scripts/kernels.sh plain|debug|lockstat|kcsan|arm64-plain|arm64-lockstat}
fragments=(kernels/plain.config)
packages=(linux-source-6.12 flex bison bc libelf-dev libssl-dev xz-utils gcc make ccache)
cc=gcc
arch=()
image=bzImage
case $flavour in
plain) ;;
debug|lockstat) fragments+=("kernels/$flavour.config") ;;
kcsan) fragments=(kernels/kcsan.config) ;;
arm64-plain|arm64-lockstat)
	fragments=(kernels/arm64-plain.config)
	[ "$flavour" = arm64-plain ] || fragments+=(kernels/lockstat.config)
	packages+=(gcc-aarch64-linux-gnu)
	cc=aarch64-linux-gnu-gcc
	arch=(ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu-)
	image=Image ;;
*) echo "no such test kernel: $flavour (plain, debug, lockstat, kcsan, arm64-plain or arm64-lockstat)" >&2; exit 2 ;;
esac

say() { echo "kernels: $*" >&2; }

scripts/setup.sh --packages "to build the $flavour test kernel" "${packages[@]}" >&2

source=/usr/src/linux-source-6.12.tar.xz
version=$(dpkg-query -W -f '${Version}' linux-source-6.12)
key=$({ echo "$version"; "$cc" --version | head -1; cat "${fragments[@]}"; } | sha256sum | cut -c1-16)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/omniommu/kernels
tree=$cache/source-$version
build=$cache/$flavour-$key

if [ -e "$build/.complete" ]; then
	touch "$build"
	echo "$build"
	exit 0
fi

mkdir -p "$cache"
exec 9> "$cache/.lock"
flock 9
if [ -e "$build/.complete" ]; then
	echo "$build"
	exit 0
fi

start=$(date +%s)
if [ ! -e "$tree/.unpacked" ]; then
	say "unpacking linux-source-6.12 $version"
	rm -rf "$cache"/source-*
	mkdir -p "$tree"
	tar -C "$tree" --strip-components=1 -xf "$source"
	touch "$tree/.unpacked"
fi

# Keep the build used last beside the new one, drop older ones of this flavour.
{ ls -dt "$cache/$flavour-"* 2>/dev/null || true; } | tail -n +2 | xargs -r rm -rf
rm -rf "$build"
mkdir -p "$build"
cat "${fragments[@]}" > "$build/fragments"
make -s -C "$tree" O="$build" "${arch[@]}" KCONFIG_ALLCONFIG="$build/fragments" allnoconfig > "$build/config.log" 2>&1 ||
	{ cat "$build/config.log" >&2; exit 1; }

# An option that was not honoured would make tests prove less than they say.
# A later fragment overrides an earlier one.
dropped=$(tac "$build/fragments" | awk -F= '/^CONFIG_/ && !seen[$1]++' |
	  while IFS= read -r line; do grep -qxF "$line" "$build/.config" || echo "  $line"; done)
if [ -n "$dropped" ]; then
	say "the $flavour configuration was not honoured:"
	echo "$dropped" >&2
	exit 1
fi

say "building the $flavour kernel $version: about 10 minutes on two processors, less with a warm ccache"
files=$(grep -c '=y$' "$build/.config")
log=$build/build.log
# By dependencies: half as slow on a miss as preprocessing everything twice.
CCACHE_DEPEND=1 make -C "$tree" O="$build" CC="ccache $cc" KBUILD_BUILD_TIMESTAMP=@0 -j"$(nproc)" "${arch[@]}" "$image" modules > "$log" 2>&1 &
pid=$!
while kill -0 $pid 2>/dev/null; do
	for _ in $(seq 30); do
		kill -0 $pid 2>/dev/null || break
		sleep 1
	done
	say "$(($(date +%s) - start)) s: $(grep -c '^  CC' "$log" || true) files compiled ($files options on)"
done
if ! wait $pid; then
	say "the build failed; the end of $log:"
	tail -20 "$log" >&2
	exit 1
fi
touch "$build/.complete"
say "the $flavour kernel took $(($(date +%s) - start)) s"
echo "$build"
