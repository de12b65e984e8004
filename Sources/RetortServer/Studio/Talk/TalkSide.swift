import Foundation
import RetortCore
import RetortRecipes
import RetortStore

/// One agent's side of a talk: what it was asked, what it did, and what it is doing.
actor TalkSide {
    /// The most questions that are kept on the page.
    private static let mostPast = 20
    /// How much of the text being written is sent, in characters.
    private static let mostWriting = 8000

    nonisolated let name: String
    private let opening: Task<AgentTalk, any Error>
    private var past: [Trajectory] = []
    private var now: Trajectory?
    /// A question that has not begun because the agent is still being opened.
    private var pending: String?
    private var writing = ""
    private var fault: String?
    private var saved: String?
    private var work: Task<Void, Never>?
    /// Changes with everything except the text being written.
    private var version = 0
    private(set) var touched = ContinuousClock.now

    init(_ name: String, opening: Task<AgentTalk, any Error>) {
        self.name = name
        self.opening = opening
    }

    // MARK: What the page shows

    struct Look: Sendable {
        let version: Int
        let past: [Trajectory]
        let now: Trajectory?
        let pending: String?
        let writing: String
        let isBusy: Bool
        let fault: String?
        let saved: String?
    }

    var look: Look {
        Look(
            version: version, past: past, now: now, pending: pending, writing: writing, isBusy: work != nil,
            fault: fault, saved: saved)
    }

    // MARK: What people do

    /// Asks a question.
    /// - Throws: `AgentTalk.Refusal.busy`.
    func ask(_ question: String) throws {
        guard work == nil else { throw AgentTalk.Refusal.busy }
        if let now { past.append(now) }
        if past.count > Self.mostPast { past.removeFirst() }
        now = nil
        pending = question
        begin { talk in try await talk.ask(question) }
    }

    /// Goes back to a step and tries another way, or continues where the work was stopped.
    /// - Parameter step: counted from 1; nil continues.
    /// - Throws: `AgentTalk.Refusal.busy`.
    func goOn(from step: Int?, _ remark: String?) throws {
        guard work == nil else { throw AgentTalk.Refusal.busy }
        begin { talk in
            if let step { try await talk.back(to: step) }
            return try await talk.goOn(remark)
        }
    }

    func stop() { work?.cancel() }

    /// Saves the trajectory of the last question.
    func save(in folder: URL) async throws {
        guard work == nil else { throw AgentTalk.Refusal.busy }
        let talk = try await opening.value
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let store = try TrajectoryStore(folder.appendingPathComponent(StudioRun.storeName))
        saved = try await talk.save(in: store, set: "talk/\(talk.agent.title)")
        version += 1
    }

    func close() async {
        work?.cancel()
        await work?.value
        opening.cancel()
        if let talk = try? await opening.value { await talk.close() }
    }

    // MARK: Work

    private func begin(
        _ start: @escaping @Sendable (AgentTalk) async throws -> AsyncThrowingStream<RolloutEvent, any Error>
    ) {
        (writing, fault, saved) = ("", nil, nil)
        touch()
        work = Task {
            do {
                let talk = try await opening.value
                let events = try await start(talk)
                now = await talk.trajectory
                pending = nil
                touch()
                for try await event in events { await take(event, talk) }
                try Task.checkCancellation()
            } catch is CancellationError {
                fault = "stopped"
            } catch {
                fault = "\(error)"
            }
            if let talk = try? await opening.value { now = await talk.trajectory ?? now }
            (writing, work, pending) = ("", nil, nil)
            touch()
        }
    }

    private func take(_ event: RolloutEvent, _ talk: AgentTalk) async {
        switch event {
        case .text(let text): if writing.utf8.count < Self.mostWriting { writing += text }
        case .stepStarted: writing = ""
        case .stepFinished, .finished:
            writing = ""
            now = await talk.trajectory
            touch()
        }
    }

    private func touch() {
        version += 1
        touched = .now
    }
}
