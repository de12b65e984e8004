import Foundation
import RetortCore
import RetortDomains
import RetortStore
import Synchronization
import Testing

@testable import RetortRecipes

/// Says what it is told to, one reply after the other, and notes what it was asked. The reply `wait` never comes.
private final class ScriptedTalker: LanguageModel, Sendable {
    let identity = "scripted"
    private let state: Mutex<(replies: [String], asked: [GenerationRequest])>

    init(_ replies: [String]) { state = Mutex((replies, [])) }

    var asked: [GenerationRequest] { state.withLock { $0.asked } }

    func stream(_ request: GenerationRequest) -> AsyncThrowingStream<GenerationEvent, any Error> {
        let reply = state.withLock { state in
            state.asked.append(request)
            return state.replies.isEmpty ? "nothing" : state.replies.removeFirst()
        }
        return AsyncThrowingStream { continuation in
            let work = Task {
                if reply == "wait" { try? await Task.sleep(for: .seconds(3600)) }
                continuation.yield(.text(sample: 0, reply))
                continuation.yield(.finished(sample: 0, Completion(text: reply, finish: .endOfTurn)))
                continuation.finish()
            }
            continuation.onTermination = { _ in work.cancel() }
        }
    }
}

@Suite("Talks with agents", .serialized, .timeLimit(.minutes(30)))
struct AgentTalkTests {
    private func turn(_ program: String) -> String { "Thought: I go on.\nCode:\n```python\n\(program)\n```" }

    private func talking(
        _ replies: [String], steps: Int = 8, _ body: (AgentTalk, ScriptedTalker, URL) async throws -> Void
    ) async throws {
        let bench = try AgentBench()
        defer { bench.remove() }
        try bench.writeDomain()
        let domain = try await FolderDomain(
            DomainPlan(bench.url.appendingPathComponent("desk")), keepingIndexIn: bench.elsewhere)
        let model = ScriptedTalker(replies)
        let agent = try Agent(
            prompting: model, in: domain, as: .code(.full), limits: .init(steps: steps, tokens: 400))
        let talk = try AgentTalk(agent)
        do {
            try await body(talk, model, bench.url)
        } catch {
            await talk.close()
            await agent.close()
            throw error
        }
        await talk.close()
        await agent.close()
    }

    /// Reads a talk's events to their end.
    @discardableResult
    private func all(_ events: AsyncThrowingStream<RolloutEvent, any Error>) async throws -> Trajectory? {
        var last: Trajectory?
        for try await event in events { if case .finished(let trajectory) = event { last = trajectory } }
        return last
    }

    @Test("going back finds the session as it was, and keeps what was tried as candidates")
    func back() async throws {
        let replies = [
            turn("x = 1\nprint(lend('B1'))"), turn("x += 1\nprint(lend('B2'))"), turn("final_answer(x)"),
            turn("print(x)"), turn("final_answer('other')"),
        ]
        try await talking(replies) { talk, model, _ in
            let first = try #require(try await all(talk.ask("Lend them.")))
            #expect(first.answer == "2" && first.state == ["B1": "out", "B2": "out"])
            try await talk.back(to: 2)
            #expect(await talk.trajectory?.steps.count == 1)
            let second = try #require(try await all(talk.goOn("Leave B2 alone.")))
            // Neither x nor the shelf knows of the way that was left.
            #expect(second.steps[1].observation.text.contains("1") && !second.steps[1].observation.text.contains("2"))
            #expect(second.answer == "other" && second.state == ["B1": "out", "B2": "in"])
            #expect(second.steps[1].remarks == ["Leave B2 alone."])
            #expect(second.steps[1].candidates.map(\.chosen) == [false, true])
            #expect(second.steps[1].candidates[0].action == .code("x += 1\nprint(lend('B2'))"))
            #expect(model.asked[3].messages.last?.text == "Leave B2 alone.")
            #expect(model.asked[3].sampling.temperature > 0 && model.asked[0].sampling.temperature == 0)
        }
    }

    @Test("what was stopped goes on from where it stood")
    func stop() async throws {
        try await talking([turn("x = 5"), "wait", turn("final_answer(x)")]) { talk, model, _ in
            let events = try await talk.ask("Begin.")
            let work = Task { try await all(events) }
            while model.asked.count < 2 { try await Task.sleep(for: .milliseconds(20)) }
            work.cancel()
            _ = await work.result
            #expect(await talk.trajectory?.ending == nil)
            #expect(try await all(talk.goOn())?.answer == "5")
        }
    }

    @Test("each question is worked on in a session of its own, and is saved under a name of its own")
    func questions() async throws {
        let replies = [
            turn("x = 1\nfinal_answer(x)"), turn("final_answer(x)"), turn("final_answer('x')"), turn("final_answer(1)"),
        ]
        try await talking(replies) { talk, _, folder in
            let store = try TrajectoryStore(folder.appendingPathComponent("talks.sqlite"))
            await #expect(throws: AgentTalk.Refusal.nothingAsked) { try await talk.save(in: store, set: "talk") }
            try await all(talk.ask("One?"))
            let first = try await talk.save(in: store, set: "talk")
            let other = try #require(try await all(talk.ask("Two?")))
            #expect(other.steps[0].observation.outcome.isFailure && other.answer == "x")
            _ = try await talk.save(in: store, set: "talk")
            try await all(talk.ask("One?"))
            let again = try await talk.save(in: store, set: "talk")
            #expect(first != again)
            #expect(
                try await store.entries(in: "talk").map(\.trajectory.task.question).sorted() == [
                    "One?", "One?", "Two?",
                ])
        }
    }

    @Test("what cannot be done is refused with the reason, and the talk goes on")
    func refusals() async throws {
        try await talking([turn("final_answer(1)")]) { talk, _, _ in
            await #expect(throws: AgentTalk.Refusal.nothingAsked) { try await talk.back(to: 1) }
            await #expect(throws: AgentTalk.Refusal.nothingAsked) { _ = try await talk.goOn() }
            try await all(talk.ask("One?"))
            await #expect(throws: AgentTalk.Refusal.ended) { _ = try await talk.goOn() }
            await #expect(throws: AgentTalk.Refusal.noStep(2, count: 1)) { try await talk.back(to: 2) }
            await #expect(throws: AgentTalk.Refusal.noStep(0, count: 1)) { try await talk.back(to: 0) }
            try await talk.back(to: 1)
            #expect(try await all(talk.ask("Three?"))?.steps.isEmpty == false)
        }
    }

    @Test("an agent whose steps are used up is asked for its answer")
    func forced() async throws {
        try await talking([turn("print(1)"), turn("final_answer('at last')")], steps: 1) { talk, _, _ in
            let trajectory = try await all(talk.ask("Go."))
            #expect(trajectory?.ending == .forced("at last"))
        }
    }
}
