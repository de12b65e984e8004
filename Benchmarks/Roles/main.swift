import Foundation
import RetortAgents
import RetortCore
import RetortLLM
import RetortWorld

/// Memory and time of an agent of three roles over one backbone, beside the single model's, as JSON.
///
///     roles-bench single FOLDER TASKS
///     roles-bench roles BASE PLANNER CALLER SUMMARIZER TASKS    three PEFT adapters of one base
///
/// With `grammar` in front, outputs are held to the roles' grammars.
///
/// Each way runs in a process of its own, one task after the other, so that its peak of memory is its own.
let isHeld = CommandLine.arguments.dropFirst().first == "grammar"
let arguments = Array(CommandLine.arguments.dropFirst(isHeld ? 2 : 1))
let constraint = isHeld ? OutputConstraint.grammar : .free
guard let tasks = arguments.last.flatMap(Int.init), let policy = try policy(arguments.dropLast()) else {
    print("roles-bench [grammar] single FOLDER TASKS\nroles-bench [grammar] roles BASE PLANNER CALLER SUMMARIZER TASKS")
    exit(2)
}
let world = World(seed: 1, people: 400)
let backend = try APIBackend(world)
let items = try APITasks(world, seed: 1).items("in", count: tasks)
var steps = 0
var usage = Usage()
for item in items {
    let rollout = Rollout(policy: policy, maximumSteps: 5) {
        APISession(backend, offered: item.task.tools.map(\.name))
    }
    let run = try await rollout.trajectory(for: item.task)
    steps += run.steps.count
    usage = usage + run.usage
}
let count = Double(max(steps, 1))
print(
    """
    {"peakMiB": \(peakMiB()), "steps": \(steps), "secondsPerStep": \(usage.seconds / count), \
    "tokensPerStep": \(Double(usage.completionTokens) / count), \
    "secondsPerToken": \(usage.seconds / Double(max(usage.completionTokens, 1)))}
    """)

func policy(_ arguments: ArraySlice<String>) throws -> (any Policy)? {
    let folders = arguments.dropFirst().map { URL(fileURLWithPath: $0) }
    switch (arguments.first, folders.count) {
    case ("single", 1):
        let model = try LocalModel(folder: folders[0], options: .init(prefixTokens: 1 << 14))
        return ToolAgent(model: RoleModel(model), constraint: constraint, maximumTokens: 96)
    case ("roles", 4):
        let names = ["planner", "caller", "summarizer"]
        let adapters = Dictionary(uniqueKeysWithValues: zip(names, folders.dropFirst()))
        let model = try LocalModel(folder: folders[0], options: .init(adapters: adapters, prefixTokens: 1 << 14))
        return RolePolicy(
            planner: RoleModel(model, adapter: names[0]), caller: RoleModel(model, adapter: names[1]),
            summarizer: RoleModel(model, adapter: names[2]), constraint: constraint,
            maximumTokens: 96)
    default: return nil
    }
}

/// The most memory this process has held, in MiB.
func peakMiB() -> Int {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") } ?? ""
    return (Int(line.filter(\.isNumber)) ?? 0) / 1024
}
