import Foundation
import RetortCore
import RetortRecipes

/// A talk with one agent, or with two side by side.
struct Talk: Sendable {
    let id: String
    let sides: [TalkSide]
}

/// The opened agents and the talks with them.
actor OpenTalks {
    private let agents: @Sendable () -> [StudioAgent]
    private let most: Int
    private var opened: [String: Task<(agent: Agent, way: AgentWay), any Error>] = [:]
    private var talks: [Talk] = []

    init(_ agents: @escaping @Sendable () -> [StudioAgent], most: Int) {
        self.agents = agents
        self.most = most
    }

    nonisolated var names: [String] { agents().map(\.name) }

    var all: [Talk] { talks }

    /// Begins a talk. Agents that are not open yet are opened meanwhile.
    /// - Throws: `APIError` for an unknown agent.
    func begin(with names: [String]) async throws -> Talk {
        let known = agents()
        var sides: [TalkSide] = []
        for name in names {
            guard let agent = known.first(where: { $0.name == name }) else {
                throw APIError(
                    status: .notFound, code: "not_found", message: "there is no agent '\(name.shown(upTo: 200))' here")
            }
            let opening = open(agent)
            sides.append(
                TalkSide(
                    name,
                    opening: Task {
                        let (agent, way) = try await opening.value; return try AgentTalk(agent, way)
                    }))
        }
        let talk = Talk(id: String(UInt64.random(in: .min ... .max), radix: 36), sides: sides)
        talks.append(talk)
        while talks.count > most {
            // Ends the talk that was left alone the longest.
            var times: [ContinuousClock.Instant] = []
            for talk in talks { times.append(await talk.sides[0].touched) }
            let oldest = times.indices.min { times[$0] < times[$1] } ?? 0
            for side in talks.remove(at: oldest).sides { await side.close() }
        }
        return talk
    }

    private func open(_ agent: StudioAgent) -> Task<(agent: Agent, way: AgentWay), any Error> {
        if let task = opened[agent.name] { return task }
        let task = Task {
            do {
                return try await agent.open()
            } catch {
                forget(agent.name)
                throw error
            }
        }
        opened[agent.name] = task
        return task
    }

    /// Lets an agent that could not be opened be tried again.
    private func forget(_ name: String) { opened[name] = nil }

    /// - Throws: `APIError` for a talk that is no longer open.
    func talk(_ id: String) throws(APIError) -> Talk {
        guard let talk = talks.first(where: { $0.id == id }) else {
            throw APIError(status: .notFound, code: "not_found", message: "this talk has ended; begin another one")
        }
        return talk
    }

    /// Ends all talks and closes the agents.
    func close() async {
        for talk in talks { for side in talk.sides { await side.close() } }
        talks = []
        for task in opened.values {
            task.cancel()
            if let opened = try? await task.value { await opened.agent.close() }
        }
        opened = [:]
    }
}
