import RetortCore
import RetortEvaluation

/// Grades runs of a domain's tasks: by a comparison of answers, by the state that is left, or by the domain's own function.
struct DomainGrader: TrajectoryGrader {
    private let domain: FolderDomain
    private let plans: [AgentTask.Family: GraderPlan]
    private let graders: [AgentTask.Family: any Grader]

    init(_ domain: FolderDomain, symbolic: SymbolicJudge?) {
        self.domain = domain
        let all = [domain.plan.grader] + domain.plan.tests.compactMap(\.tasks.grader)
        plans = Dictionary(all.map { ($0.family, $0) }, uniquingKeysWith: { first, _ in first })
        graders = plans.compactMapValues { $0.grader(symbolic: symbolic) }
    }

    func grade(_ trajectory: Trajectory) async throws -> Verdict {
        let task = trajectory.task
        let kind = plans[task.family]?.kind
        // An agent that changes a state may end without words; what it left is judged all the same.
        let judgesState = kind == .python || kind == .state
        if let verdict = trajectory.verdictWithoutAnswer {
            guard judgesState, case .gaveUp = trajectory.ending else { return verdict }
        }
        switch kind {
        case .python: return try await byFunction(trajectory)
        case .state: return byState(trajectory)
        case .judge: return Verdict(isCorrect: false, reason: "not judged")
        default:
            guard let grader = graders[task.family] else {
                return await FamilyGrader().grade(trajectory)
            }
            return await grader.grade(trajectory.answer, for: task)
        }
    }

    private func byFunction(_ trajectory: Trajectory) async throws -> Verdict {
        guard let interpreter = domain.interpreter else {
            throw DomainError.cannotGrade(grader: "python", needs: "the interpreter")
        }
        let answer: JSONValue =
            switch trajectory.ending {
            case .answered(let value), .forced(let value): value
            case .gaveUp, .failed, nil: .null
            }
        let result = try await interpreter.grade(
            task: domain.record(trajectory.task), answer: answer, state: trajectory.state ?? .null)
        switch result {
        case .bool(let isCorrect):
            return Verdict(isCorrect: isCorrect, reason: isCorrect ? "graded right" : "graded wrong")
        case .array(let parts) where parts.count == 2:
            guard case .bool(let isCorrect) = parts[0] else { break }
            return Verdict(isCorrect: isCorrect, reason: parts[1].text)
        default: break
        }
        throw DomainError.cannotGrade(
            grader: "python",
            needs: "True, False or a pair of one of them and a reason from grade(), not \(result.jsonText)")
    }

    private func byState(_ trajectory: Trajectory) -> Verdict {
        guard let wanted = trajectory.task.metadata["state"] ?? trajectory.task.answers.first.map(JSONValue.read) else {
            return Verdict(isCorrect: false, reason: "no reference state")
        }
        let isRight = (trajectory.state ?? .null).equals(wanted, tolerance: 0)
        return Verdict(isCorrect: isRight, reason: isRight ? "the state is as it should be" : "another state")
    }
}
