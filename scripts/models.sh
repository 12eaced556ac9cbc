#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Models of memory order, checked whole: the barrier pairs that the reach, device TLBs, the readers
# of page tables and the line at a queue's lock depend on, which no guest under TCG would miss. Each
# model has to hold as the driver is, and to fail with each fault that its file names.
#
# Usage: models.sh           a verdict a line, exit 1 if any is wrong

set -eu
cd "$(dirname "$0")/.."
scripts/setup.sh --packages "to check the models of memory order" spin gcc libc6-dev >&2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

verdict()	# verdict <holds|fails> <model> <flag>...
{
	want=$1 model=$2
	shift 2
	name="models/$model$(printf '%s' "$*" | sed 's/-D/\//g; s/ //g' | tr 'A-Z_' 'a-z-')"
	mkdir "$work/run"
	(
		cp test/order/memory.h "test/order/$model.pml" "$work/run"
		cd "$work/run"
		spin "$@" -a "$model.pml" >spin.log 2>&1 &&
			gcc -O0 -w -DSAFETY -o pan pan.c >>spin.log 2>&1 &&
			./pan -m100000 >pan.log 2>&1
	) || true
	# Only what was searched to the end holds; only a claim of the model's own fails.
	got=broken
	if grep -q 'assertion violated' "$work/run/pan.log" 2>/dev/null; then
		got=fails
	elif grep -q 'errors: 0$' "$work/run/pan.log" 2>/dev/null &&
	     ! grep -q 'max search depth too small\|Search not completed' "$work/run/pan.log"; then
		got=holds
	fi
	if [ $got = "$want" ]; then
		passed=$((passed + 1))
		echo "ok      $name: $got, $(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1 states/p' "$work/run/pan.log")"
	else
		failed=$((failed + 1))
		echo "FAILED  $name: $got, and not $want"
		cat "$work/run/spin.log" "$work/run/pan.log" 2>/dev/null | sed 's/^/        /'
	fi
	rm -rf "$work/run"
}

# Stores in order, as on x86; then in any order, as on arm64.
for order in "" -DWEAK; do
	verdict holds reach $order
	verdict fails reach $order -DNO_UNMAP_BARRIER
	verdict fails reach $order -DENTRY_FIRST
	verdict fails reach $order -DNARROW_FIRST
	verdict holds device $order
	verdict fails device $order -DNO_GRACE
	verdict fails device $order -DGRACE_FIRST
	verdict fails device $order -DDEVICE_FIRST
	verdict fails device $order -DLEFT_EARLY
	verdict holds watch $order
	verdict fails watch $order -DNO_READER_BARRIER
	verdict fails watch $order -DNO_FREE_BARRIER
	verdict fails watch $order -DKEEP_UNLOCKED
	verdict holds line $order
	verdict fails line $order -DNOBODY_HELPS
	verdict fails line $order -DSERVE_FIRST
	verdict fails line $order -DLOOK_LATE
done
# In order, the list can't come behind the entry: only the weaker order needs the barrier.
verdict holds reach -DNO_ATTACH_BARRIER
verdict fails reach -DWEAK -DNO_ATTACH_BARRIER
# Nor can a position come behind its ticket's release.
verdict holds line -DNO_RELEASE
verdict fails line -DWEAK -DNO_RELEASE

echo "$passed passed, $failed failed"
[ $failed = 0 ]
