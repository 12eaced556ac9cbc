#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Build the Debian package omniommu-dkms with Debian's own tools and look at it with lintian.
# The package is left in build/deb, and its name is the last line of the output.

set -eu
cd "$(dirname "$0")/.."

scripts/setup.sh --packages "building and checking the Debian package" \
	dpkg-dev debhelper dh-dkms lintian >&2

version=$(sed -n 's/^MODULE_VERSION("\(.*\)");$/\1/p' iommu_core.c)
packaged=$(dpkg-parsechangelog -S Version)
configured=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"$/\1/p' dkms.conf)
if [ "$packaged" != "$version" ] || [ "$configured" != "$version" ]; then
	echo "deb.sh: versions differ: iommu_core.c $version, dkms.conf $configured, debian/changelog $packaged" >&2
	exit 1
fi

# A copy, so that the tree stays as it is and nothing that was built gets in.
tree=build/deb/omniommu-$version
rm -rf build/deb
mkdir -p "$tree"
tar -c --exclude=./build --exclude=./.git --exclude='*.ko' --exclude='*.o' --exclude='*.mod' \
	--exclude='*.mod.c' --exclude='.*.cmd' --exclude=__pycache__ . | tar -x -C "$tree"
(cd "$tree" && dpkg-buildpackage --no-sign --build=binary) > build/deb/build.log 2>&1 || {
	tail -n 25 build/deb/build.log >&2
	echo "deb.sh: building the package failed; the whole log is build/deb/build.log" >&2
	exit 1
}
rm -rf "$tree"
deb=build/deb/omniommu-dkms_${version}_all.deb
lintian --allow-root --fail-on error,warning --tag-display-limit 0 "build/deb/omniommu_${version}_$(dpkg --print-architecture).changes" >&2
echo "$deb"
