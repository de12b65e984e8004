import ArgumentParser
import Foundation
import RetortCore
import RetortRecipes

/// `retort ask`
struct AskCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ask", abstract: "Let a distilled agent answer a question, and watch it work.",
        discussion: """
            The agent is the student of a finished run, with the run's own search and interpreter. Without a question, \
            one of the run's out-of-domain test questions is taken.

              retort ask
              retort ask "Where was the author of … born?" --run runs/quickstart --votes 8
            """)

    @Argument(help: "The question.") var question: String?
    @Option(help: "The run's folder.") var run: String = "runs/quickstart"
    @Option(help: "Which student, by name; the last one unless given.") var student: String?
    @Option(help: "Sample so many actions a step and let them vote; 1 is greedy.") var votes: Int = 1

    @OptionGroup var engine: EngineOptions
    @OptionGroup var sandbox: SandboxOptions

    func validate() throws {
        guard (1...64).contains(votes) else { throw ValidationError("--votes must be 1 to 64") }
    }

    func run() async throws {
        let agent = try await DistilledAgent(
            run: URL(fileURLWithPath: run), student: student, votes: votes,
            options: engine.options(prefixTokens: 1 << 15), requiring: sandbox.required)
        let task = question.map(agent.task) ?? agent.sampleTask
        print("Question: \(task.question)\n")
        for try await event in agent.rollout.run(task) {
            switch event {
            case .stepStarted(let index): if index > 0 { print() }
            case .text(let text):
                print(text, terminator: "")
                try? FileHandle.standardOutput.synchronize()
            case .stepFinished(let step): show(step)
            case .finished(let trajectory):
                print("\nAnswer: \(trajectory.answer ?? "none")")
                if case .failed(let reason) = trajectory.ending { throw AskError.failed(reason) }
            }
        }
    }

    private func show(_ step: Step) {
        if !step.candidates.isEmpty {
            print("Thought: \(step.thought)\nCode:\n\(step.action.code ?? "")")
            print("[\(step.candidates.map { String($0.votes) }.joined(separator: " ")) votes]", terminator: "")
        }
        if !step.observation.text.isEmpty { print("\nObservation:\n\(step.observation.text)") }
    }
}

/// A question that could not be worked on.
enum AskError: Error, CustomStringConvertible {
    case failed(String)

    var description: String {
        switch self {
        case .failed(let reason): "the run broke: \(reason)"
        }
    }
}
