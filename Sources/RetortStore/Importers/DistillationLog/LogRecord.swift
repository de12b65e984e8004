import RetortAgents
import RetortCore

/// One record of a log, with its faults corrected.
struct LogRecord {
    let question: String
    private(set) var faults: Set<LogFault> = []
    private let members: [String: JSONValue]
    private let log: [String: JSONValue]?

    /// - Throws: `LogRejection` for a record that cannot be corrected.
    init(_ value: JSONValue) throws(LogRejection) {
        var value = value
        if let text = value.string {
            guard let inner = Self.object(in: text) else { throw .unreadableText }
            faults.insert(.wholeRecordAsText)
            value = inner
        }
        guard var members = value.object else { throw .notARecord }
        if Self.isStringified(members) {
            faults.insert(.valuesAsText)
            members = members.mapValues { $0 == "None" ? .null : $0 }
        }
        guard let question = members["question"]?.string, !question.isEmpty else { throw .noQuestion }
        self.question = question
        var log = members["log_data"]
        if let text = log?.string {
            log = Self.object(in: text)
            if log == nil { throw .noLog }
            faults.insert(.logAsText)
        }
        self.log = log?.object
        self.members = members
    }

    private static func object(in text: String) -> JSONValue? {
        let value = (try? ExactJSON.value(of: text)) ?? PythonText.value(of: text)
        return value?.object == nil ? nil : value
    }

    /// Whether fields are texts that are numbers when the writer did not turn everything into text.
    private static func isStringified(_ members: [String: JSONValue]) -> Bool {
        members["cost"]?.string != nil || members["log_data"]?["metadata"]?["total_steps"]?.string != nil
    }

    /// The trajectory and its recorded grade.
    /// - Parameter task: the question as a file has it; nil takes what the record says.
    mutating func trajectory(
        source: String, family: AgentTask.Family, known task: AgentTask?, attempt: Int
    ) throws(LogRejection) -> StoredTrajectory {
        let task = restored(task, source: source, family: family)
        let isReasoning = members["response"] != nil
        var trajectory = Trajectory(
            task: task,
            provenance: Provenance(
                policy: isReasoning ? "cot" : "agent", model: members["model_id"]?.string ?? "unknown", attempt: attempt
            ))
        if let error = members["error"], error != .null {
            faults.insert(.questionFailed)
            trajectory.end(.failed(error.text))
        } else if isReasoning {
            reason(&trajectory)
        } else {
            try act(&trajectory)
        }
        return StoredTrajectory(trajectory: trajectory, verdict: verdict)
    }

    private mutating func restored(_ known: AgentTask?, source: String, family: AgentTask.Family) -> AgentTask {
        let reference = members["true_answer"] ?? members["answer"]
        if reference == nil || reference == .null { faults.insert(.referenceMissing) }
        if members["id"] == nil { faults.insert(.identityLost) }
        var task =
            known
            ?? AgentTask(
                id: "\(source)-\(members["id"]?.text ?? String(StableHash.of(question), radix: 16))",
                question: question, answers: reference.map(answers) ?? [], family: family)
        for key in ["level", "type", "split", "dataset_name"] where task.metadata[key] == nil {
            task.metadata[key] = members[key]
        }
        var reported: [String: JSONValue] = [:]
        reported["cost"] = members["cost"]
        reported["metadata"] = log?["metadata"]
        if !reported.isEmpty { task.metadata["reported"] = .object(reported) }
        return task
    }

    /// The accepted answers: each element of a list, even of a list that became a text with everything else.
    private func answers(_ reference: JSONValue) -> [String] {
        if case .array(let elements) = reference { return elements.flatMap(answers) }
        if let text = reference.string, faults.contains(.valuesAsText) || faults.contains(.wholeRecordAsText),
            text.hasPrefix("["), let elements = PythonText.value(of: text)?.array
        {
            return elements.flatMap(answers)
        }
        return reference == .null || reference == "" ? [] : [reference.text]
    }

