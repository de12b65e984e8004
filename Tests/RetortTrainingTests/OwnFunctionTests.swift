import Foundation
import RetortAgents
import RetortCore
import RetortLLM
import RetortRemote
import Testing

/// What docs/distil-your-own-function.md says is what happens.
@Suite("Distil your own function")
struct OwnFunctionTests {
    private let base = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("seedlings/1m")

    @Test("all of it runs: the teacher's work is collected and learned, and the student acts by itself")
    func distilled() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("student-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        // A few tasks of them all: a test build computes slowly.
        let all = try tasks()
        let (seen, unseen) = (Array(all.seen.prefix(4)), Array(all.unseen.prefix(1)))
        // snippet: All of it
        let losses = try train(on: await collect(seen), from: base, to: folder)
        let right = try await solved(unseen, by: folder)
        print("loss \(losses.first ?? 0) to \(losses.last ?? 0); \(right) of \(unseen.count) questions solved")
        // end snippet
        let (first, last) = try (#require(losses.first), #require(losses.last))
        #expect(last < first)
        let acted = try await agent(LocalModel(folder: folder), studentView).trajectories(for: unseen)
        #expect(acted.allSatisfy { !$0.steps.isEmpty && $0.ending != nil })
        for trajectory in acted {
            if case .failed(let reason) = trajectory.ending { Issue.record("\(reason)") }
        }
    }

    @Test("the base alone cannot, and the teacher's rule is right on every task")
    func before() async throws {
        let (seen, unseen) = try tasks()
        #expect(try await solved(Array(unseen.prefix(1)), by: base) == 0)
        #expect(try await collect(seen).count == seen.count)
        #expect(seen.allSatisfy { task in !unseen.contains { $0.question == task.question } })
    }

    @Test("a function's own error is what the agent observes")
    func refusal() async throws {
        let seen = try await ToolEnvironment([priceTool]).perform(
            .toolCall(name: "price", arguments: ["article": "sofa", "pieces": 2]))
        #expect(seen.text.contains("there is no 'sofa'"))
    }

    /// Compiled, and not called: no server is there.
    private func largeModel() throws -> any LanguageModel {
        // snippet: A large model
        let key = try APIKey(environment: "TEACHER_KEY")
        let teacher = try RemoteModel([Endpoint("https://api.example.com/v1", model: "large-model", key: key)])
        // end snippet
        return teacher
    }
}
