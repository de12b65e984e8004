import ArgumentParser
import Foundation
import RetortCore
import RetortTesting
import RetortWorld

/// An OpenAI-compatible endpoint whose model is the micro-world's scripted teacher, or a fixed agent: what `--teacher` and
/// the benches are tried against. Prints its address, and runs until it is stopped. `GET /stats` tells what it did.
@main
struct ScriptedEndpoint: AsyncParsableCommand {
    @Option(help: "Where to listen; 0.0.0.0 is reached from other hosts.") var host = "127.0.0.1"
    @Option var port = 0
    @Option(help: "The world's seed, as in the recipe.") var world: UInt64 = 1
    @Option var people = 4000
    @Option var factual = 2200
    @Option var math = 2300
    @Option(help: "How many answers are faults, in 0…1.") var faults = 0.0
    @Option(help: "Which faults; all unless given.") var fault: [String] = []
    @Option(help: "Milliseconds for an answer.") var latency = 0.0
    @Option(help: "Requests worked on at once.") var slots = 1 << 20
    @Option var seed: UInt64 = 1
    @Option(help: "How often the teacher makes a wrong plan when it acts, in 0…1.") var agentSlip = 0.0
    @Option(help: "The same when it reasons.") var reasoningSlip = 0.0
    @Option(help: "How often it writes no program.") var unreadable = 0.0
    @Flag(help: "Answer like a fixed agent of so many steps instead of the teacher, without reading the chat.")
    var fixed = false
    @Option var steps = 3

    func run() async throws {
        let kinds = fault.isEmpty ? Fault.allCases : fault.compactMap(Fault.init(rawValue:))
        let options = FaultyEndpoint.Options(
            host: host, port: port, faults: kinds, faultRate: faults, latency: latency / 1000, slots: slots, seed: seed)
        let endpoint: FaultyEndpoint
        if fixed {
            let steps = steps
            endpoint = try await FaultyEndpoint(options) { Self.fixedAnswer($0, steps: steps) }
        } else {
            let model = teacher()
            endpoint = try await FaultyEndpoint(options) { try await CannedAnswer(of: model, to: $0) }
        }
        // Not through `print`, which keeps it back when a pipe is read.
        FileHandle.standardOutput.write(Data("\(endpoint.address)\n".utf8))
        try await Task.sleep(for: .seconds(86_400))
    }

    private func teacher() -> ScriptedTeacherModel {
        let world = World(seed: world, people: people)
        let questions = FactualQuestions(world, seed: self.world).items("train", count: factual)
        let problems = WordProblems(seed: self.world).items("train", count: math)
        return ScriptedTeacherModel(
            ScriptedTeacher(world: world, factual: questions, problems: problems),
            tasks: questions.map(\.task) + problems.map(\.task),
            noise: .init(agentSlip: agentSlip, reasoningSlip: reasoningSlip, unreadable: unreadable))
    }

    /// The chat's turns are counted in its bytes: the endpoint is to cost as little as it can.
    private static func fixedAnswer(_ request: ReceivedRequest, steps: Int) -> CannedAnswer {
        let text = String(decoding: request.body, as: UTF8.self)
        let turns = text.ranges(of: #""assistant""#).count
        return CannedAnswer(
            [
                turns + 1 < steps
                    ? "Thought: I compute the next value and look at it.\nCode:\n```py\nx = \(turns)\nprint(x)\n```"
                    : "Thought: That is the answer.\nCode:\n```py\nfinal_answer(42)\n```"
            ], parts: 8)
    }
}