    private var verdict: Verdict? {
        switch members["score"] {
        case .bool(let isCorrect): Verdict(isCorrect: isCorrect, reason: "as the log says")
        case .integer(let score): Verdict(isCorrect: score == 1, reason: "as the log says")
        case .number(let score): Verdict(isCorrect: score == 1, reason: "as the log says")
        case .string(let text) where ["True", "1", "1.0", "False", "0", "0.0"].contains(text):
            Verdict(isCorrect: text == "True" || text.hasPrefix("1"), reason: "as the log says")
        default: nil
        }
    }

    /// The recorded answer, of any type; nil when there is none.
    private var answer: JSONValue? {
        guard let answer = members["generated_answer"], answer != .null, answer != "" else { return nil }
        return answer
    }

    private func reason(_ trajectory: inout Trajectory) {
        let text = (members["response"]?.string ?? "").replacing("\r\n", with: "\n")
        var (thought, action) = ActionParser.reasonedTurn(text)
        if let answer { (thought, action) = (thought.isEmpty ? text : thought, .answer(answer)) }
        func tokens(_ name: String) -> Int { members[name]?.count ?? 0 }
        trajectory.append(
            Step(
                thought: thought, action: action,
                observation: action.endingObservation
                    ?? Observation(text: "", outcome: .parseError("no answer was found")),
                usage: Usage(promptTokens: tokens("input_tokens"), completionTokens: tokens("output_tokens"))))
        if case .answer(let value) = action {
            trajectory.end(.answered(value))
        } else {
            trajectory.end(.gaveUp("the reasoning held no answer"))
        }
    }

    private mutating func act(_ trajectory: inout Trajectory) throws(LogRejection) {
        guard let messages = log?["messages"]?.array ?? members["messages"]?.array else { throw .noLog }
        let turns = try LogTurns(messages)
        faults.formUnion(turns.faults)
        if log?["metadata"]?["cost"] != nil { faults.insert(.tokenTotals) }
        var steps = turns.steps
        let endsItself = steps.last?.callsFinalAnswer ?? false
        if let answer, endsItself {
            steps[steps.count - 1].observation = Observation(text: "", outcome: .final(answer))
        }
        let aside = forcedTurn
        guard !steps.isEmpty || aside != nil else { throw .noTurns }
        for step in steps { trajectory.append(step) }
        guard let answer else { return trajectory.end(.gaveUp("no answer after \(steps.count) steps")) }
        if [.bool(false), "False"].contains(log?["metadata"]?["success"]) { faults.insert(.successFalse) }
        if endsItself { return trajectory.end(.answered(answer)) }
        if aside != nil { faults.insert(.forcedAnswerAside) }
        let thought = aside.map { ActionParser.concludingTurn($0).thought } ?? ""
        trajectory.append(
            Step(
                thought: thought, action: .answer(answer), observation: Observation(text: "", outcome: .final(answer))))
        trajectory.end(.forced(answer))
    }

    /// What the model wrote when it was asked for its answer; the log keeps it among the steps without actions.
    private var forcedTurn: String? {
        let entries = log?["original_memory"]?["steps"]?.array ?? []
        guard let messages = entries.last(where: { $0["messages"] != nil })?["messages"]?.array,
            let last = messages.last(where: { ($0["role"]?.string ?? "").lowercased().hasSuffix("assistant") })
        else { return nil }
        return last["content"]?.string ?? last["content"]?.array?.compactMap { $0["text"]?.string }.joined()
    }
}

extension Step {
    /// Whether the step is a program that ends the run: it calls `final_answer` and did not fail.
    fileprivate var callsFinalAnswer: Bool {
        (action.code?.contains("final_answer(") ?? false) && !observation.outcome.isFailure
    }
}

extension Action {
    /// The observation that directly follows an answer; nil for every other action.
    fileprivate var endingObservation: Observation? {
        if case .answer(let value) = self { Observation(text: "", outcome: .final(value)) } else { nil }
    }
}
