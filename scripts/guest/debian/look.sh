# SPDX-License-Identifier: GPL-2.0
# What preflight says about this boot, nothing else. The host says what it must be.

PREFLIGHT=/mnt/preflight
# shellcheck disable=SC2086
preflight_says "preflight/$LOOK" $WANT
[ -z "$NAMES" ] || preflight_names "preflight/$LOOK-names" "$NAMES"
