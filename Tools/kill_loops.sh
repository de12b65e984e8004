#!/usr/bin/env bash
# Kills a run of all loops with SIGKILL at ten random moments, lets it go on each time, and compares figures, trajectories and weights with
# those of an undisturbed run. Ends with code 1 when any of them differs; what seconds go into is not compared.
# Needs `make build`, or another binary in RETORT.
set -uo pipefail
cd "$(dirname "$0")/.."
retort=${RETORT:-.build/release/retort}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The recipe at a size that takes minutes.
sed -e 's/factual: [0-9]*/factual: '"${FACTUAL:-100}"'/; s/math: [0-9]*/math: '"${MATH:-150}"'/; s/tasks: [0-9]*/tasks: 10/' \
    -e 's/maxTokens: 1024/maxTokens: 1024\n    checkpointMinutes: 0/' recipes/loops.yaml >"$work/recipe.yaml"
run() { "$retort" run "$work/recipe.yaml" --folder "$work/$1" --json 2>>"$work/log"; }

begin=$SECONDS
run undisturbed >"$work/undisturbed.json" || { tail -5 "$work/log"; exit 1; }
length=$((SECONDS - begin))
echo "undisturbed: $length s"
kills=0
RANDOM=${SEED:-1}
while [ $kills -lt "${KILLS:-10}" ]; do
    run killed >"$work/killed.json" &
    shell=$!
    sleep $((1 + RANDOM % (length / 5 + 1)))
    if ! kill -0 "$shell" 2>/dev/null; then break; fi
    pkill -KILL -P "$shell" 2>/dev/null && kills=$((kills + 1))
    wait "$shell" 2>/dev/null
done
echo "killed $kills times"
run killed >"$work/killed.json" || { tail -5 "$work/log"; exit 1; }
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=Tools python3 - "$work" "$kills" <<'COMPARE'
import hashlib, json, pathlib, sys
from stored_runs import stored

work, kills = pathlib.Path(sys.argv[1]), int(sys.argv[2])
runs = [work / name for name in ("undisturbed", "killed")]


def figures(run):
    cells = json.loads(run.with_suffix(".json").read_text())["cells"]
    return [{k: v for k, v in cell.items() if "econds" not in k} for cell in cells]


def weights(run):
    files = sorted(run.glob("checkpoints/*/*/*.safetensors"))
    return {str(file.relative_to(run)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


faults = []
if figures(runs[0]) != figures(runs[1]):
    faults.append("figures")
if weights(runs[0]) != weights(runs[1]):
    faults.append("weights")
if stored(runs[0])[0] != stored(runs[1])[0]:
    faults.append("trajectories")
print(f"{kills} kills, {len(weights(runs[0]))} trained students:", "different " + ", ".join(faults) if faults else "all the same")
sys.exit(1 if faults or kills == 0 else 0)
COMPARE
