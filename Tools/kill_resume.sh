#!/usr/bin/env bash
# Kills a run with SIGKILL in the middle of five stages, lets it go on each time, and compares its figures with those of
# an undisturbed run. Ends with code 1 when any figure but the seconds differs. Needs `make build`; takes two minutes.
set -uo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/recipe.yaml" <<'RECIPE'
name: kill
seed: 7
domain: {world: {seed: 1, people: 400, passages: 2, train: {factual: 120, math: 120}}}
students: [{name: 3m, base: seedlings/3m}]
training:
  cot: {epochs: 1, learningRate: 1.5e-3, rowTokens: 2048, checkpointMinutes: 0}
  agent: {epochs: 2, learningRate: 1.5e-3, rowTokens: 2048, checkpointMinutes: 0}
evaluation: {systems: [cot, agent, agent+sag], tasks: 15, maxTokens: 160, concurrency: 24, sag: {samples: 4}}
RECIPE
run() { .build/release/retort run "$work/recipe.yaml" --folder "$work/$1" --json 2>>"$work/log"; }

run undisturbed >"$work/undisturbed.json" || { cat "$work/log"; exit 1; }
for stage in teach/agent train/3m/cot train/3m/agent evaluate/3m/agent evaluate/3m/agent+sag; do
    run killed >/dev/null &
    shell=$!
    for _ in $(seq 300); do
        sleep 0.2
        python3 - "$work/killed/manifest.json" "$stage" 2>/dev/null <<'BEGUN' && break
import json, sys
sys.exit(json.load(open(sys.argv[1]))["stages"].get(sys.argv[2], {}).get("state") != "running")
BEGUN
    done
    sleep 1.5
    pkill -KILL -P "$shell" 2>/dev/null && echo "killed during $stage"
    wait "$shell" 2>/dev/null
done
run killed >"$work/killed.json" || { cat "$work/log"; exit 1; }
python3 - "$work/undisturbed.json" "$work/killed.json" <<'COMPARE'
import json, sys
first, second = ([{k: v for k, v in c.items() if k != "seconds"} for c in json.load(open(f))["cells"]] for f in sys.argv[1:])
print("the figures are", "the same" if first == second else "NOT the same")
sys.exit(first != second)
COMPARE
