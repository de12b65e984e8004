import Foundation
import RetortAgents
import RetortCore
import RetortEvaluation

/// Checks a domain before any token is spent on it.
public struct DomainCheck: Sendable {
    /// What was found, in order.
    public private(set) var findings: [CheckResult] = []

    /// Whether every check succeeded.
    public var holds: Bool { findings.allSatisfy(\.holds) }

    /// - Parameter domain: an opened domain; its tools were imported, its tasks and documents read.
    public init(_ domain: FolderDomain) async throws {
        note("tasks", true, Self.counts(domain))
        for service in domain.hosts.services { note(service.name, true, service.remark) }
        for tool in domain.tools {
            let parameters = tool.parameters.map { "\($0.name): \($0.typeText)\($0.isRequired ? "" : " (optional)")" }
            let signature = "(\(parameters.joined(separator: ", "))) -> \(tool.returns)"
            note("tool \(tool.name)", true, "\(signature): \(tool.summary)")
        }
        if domain.tools.isEmpty { note("tools", true, "none: agents compute in Python and nothing else") }
        await searches(domain)
        unreferenced(domain)
        overlap(domain)
        await references(domain)
        await answersAlone(domain)
        try await firstTask(domain)
        if domain.tests.isEmpty {
            note(
                "tests", false, "there are no test tasks; without them no student can be measured ('tasks: {test: …}')")
        }
    }

    private mutating func note(_ name: String, _ holds: Bool, _ detail: String) {
        findings.append(CheckResult(name: name, holds: holds, detail: detail))
    }

    private static func counts(_ domain: FolderDomain) -> String {
        let tests = Dictionary(grouping: domain.tests, by: \.split).sorted { $0.key < $1.key }.map {
            "\($0.value.count) test '\($0.key)'"
        }
        let train = domain.train.isEmpty ? "train: those of the recorded trajectories" : "\(domain.train.count) train"
        return ([train] + (domain.validation.isEmpty ? [] : ["\(domain.validation.count) validation"]) + tests).joined(
            separator: ", ")
    }

    private mutating func searches(_ domain: FolderDomain) async {
        guard let retriever = domain.retriever, let task = (domain.train + domain.tests).first else { return }
        do {
            let found = try await retriever.call(["query": .string(task.question)]).text
            let title = found.split(separator: "\n").first.map(String.init) ?? found
            let count = domain.opened?.count.map { "\($0) passages; " } ?? ""
            note(
                "documents", true,
                "\(count)\(retriever.specification.name)(\"\(task.question.prefix(60))\") finds \(title)")
        } catch {
            note("documents", false, "\(error)")
        }
        if let skipped = domain.opened?.skipped, !skipped.isEmpty {
            let names = skipped.prefix(5).joined(separator: ", ") + (skipped.count > 5 ? ", …" : "")
            note("not read", true, "\(skipped.count) files beside the documents: \(names)")
        }
    }

    /// Test questions that training questions resemble. Those that are the same are refused when the domain is opened.
    private mutating func overlap(_ domain: FolderDomain) {
        let found = Contamination(domain.tests, in: TrainingText(domain.train.map(\.question)))
        guard !found.isEmpty else { return }
        let altered = found.altered?.count ?? 0
        note(
            "test questions", true,
            "\(found.exact.count + found.overlapping.count + altered) of \(domain.tests.count) resemble training questions: "
                + "\(found.exact.count) but for case and punctuation, \(found.overlapping.count) in half of their words, "
                + "\(altered) with other numbers; such as \(found.examples.joined(separator: ", ")). Figures of these "
                + "are better than they would be on new questions")
    }

    /// Reports tasks for which no answer can be right, and graders that are not checked here.
    private mutating func unreferenced(_ domain: FolderDomain) {
        let all = domain.train + domain.validation + domain.tests
        let open = all.filter { task in
            guard let plan = domain.plan.grader(of: task), !plan.needsNoReference else { return false }
            return task.answers.isEmpty && !(plan.kind == .state && task.metadata["state"] != nil)
        }
        if let first = open.first {
            let kind = domain.plan.grader(of: first)?.kind.rawValue ?? ""
            note(
                "answers", false,
                "\(open.count) of \(all.count) tasks have no reference answer, such as '\(first.id)', and the grader "
                    + "'\(kind)' needs one: give them a member '\(domain.plan.fields.answer)', or choose the grader 'python' or "
                    + "'judge'")
        }
        if domain.plan.needsJudge {
            note("judge", true, "its rubric is put to the model that a recipe names with 'judge'; it is not asked here")
        }
    }

