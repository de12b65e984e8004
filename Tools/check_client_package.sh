#!/usr/bin/env bash
# Builds and runs examples/swift-app, an app that takes Retort by version from a git repository: this working tree, copied with a tag.
#
#     Tools/check_client_package.sh             resolve, build, run
#     Tools/check_client_package.sh --resolve   only look at which packages it fetches
#
# Fails when the app fetches a package that an app should not need, when its build uses this machine's libtorch or needs it, when the app
# links libtorch or its like, or when its answers are wrong. CLIENT_SCRATCH keeps the build between runs.
set -euo pipefail
cd "$(dirname "$0")/.."
swift=${SWIFT:-swift}
version=$(sed -n 's/.*version = "\(.*\)".*/\1/p' Sources/RetortCore/Retort.swift)
work=$(mktemp -d "${TMPDIR:-/tmp}/retort-client.XXXXXX")
trap 'rm -rf "$work"' EXIT
scratch=${CLIENT_SCRATCH:-$work/build}

# The packages that an app of RetortCore, RetortAgents and RetortRemote has no use for.
heavy='grdb|hummingbird|yams|bigint|mustache|argument-parser'

# A repository of the tree as it is, whose only version is the one that is tagged.
mkdir "$work/retort"
git ls-files -z --cached --others --exclude-standard -- Package.swift Sources Tests Tools Benchmarks |
    while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
    tar --null -T - -cf - | tar -C "$work/retort" -xf -
git -C "$work/retort" init -q
git -C "$work/retort" add -A
git -C "$work/retort" -c user.name=retort -c user.email=retort@localhost commit -qm "Retort $version"
git -C "$work/retort" tag "$version"

# The manifest is read where no libtorch is, as on an app's machine.
export LIBTORCH=$work/nowhere RETORT_URL=file://$work/retort
mkdir "$work/app"
cp -R examples/swift-app/Package.swift examples/swift-app/Sources "$work/app/"
app() { "$swift" "$1" --package-path "$work/app" --scratch-path "$scratch" "${@:2}"; }

app package resolve
python3 - "$work/app/Package.resolved" "$heavy" <<'PYTHON'
import json, re, sys
pins = sorted(pin["identity"] for pin in json.load(open(sys.argv[1]))["pins"])
unwanted = [name for name in pins if re.search(sys.argv[2], name)]
print(f"{len(pins)} packages: {' '.join(pins)}")
sys.exit(f"the app fetches what it should not need: {' '.join(unwanted)}" if unwanted else 0)
PYTHON
[ "${1:-}" != --resolve ] || exit 0

app build
binary=$(app build --show-bin-path)/ShopApp
# What it links itself: Swift's Foundation brings libraries of its own.
if command -v readelf >/dev/null && readelf -d "$binary" | grep NEEDED | grep -E 'torch|libpq|faiss|sqlite|python'; then
    echo "the app links what it should not need" >&2
    exit 1
fi
"$binary"
