import Foundation
import RetortAgents
import RetortCore
import RetortPython
import RetortRemote
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// What orchestration costs: agents over an endpoint that takes its time, with programs that are only pretended to run, or
/// run in the sandbox. Arguments: address, tasks, concurrency, requests at once, `pretend` or `sandbox`, `stream` or `whole`.
@main
struct RolloutBench {
    struct Result: Codable {
        var tasks: Int
        var answered: Int
        var steps: Int
        var seconds: Double
        /// Of this process and the interpreters it started, in seconds.
        var cpuSeconds: Double
    }

    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 7, let tasks = Int(arguments[2]), let concurrency = Int(arguments[3]),
            let atOnce = Int(arguments[4])
        else {
            print("usage: rollout-bench ADDRESS TASKS CONCURRENCY REQUESTS pretend|sandbox stream|whole")
            exit(2)
        }
        let options = RemoteOptions(streams: arguments[6] == "stream")
        let model = try RemoteModel(
            [Endpoint(arguments[1], model: "canned", concurrency: atOnce)], options: options)
        let policy = CodeAgent(model: model, view: CodeAgentView(instructions: .full, tools: []))
        let python = arguments[5] == "sandbox" ? try await PythonInterpreter() : nil
        let rollout = Rollout(policy: policy, maximumSteps: 8) {
            if let python { try await python.session(tools: []) } else { PretendedPython() }
        }
        let jobs = (0..<tasks).map {
            RolloutJob(AgentTask(id: "\($0)", question: "What is \($0) doubled?", answers: [], family: .math))
        }
        let (start, cpu) = (ContinuousClock.now, cpuSeconds())
        let counts = Mutex((answered: 0, steps: 0))
        try await rollout.run(jobs, concurrency: concurrency) { done in
            counts.withLock { counts in
                counts.answered += done.count { $0.ending == .answered(42) }
                counts.steps += done.map(\.steps.count).reduce(0, +)
            }
        }
        let seconds = start.duration(to: .now) / .seconds(1)
        let (answered, steps) = counts.withLock { $0 }
        let result = Result(
            tasks: tasks, answered: answered, steps: steps, seconds: seconds, cpuSeconds: cpuSeconds() - cpu)
        print(String(decoding: try JSONCoding.encoder.encode(result), as: UTF8.self))
    }

    private static func cpuSeconds() -> Double {
        // RUSAGE_SELF and RUSAGE_CHILDREN, whose types differ between systems.
        [0, -1].map { (who: Int32) in
            var usage = rusage()
            getrusage(who, &usage)
            return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
                + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
        }.reduce(0, +)
    }
}

/// Answers a program that gives the final answer, and prints something for any other.
private struct PretendedPython: Environment {
    func perform(_ action: Action) async throws -> Observation {
        action.code?.contains("final_answer(") == true
            ? Observation(text: "", outcome: .final(42)) : Observation(text: "1", outcome: .success)
    }

    func fork() async throws -> any Environment { self }

    func close() async {}
}
