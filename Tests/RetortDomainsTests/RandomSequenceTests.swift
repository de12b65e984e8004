import Foundation
import RetortCore
import RetortProcesses
import RetortPython
import Testing

@testable import RetortDomains

/// Random work on the shop of `examples/shop-support`: what is left in forks against a plain Python interpreter.
@Suite("Random sequences of tools", .timeLimit(.minutes(60)))
struct RandomSequenceTests {
    private static let shop = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../examples/shop-support").standardizedFileURL

    /// So many sequences; RETORT_SEQUENCES asks for more.
    private static let count = ProcessInfo.processInfo.environment["RETORT_SEQUENCES"].flatMap(Int.init) ?? 20

    private struct Call {
        let name: String
        let arguments: JSONValue
    }

    @Test(
        "after attempts, discards, forks and commits, the winner's branch alone is left, as a plain interpreter has it")
    func sequences() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("retort-random-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let domain = try await FolderDomain(DomainPlan(Self.shop), keepingIndexIn: folder)
        let pool = Self.calls(of: domain.train + domain.tests)
        let root = try await domain.session(for: domain.tests[0], form: .json, tools: domain.hostTools) {
            throw PythonError.closed
        }
        var random = SeededGenerator(seed: 17, "sequences")
        var chosen: [[Call]] = []
        var seen: [JSONValue] = []
        for _ in 0..<Self.count {
            let (calls, observations, state) = try await Self.wander(from: root, pool, &random)
            chosen.append(calls)
            seen.append(["observations": .array(observations.map(JSONValue.string)), "state": state])
        }
        await root.close()
        await domain.close()
        let plain = try Self.plain(chosen, in: folder)
        #expect(plain.count == seen.count)
        for (number, (one, other)) in zip(seen, plain).enumerated() {
            #expect(one == other, "sequence \(number): \(chosen[number])")
        }
        let isChanged = seen.contains { $0["state"]?["orders"]?.object?.isEmpty == false }
        #expect(isChanged && seen.contains { $0["observations"]?.text.contains("Error") == true })
    }

    /// Some steps of random candidates in a branch of its own, one of which is chosen each time, with branches that go on
    /// elsewhere between them.
    private static func wander(
        from root: any Environment, _ pool: [Call], _ random: inout SeededGenerator
    ) async throws -> ([Call], [String], JSONValue) {
        var environment = try await root.fork()
        var calls: [Call] = []
        var observations: [String] = []
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            var candidates: [(Call, any Attempt)] = []
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                guard let call = pool.randomElement(using: &random) else { continue }
                let action = Action.toolCall(name: call.name, arguments: call.arguments)
                candidates.append((call, try await environment.attempt(action)))
            }
            if Bool.random(using: &random), let other = pool.randomElement(using: &random) {
                let branch = try await environment.fork()
                _ = try await branch.perform(.toolCall(name: other.name, arguments: other.arguments))
                await branch.close()
            }
            let winner = Int.random(in: 0..<candidates.count, using: &random)
            for (index, candidate) in candidates.enumerated() where index != winner { await candidate.1.discard() }
            let (observation, after) = try await candidates[winner].1.commit()
            environment = after
            calls.append(candidates[winner].0)
            observations.append(observation.text)
        }
        let state = try await environment.state() ?? .null
        await environment.close()
        return (calls, observations, state)
    }

    /// What the gold actions do, and what one would read for them, with arguments of others mixed in.
    private static func calls(of tasks: [AgentTask]) -> [Call] {
        let gold = tasks.flatMap { $0.metadata["actions"]?.array ?? [] }.compactMap { action -> Call? in
            guard let name = action["name"]?.string, let arguments = action["kwargs"] else { return nil }
            return Call(name: name, arguments: arguments)
        }
        var calls = gold
        for (call, other) in zip(gold, gold.dropFirst()) {
            if let order = call.arguments["order_id"] {
                calls.append(Call(name: "get_order_details", arguments: ["order_id": order]))
            }
            // Another's payment, or another's order: most are refused by the shop, some are not.
            var mixed = call.arguments.object ?? [:]
            for key in ["payment_method_id", "order_id"] where mixed[key] != nil {
                mixed[key] = other.arguments[key] ?? mixed[key]
            }
            calls.append(Call(name: call.name, arguments: .object(mixed)))
        }
        calls.append(Call(name: "calculate", arguments: ["expression": "(2 + 3) * 7.5"]))
        calls.append(Call(name: "transfer_to_human_agents", arguments: ["summary": "too much"]))
        return calls
    }

    private static let script = """
        import importlib.util, json, sys
        folder, asked = sys.argv[1:]
        specification = importlib.util.spec_from_file_location("tools", folder + "/tools.py")
        tools = importlib.util.module_from_spec(specification)
        sys.modules["tools"] = tools
        specification.loader.exec_module(tools)
        for line in open(asked, encoding="utf-8"):
            tools.setup({})
            seen = []
            for name, arguments in json.loads(line):
                try:
                    seen.append(getattr(tools, name)(**arguments))
                except Exception as error:
                    seen.append(f"{type(error).__name__}: {error}")
            print(json.dumps({"observations": seen, "state": tools.state()}))
        """

    /// The same calls, one after the other, in a Python without a fork.
    private static func plain(_ sequences: [[Call]], in folder: URL) throws -> [JSONValue] {
        let asked = folder.appendingPathComponent("asked.jsonl")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let lines = sequences.map { calls in
            ExactJSON.text(.array(calls.map { [.string($0.name), $0.arguments] })) + "\n"
        }
        try Data(lines.joined().utf8).write(to: asked)
        let process = Process()
        process.executableURL = URL(
            fileURLWithPath: try ProgramSearch.find(
                "python3", path: ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin"))
        process.arguments = ["-c", script, shop.path, asked.path]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return try data.split(separator: UInt8(ascii: "\n")).map { try ExactJSON.value(of: $0) }
    }
}
