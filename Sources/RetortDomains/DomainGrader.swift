import RetortCore
import RetortEvaluation

/// Grades runs of a domain's tasks: by a comparison of answers, by the final state, by the domain's own function, or by
/// a model with a rubric.
struct DomainGrader: TrajectoryGrader {
    private let domain: FolderDomain
    private let symbolic: SymbolicJudge?
    private let judge: RubricJudge?
    /// The grader of every task; nil is each task's own.
    private let fixed: GraderPlan?

    /// - Parameter fixed: grades every task; nil leaves each task to its file's grader.
    init(_ domain: FolderDomain, symbolic: SymbolicJudge?, judge: RubricJudge? = nil, by fixed: GraderPlan? = nil) {
        (self.domain, self.symbolic, self.judge, self.fixed) = (domain, symbolic, judge, fixed)
    }

    func grade(_ trajectory: Trajectory) async throws -> Verdict {
        let plan = fixed ?? domain.plan.grader(of: trajectory.task)
        // An agent that changes a state may end without words; the state it left is judged nevertheless.
        let judgesState = plan?.kind == .python || plan?.kind == .state
        if let verdict = trajectory.verdictWithoutAnswer {
            guard judgesState, case .gaveUp = trajectory.ending else { return verdict }
        }
        guard let plan else { return await FamilyGrader().grade(trajectory) }
        switch plan.kind {
        case .python: return try await byFunction(trajectory)
        case .state: return byState(trajectory)
        case .judge: return try await byRubric(trajectory, plan.rubric ?? "")
        default:
            guard let grader = plan.grader(symbolic: symbolic) else {
                return await FamilyGrader().grade(trajectory)
            }
            let task = fixed == nil ? trajectory.task : domain.plan.task(trajectory.task, for: plan)
            guard !task.answers.isEmpty else { return Verdict(isCorrect: false, reason: "no reference answer") }
            return await grader.grade(trajectory.answer, for: task)
        }
    }

    private func byRubric(_ trajectory: Trajectory, _ rubric: String) async throws -> Verdict {
        guard let judge else {
            throw DomainError.cannotGrade(grader: "judge", needs: "a model: name it with 'judge' in the recipe")
        }
        return try await judge.judge(trajectory, by: rubric)
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

extension DomainPlan {
    /// All graders that the plan names.
    public var graders: [GraderPlan] {
        let files = [train, validation].compactMap(\.self) + tests.map(\.tasks)
        return [grader] + files.compactMap(\.grader) + also
    }

    /// Whether correctness is judged by a model with a rubric.
    public var isJudged: Bool { graders.dropLast(also.count).contains { $0.kind == .judge } }

    /// Whether any grader, decisive or not, is a model with a rubric.
    public var needsJudge: Bool { graders.contains { $0.kind == .judge } }

    /// The grader of a task: its file's, or else the domain's. Nil for a task of a family that none of the domain's
    /// graders is for.
    func grader(of task: AgentTask) -> GraderPlan? {
        let file =
            switch task.split {
            case "train": train
            case "validation": validation
            case let split: tests.first { $0.split == split }?.tasks
            }
        let own = file?.grader ?? grader
        return own.family == task.family ? own : graders.first { $0.family == task.family }
    }

    /// A task with its reference answers in another grader's form.
    func task(_ task: AgentTask, for plan: GraderPlan) -> AgentTask {
        var task = task
        let own = Self.record(task, answer: fields.answer)[fields.answer] ?? .null
        task.answers = Self.references(own, plan)
        task.family = plan.family
        return task
    }
}

extension FolderDomain {
    /// The graders of the task files, or of the domain.
    public func grader(symbolic: SymbolicJudge?, judge: RubricJudge?) -> (any TrajectoryGrader)? {
        DomainGrader(self, symbolic: symbolic, judge: judge)
    }

    /// The graders listed under `also`.
    public func otherGraders(
        symbolic: SymbolicJudge?, judge: RubricJudge?
    ) -> [(name: String, grader: any TrajectoryGrader)] {
        plan.also.map { ($0.title, DomainGrader(self, symbolic: symbolic, judge: judge, by: $0)) }
    }
}
