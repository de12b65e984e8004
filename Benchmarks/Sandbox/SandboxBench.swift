import Foundation
import RetortAgents
import RetortCore
import RetortPython

/// Times the interpreter with every layer of the sandbox on; prints one JSON object of milliseconds, median and 95th
/// percentile. `Benchmarks/sandbox.py` runs it beside its peers.
@main
struct SandboxBench {
    static func main() async throws {
        if CommandLine.arguments.dropFirst().first == "soak" { return try await Soak().run() }
        if CommandLine.arguments.dropFirst().first == "steps" {
            return try await steps(of: CommandLine.arguments.dropFirst(2).first.flatMap { Int($0) } ?? 1)
        }
        let python = try await PythonInterpreter(requiring: .isolated, readySessions: 0)
        let pooled = try await PythonInterpreter(requiring: .isolated, readySessions: 4)
        var results: [String: Timing] = [:]
        results["session from the zygote"] = try await time(100) { try await python.session().close() }
        try await pooled.session().close()
        results["session from the ready pool"] = try await time(50) {
            // Sessions are taken one at a time, as an agent's questions come.
            try await Task.sleep(for: .milliseconds(40))
        } measured: {
            try await pooled.session().close()
        }
        let session = try await python.session()
        results["empty step"] = try await time(100, writing) { _ = try await session.perform(.code("pass")) }
        await session.close()
        for megabytes in [50, 500] {
            for kind in ["array", "objects"] {
                let heap = try await Heap(python, megabytes: megabytes, kind: kind)
                results["1 candidate, \(megabytes) MB of \(kind)"] = try await time(40, writing) {
                    try await heap.step(of: 1)
                }
                results["8 candidates, \(megabytes) MB of \(kind)"] = try await time(40, writing) {
                    try await heap.step(of: 8)
                }
                await heap.session.close()
            }
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        print(String(decoding: try encoder.encode(results), as: UTF8.self))
    }

    /// What lies between two steps: a model writes programs. Twenty tokens of half a billion parameters take longer here.
    @Sendable private static func writing() async throws { try await Task.sleep(for: .milliseconds(250)) }

    /// Steps of so many candidates alone, for a profiler.
    private static func steps(of count: Int) async throws {
        let heap = try await Heap(PythonInterpreter(requiring: .isolated), megabytes: 50, kind: "array")
        let timing = try await time(200, writing) { try await heap.step(of: count) }
        print("step of \(count): median \(timing.median) ms, p95 \(timing.p95) ms")
    }

    /// A session that holds data, and steps of candidates in it.
    struct Heap: Sendable {
        let session: PythonEnvironment

        init(_ python: PythonInterpreter, megabytes: Int, kind: String) async throws {
            session = try await python.session()
            let program =
                kind == "array"
                ? "import numpy\nheap = numpy.ones((\(megabytes) << 20) // 8)"
                // A dictionary entry of an integer and a short text weighs about 150 bytes.
                : "heap = {n: str(n) * 3 for n in range((\(megabytes) << 20) // 150)}"
            let observation = try await session.perform(.code(program))
            precondition(!observation.outcome.isFailure, observation.text)
        }

        /// Tries that many different programs concurrently and commits the first.
        func step(of count: Int) async throws {
            let trials = try await withThrowingTaskGroup(of: (any Attempt).self) { group in
                for number in 0..<count {
                    group.addTask { try await session.attempt(.code("y = \(number)\nprint(y)")) }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            for loser in trials.dropFirst() { await loser.discard() }
            _ = try await trials.first?.commit()
        }
    }

    struct Timing: Codable {
        var median: Double
        var p95: Double
    }

    static func time(
        _ count: Int, _ before: @Sendable () async throws -> Void = {}, measured body: @Sendable () async throws -> Void
    ) async throws -> Timing {
        var milliseconds: [Double] = []
        for _ in 0..<count {
            try await before()
            let start = ContinuousClock.now
            try await body()
            milliseconds.append(start.duration(to: .now) / .milliseconds(1))
        }
        milliseconds.sort()
        return Timing(median: milliseconds[count / 2], p95: milliseconds[min(count * 95 / 100, count - 1)])
    }

    static func time(_ count: Int, _ body: @Sendable () async throws -> Void) async throws -> Timing {
        try await time(count, {}, measured: body)
    }
}
