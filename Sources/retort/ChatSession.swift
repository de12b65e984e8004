import Foundation
import RetortCore
import RetortRecipes
import RetortStore

/// A chat in the terminal: reads lines, and shows what the agents do with them.
struct ChatSession {
    private let sides: [ChatSide]
    private let talks: URL

    init(_ sides: [ChatSide], talks: URL) {
        self.sides = sides
        self.talks = talks
    }

    /// Runs until the input ends or the user quits.
    /// - Throws: `CancellationError`, `StoreError`.
    func run() async throws {
        print(
            "\(sides.map(\.agent.title).joined(separator: " beside ")). Ask something; /help tells what else there is.")
        if let sample = sides[0].agent.sampleTask { print("For example: \(sample.question.shown(upTo: 300))") }
        var lines = TerminalLines().makeAsyncIterator()
        while let line = await Self.next(&lines) {
            let words = line.trimmingCharacters(in: .whitespaces)
            guard !words.isEmpty else { continue }
            do {
                guard try await take(words) else { return }
            } catch let refusal as AgentTalk.Refusal {
                print("\(refusal)")
            } catch let error as StoreError {
                print("\(error)")
            }
        }
    }

    private static func next(_ lines: inout AsyncStream<String>.Iterator) async -> String? {
        if isatty(STDIN_FILENO) == 1 {
            print("\n› ", terminator: "")
            StandardOutput.flush()
        }
        return await lines.next()
    }

    /// - Returns: whether the chat continues.
    private func take(_ line: String) async throws -> Bool {
        guard line.hasPrefix("/") else {
            try await each { try await $0.ask(line) }
            return true
        }
        let parts = line.dropFirst().split(separator: " ", maxSplits: 2).map(String.init)
        switch parts.first {
        case "quit", "exit", "q": return false
        case "back":
            guard parts.count > 1, let step = Int(parts[1]) else {
                print("say which step, such as /back 2")
                return true
            }
            let remark = parts.count > 2 ? parts[2] : nil
            try await each { talk in
                try await talk.back(to: step)
                return try await talk.goOn(remark)
            }
        case "go":
            let remark = parts.count > 1 ? parts.dropFirst().joined(separator: " ") : nil
            try await each { try await $0.goOn(remark) }
        case "save": try await save()
        default: print(Self.help)
        }
        return true
    }

    private static let help = """
        A line asks something. Ctrl-C stops the work.
          /back N [words]   back to before step N, and another way from there, after these words
          /go [words]       go on where it was stopped
          /save             keep it as a trajectory
          /quit             end (so does Ctrl-D)
        """

    /// Lets each agent do something, one after the other.
    private func each(
        _ action: (AgentTalk) async throws -> AsyncThrowingStream<RolloutEvent, any Error>
    ) async throws {
        for side in sides {
            if sides.count > 1 { print("\n── \(side.agent.title) ──") }
            let events = try await action(side.talk)
            let work = Task { try await StepPrinter(numbers: true).show(events) }
            // Ctrl-C ends the agent's work, not the program.
            let answer = await InterruptHandler.shared.pausing {
                work.cancel()
            } during: {
                await work.result
            }
            switch answer {
            case .success: break
            case .failure(is CancellationError): print("\nstopped; /go goes on, /back N takes another way")
            case .failure(let error): print("\n\(error)")
            }
        }
    }

    private func save() async throws {
        try FileManager.default.createDirectory(at: talks, withIntermediateDirectories: true)
        let store = try TrajectoryStore(talks.appendingPathComponent("trajectories.sqlite"))
        for side in sides {
            let set = "talk/\(side.agent.title)"
            print("saved in \(talks.path) as \(set) \(try await side.talk.save(in: store, set: set))")
        }
    }
}

/// The lines that the user types, read on a separate thread, so that waiting for one does not block other work.
struct TerminalLines: AsyncSequence {
    typealias Element = String

    func makeAsyncIterator() -> AsyncStream<String>.Iterator {
        AsyncStream { continuation in
            Thread.detachNewThread {
                while let line = readLine() { continuation.yield(line) }
                continuation.finish()
            }
        }.makeAsyncIterator()
    }
}
