import Foundation
import RetortCore
import RetortPython

/// 20,000 steps over 200 sessions, with programs that crash and processes that are killed from outside: afterwards as
/// many processes, descriptors and as much memory as before.
struct Soak {
    private let sessions = 200
    private let stepsEach = 100

    /// - Throws: `Failure` when something was left behind.
    func run() async throws {
        let python = try await PythonInterpreter(limits: PythonLimits(seconds: 2), requiring: .isolated)
        // Warm caches first, so that growth is growth.
        for _ in 0..<8 { try await Self.session(python, seed: 0, steps: 20) }
        let before = Self.census()
        let killer = Task {
            var generator = SystemRandomNumberGenerator()
            var kills = 0
            while !Task.isCancelled {
                try? await Task.sleep(for: .milliseconds(150))
                if let victim = Self.sessionProcesses().randomElement(using: &generator) {
                    kill(victim, SIGKILL)
                    kills += 1
                }
            }
            return kills
        }
        let start = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<sessions {
                if number >= 4 { try await group.next() }
                group.addTask { try await Self.session(python, seed: UInt64(number), steps: stepsEach) }
            }
            try await group.waitForAll()
        }
        let seconds = start.duration(to: .now) / .seconds(1)
        killer.cancel()
        let kills = await killer.value
        try await Task.sleep(for: .seconds(1))
        let after = Self.census()
        let rate = Double(sessions * stepsEach) / seconds
        print(
            "\(sessions * stepsEach) steps over \(sessions) sessions in \(Int(seconds)) s (\(Int(rate))/s), \(kills) kills"
        )
        print("before: \(before)\nafter:  \(after)")
        guard after.processes <= before.processes, after.descriptors <= before.descriptors + 4,
            after.megabytes <= before.megabytes * 1.5 + 20
        else { throw Failure() }
    }

    struct Failure: Error, CustomStringConvertible {
        var description: String { "something was left behind" }
    }

    private static func session(_ python: PythonInterpreter, seed: UInt64, steps: Int) async throws {
        var generator = SeededGenerator(seed: seed, "soak")
        let session = try await python.session()
        for step in 0..<steps {
            let program =
                switch Int.random(in: 0..<100, using: &generator) {
                case 0..<3: "import os\nos._exit(1)"
                case 3..<5: "import ctypes\nctypes.string_at(0)"
                case 5..<8: "raise ValueError"
                case 8..<10: "open('/tmp/f', 'a').write('x')"
                default: "n = \(step)\nprint(n * n)"
                }
            if step.isMultiple(of: 10) {
                let trials = [
                    try await session.attempt(.code(program)), try await session.attempt(.code("print(0)")),
                ]
                await trials[1].discard()
                _ = try await trials[0].commit()
            } else {
                _ = try await session.perform(.code(program))
            }
        }
        await session.close()
    }

    // MARK: What there is

    private struct Census: CustomStringConvertible {
        var processes: Int
        var descriptors: Int
        var megabytes: Double

        var description: String {
            "\(processes) session processes, \(descriptors) descriptors, \(Int(megabytes)) MB resident"
        }
    }

    private static func census() -> Census {
        let descriptors = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count) ?? 0
        let pages = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ")
        return Census(
            processes: sessionProcesses().count, descriptors: descriptors,
            megabytes: (pages.flatMap { Double($0[1]) } ?? 0) * 4096 / 1e6)
    }

    /// Processes two namespaces deep: those of sessions, the zygote not among them.
    private static func sessionProcesses() -> [pid_t] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { pid_t($0) }.filter { pid in
            let status = (try? String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)) ?? ""
            let numbers = status.split(separator: "\n").first { $0.hasPrefix("NSpid:") }?.split(separator: "\t")
            return numbers?.count == 4
        }
    }
}