    /// Whether the grader accepts every reference answer, and refuses another task's where the two differ.
    private mutating func references(_ domain: FolderDomain) async {
        let grader = DomainGrader(domain, symbolic: nil)
        let tasks = (domain.train + domain.validation + domain.tests).filter { !$0.answers.isEmpty }
        let graded = tasks.filter { domain.plan.grader(of: $0)?.grader() != nil }
        guard !graded.isEmpty else { return }
        var refused: [String] = []
        var deceived: [String] = []
        for (index, task) in graded.enumerated() {
            do {
                if try await !grader.grade(Self.answered(task, task.answers[0])).isCorrect { refused.append(task.id) }
                let other = graded[(index + 1) % graded.count].answers[0]
                if !task.answers.contains(other), other.lowercased() != task.answers[0].lowercased(),
                    try await grader.grade(Self.answered(task, other)).isCorrect
                {
                    deceived.append(task.id)
                }
            } catch {
                refused.append("\(task.id) (\(error))")
            }
        }
        note(
            "references", refused.isEmpty,
            refused.isEmpty
                ? "the grader accepts all \(graded.count) reference answers"
                : "the grader refuses \(refused.count) of \(graded.count) reference answers: "
                    + refused.prefix(5).joined(separator: ", ") + "; choose another 'grader', or correct them")
        if !deceived.isEmpty {
            note(
                "other answers", [.contains, .regex, .overlap].contains(domain.plan.grader.kind),
                "the grader accepts another task's answer for \(deceived.count) of \(graded.count) tasks: "
                    + deceived.prefix(5).joined(separator: ", "))
        }
    }

    /// Puts reference answers to the domain's own `grade`, as an agent gives them that does nothing else. Where a state is judged, too,
    /// it may refuse each with reason; elsewhere it must not refuse all.
    private mutating func answersAlone(_ domain: FolderDomain) async {
        let tasks = (domain.train + domain.validation + domain.tests).filter {
            !$0.answers.isEmpty && domain.plan.grader(of: $0)?.kind == .python
        }
        guard !tasks.isEmpty else { return }
        let step = (tasks.count + Self.mostGraded - 1) / Self.mostGraded
        let asked = stride(from: 0, to: tasks.count, by: step).map { tasks[$0] }
        let grader = DomainGrader(domain, symbolic: nil)
        var refused: [(id: String, reason: String)] = []
        for task in asked {
            do {
                var verdict = Verdict(isCorrect: false, reason: "")
                for answer in Self.forms(task, domain) where !verdict.isCorrect {
                    verdict = try await grader.grade(Self.answered(task, answer))
                }
                if !verdict.isCorrect { refused.append((task.id, verdict.reason)) }
            } catch {
                return note("references", false, "grade() fails on '\(task.id)': \(error)")
            }
        }
        let judgesState = domain.has("state")
        let told = refused.first.map { "; it refuses '\($0.id)', for one (\($0.reason))" } ?? ""
        note(
            "references", refused.count < asked.count || judgesState,
            "grade() accepts \(asked.count - refused.count) of \(asked.count) reference answers"
                + (judgesState ? " given without anything done" : "") + told)
    }

    /// How many reference answers are put to a domain's own function.
    private static let mostGraded = 50

    /// What an agent could answer that gives the reference: the first of several, the value, its text.
    private static func forms(_ task: AgentTask, _ domain: FolderDomain) -> [JSONValue] {
        let own = domain.record(task)[domain.plan.fields.answer] ?? .null
        return [own.array?.first, own, .string(own.text)].compactMap(\.self)
    }

    private static func answered(_ task: AgentTask, _ answer: String) -> Trajectory {
        answered(task, (try? ExactJSON.value(of: answer)) ?? .string(answer))
    }

    private static func answered(_ task: AgentTask, _ answer: JSONValue) -> Trajectory {
        var trajectory = Trajectory(task: task, provenance: Provenance(policy: "check", model: "reference"))
        trajectory.end(.answered(answer))
        return trajectory
    }

    /// Makes a session for the first task, looks at its state and, where the domain grades by itself, grades it as if
    /// the agent had done nothing.
    private mutating func firstTask(_ domain: FolderDomain) async throws {
        guard let task = (domain.train + domain.tests).first, domain.interpreter != nil || !domain.hosts.isEmpty
        else { return }
        do {
            let session = try await domain.session(
                for: task, form: domain.interpreter == nil ? .json : .code, tools: domain.hostTools
            ) {
                throw DomainError.cannotStart("Python", reason: "there is none")
            }
            let state = try await session.state()
            await session.close()
            let told = state.map { "; its state has \($0.jsonText.utf8.count) bytes" } ?? ""
            note("session", true, "a session for '\(task.id)' is set up\(told)")
            guard domain.has("grade") else { return }
            var idle = Self.answered(task, "")
            idle.state = state
            let verdict = try await DomainGrader(domain, symbolic: nil).grade(idle)
            note(
                "grade", true,
                "an agent that does nothing on '\(task.id)' is graded \(verdict.isCorrect ? "right" : "wrong") "
                    + "(\(verdict.reason))")
        } catch {
            note("session", false, "\(error)")
        }
    }
}
