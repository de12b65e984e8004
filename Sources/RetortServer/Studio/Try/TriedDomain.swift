import Foundation
import RetortCore
import RetortDomains
import RetortEvaluation

/// A domain that is being tried out: its session, and what was done in it.
actor TriedDomain {
    /// Something that was done, and its result.
    struct Deed: Sendable {
        let title: String
        let detail: String
        let outcome: Outcome
    }

    enum Outcome: Sendable {
        case seen(Observation)
        case text(String)
        case verdicts([(grader: String, verdict: Verdict)])
        case fault(String)
    }

    private static let mostDeeds = 40

    nonisolated let domain: FolderDomain
    private var session: (any Environment)?
    private(set) var task: AgentTask
    private(set) var deeds: [Deed] = []
    private var isBusy = false

    init(_ domain: FolderDomain) {
        self.domain = domain
        task =
            domain.tests.first ?? domain.train.first
            ?? AgentTask(id: "none", question: "", answers: [], family: .factual)
    }

    /// All tasks that can be chosen.
    nonisolated var tasks: [AgentTask] { domain.tests + domain.validation + domain.train }

    /// Begins a new session for a task.
    func begin(_ id: String) async throws {
        guard let task = tasks.first(where: { $0.id == id }) else {
            throw APIError.invalid("the domain has no task '\(id.shown(upTo: 200))'")
        }
        try await alone {
            await session?.close()
            session = nil
            self.task = task
            deeds = []
        }
    }

    /// Calls a tool in the session.
    func call(_ tool: ToolSpecification, _ arguments: [String: JSONValue]) async throws {
        try await alone {
            let detail = JSONValue.object(arguments).jsonText
            do {
                let checked = try tool.validated(arguments)
                let observation = try await current().perform(.toolCall(name: tool.name, arguments: .object(checked)))
                note(Deed(title: tool.name, detail: detail, outcome: .seen(observation)))
            } catch {
                note(Deed(title: tool.name, detail: detail, outcome: .fault("\(error)")))
            }
        }
    }

    /// Searches the domain's documents.
    func search(_ query: String) async throws {
        guard let retriever = domain.retriever else { throw APIError.invalid("the domain has no documents") }
        try await alone {
            do {
                let found = try await retriever.call(["query": .string(query)], seconds: Self.searchSeconds)
                note(Deed(title: "search", detail: query, outcome: .text(found.text)))
            } catch {
                note(Deed(title: "search", detail: query, outcome: .fault("\(error)")))
            }
        }
    }

    private static let searchSeconds = 60.0

    /// Grades an answer to the task, given the state of the session.
    func grade(_ answer: JSONValue) async throws {
        try await alone {
            var trajectory = Trajectory(task: task, provenance: Provenance(policy: "by hand", model: "a person"))
            trajectory.end(.answered(answer))
            var verdicts: [(grader: String, verdict: Verdict)] = []
            do {
                if let state = try await session?.state(), state != .null { trajectory.state = state }
                let grader = domain.grader(symbolic: nil, judge: nil) ?? FamilyGrader()
                verdicts.append(("the grader", try await grader.grade(trajectory)))
                for other in domain.otherGraders(symbolic: nil, judge: nil) {
                    verdicts.append((other.name, try await other.grader.grade(trajectory)))
                }
                note(Deed(title: "answer", detail: answer.text, outcome: .verdicts(verdicts)))
            } catch {
                note(Deed(title: "answer", detail: answer.text, outcome: .fault("\(error)")))
            }
        }
    }

    /// The state that the session reports; nil if it has none.
    func state() async -> JSONValue? {
        guard !isBusy, let state = try? await session?.state(), state != .null else { return nil }
        return state
    }

    func close() async {
        await session?.close()
        session = nil
        await domain.close()
    }

    private func current() async throws -> any Environment {
        if let session { return session }
        let opened = try await domain.session(for: task, form: .json, tools: domain.hostTools) {
            throw APIError.server("calls need no interpreter")
        }
        session = opened
        return opened
    }

    private func note(_ deed: Deed) {
        deeds.insert(deed, at: 0)
        if deeds.count > Self.mostDeeds { deeds.removeLast() }
    }

    /// Runs one thing at a time, because a session cannot be shared.
    private func alone(_ work: () async throws -> Void) async throws {
        guard !isBusy else {
            throw APIError(status: .conflict, code: "not_now", message: "another call is under way; wait for it to end")
        }
        isBusy = true
        defer { isBusy = false }
        try await work()
    }
}

/// The domains that are open.
actor TriedDomains {
    private let domains: [StudioDomain]
    private var opened: [String: Task<TriedDomain, any Error>] = [:]

    init(_ domains: [StudioDomain]) { self.domains = domains }

    nonisolated var names: [String] { domains.map(\.name) }

    /// A domain with its session, opened when it is first asked for.
    /// - Throws: `APIError` for an unknown domain, and errors from opening it.
    func table(_ name: String) async throws -> TriedDomain {
        guard let domain = domains.first(where: { $0.name == name }) else {
            throw APIError(
                status: .notFound, code: "not_found", message: "there is no domain '\(name.shown(upTo: 200))' here")
        }
        if let task = opened[name] { return try await task.value }
        let task = Task { TriedDomain(try await domain.open()) }
        opened[name] = task
        do {
            return try await task.value
        } catch {
            opened[name] = nil
            throw error
        }
    }

    func close() async {
        for task in opened.values {
            if let table = try? await task.value { await table.close() }
        }
        opened = [:]
    }
}
