#!/usr/bin/env bash
# Kills a run with SIGKILL in the middle of five stages, lets it go on each time, and compares figures, trajectories and
# weights with those of an undisturbed run. Ends with code 1 when any of them differs; what seconds go into is not compared.
# Needs `make build`, or another binary in RETORT; takes five minutes on two cores.
set -uo pipefail
cd "$(dirname "$0")/.."
retort=${RETORT:-.build/release/retort}
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
run() { "$retort" run "$work/recipe.yaml" --folder "$work/$1" --json 2>>"$work/log"; }

# The state of a stage in the killed run.
state() {
    python3 - "$work/killed/manifest.json" "$1" 2>/dev/null <<'STATE'
import json, sys
print(json.load(open(sys.argv[1]))["stages"].get(sys.argv[2], {}).get("state"))
STATE
}

run undisturbed >"$work/undisturbed.json" || { cat "$work/log"; exit 1; }
kills=0
for stage in teach/agent train/3m/cot train/3m/agent evaluate/3m/agent evaluate/3m/agent+sag; do
    run killed >/dev/null &
    shell=$!
    # A slow machine may take minutes to come to a stage; a fast one may be through with it.
    for _ in $(seq 3000); do
        sleep 0.2
        now=$(state "$stage")
        if [ "$now" = running ] || [ "$now" = complete ] || ! kill -0 "$shell" 2>/dev/null; then break; fi
    done
    sleep 1.5
    now=$(state "$stage")
    if pkill -KILL -P "$shell" 2>/dev/null; then
        kills=$((kills + 1))
        echo "killed when $stage was $now"
    fi
    wait "$shell" 2>/dev/null
done
run killed >"$work/killed.json" || { cat "$work/log"; exit 1; }
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=Tools python3 - "$work" "$kills" <<'COMPARE'
import hashlib, json, pathlib, sys
from stored_runs import stored

work, kills = pathlib.Path(sys.argv[1]), int(sys.argv[2])
runs = [work / name for name in ("undisturbed", "killed")]


def figures(run):
    """The cells of a report without what seconds go into."""
    cells = json.loads(run.with_suffix(".json").read_text())["cells"]
    return [{key: value for key, value in cell.items() if not key.startswith("seconds")} for cell in cells]


def weights(run):
    return {str(file.relative_to(run)): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in run.rglob("model.safetensors")}


def told(name, first, second):
    """The keys under which two sides differ."""
    apart = [key for key in first.keys() | second.keys() if first.get(key) != second.get(key)]
    print(f"{name}: {len(first)}, " + (f"{len(apart)} NOT the same: {sorted(apart)[:5]}" if apart else "the same"))
    return bool(apart)


differ = [
    told("figures", *({f"{c['system']} {c['family']} {c['split']} {k}": v for c in figures(run) for k, v in c.items()}
                      for run in runs)),
    told("trajectories", *(stored(run)[0] for run in runs)),
    told("checkpoints", *(weights(run) for run in runs)),
]
if kills < 5:
    print(f"only {kills} of 5 kills came in time")
sys.exit(any(differ) or kills == 0)
COMPARE
