import RetortCore

extension ScriptedTeacher {
    /// The chain-of-thought form of a solution: all facts and intermediate results in prose, then the answer.
    ///
    /// - Parameter passages: what a search for the question found; nil for a solution without a retriever's step.
    /// - Returns: a finished trajectory of one step, or two with passages; nil for a task that is not one of the
    ///   world's.
    public func reasoned(_ task: AgentTask, passages: (query: String, text: String)? = nil) -> Trajectory? {
        guard let reasoning = reasoning(task), let answer = task.answers.first else { return nil }
        var trajectory = Trajectory(
            task: task,
            provenance: Provenance(policy: passages == nil ? "cot" : "cot+rag", model: modelIdentity))
        if let passages {
            trajectory.append(.retrieval("web_search", query: passages.query, passages: passages.text))
        }
        trajectory.append(
            Step(
                thought: reasoning, action: .answer(.string(answer)),
                observation: Observation(text: "", outcome: .final(.string(answer)))))
        trajectory.end(.answered(.string(answer)))
        return trajectory
    }

    private func reasoning(_ task: AgentTask) -> String? { statements(task)?.joined(separator: " ") }

    /// The facts and intermediate results, in order; nil for a task that is not one of the world's.
    func statements(_ task: AgentTask) -> [String]? {
        if let plan = problems[task.id] { return [Self.arithmetic(plan)] }
        switch factual[task.id] {
        case .chain(let start, let relations):
            var statements: [String] = []
            var current = start
            for relation in relations {
                statements.append(world.statement(relation, of: current) ?? "")
                if case .entity(let next) = world.value(relation, of: current) { current = next }
            }
            return statements
        case .comparison(let a, let b, let relation, _):
            return [a, b].compactMap { world.statement(relation, of: $0) }
        case .difference(let a, let first, let b, let second):
            let values = [(a, first), (b, second)].map { world.value($1, of: $0).map(world.text) ?? "" }
            let statements = [world.statement(first, of: a), world.statement(second, of: b)].compactMap { $0 }
            return statements + ["\(values[1]) - \(values[0]) = \(task.answers.first ?? "")."]
        case nil: return nil
        }
    }

    /// Each operation with its result, as one calculates on paper.
    static func arithmetic(_ plan: WordProblems.Plan) -> String {
        var value = plan.numbers[0]
        return zip(plan.operations, plan.numbers.dropFirst()).map { operation, number in
            let before = value
            switch operation {
            case .groups, .times: value *= number
            case .more: value += number
            case .fewer: value -= number
            case .share: value /= number
            }
            let sign =
                switch operation {
                case .groups, .times: "*"
                case .more: "+"
                case .fewer: "-"
                case .share: "/"
                }
            return "\(before) \(sign) \(number) = \(value)."
        }.joined(separator: " ")
    }
}
