import RetortCore

/// Makes trajectories with every enum case in them, from a seed.
struct TrajectoryMaker {
    private var generator: SeededGenerator

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    /// Values that JSON is known to confuse, and texts that storage is known to spoil.
    static let values: [JSONValue] = [
        .null, true, false, 0, 1, -7, .integer(.max), .integer(.min), 2.0, -0.5, 1e300, 1e15, 1e-9, .number(-0.0),
        .number(.infinity), .number(-.infinity), "", "2.0", "null", "line\nbreak\r\n\ttab", "quote \" back\\slash /",
        "日本語 🧪 e\u{301} \u{2028}", "nul \0 end", ["$exact": "2.0"], ["$exact": ["$exact": 1.0]], ["$int": "9"],
        [], [:], [1, 1.0, "1", .null, [1.0]], ["a": 1.0, "b": ["c": .null]],
    ]

    mutating func trajectory(_ index: Int) -> Trajectory {
        var trajectory = Trajectory(
            task: AgentTask(
                id: "task-\(index)", question: text(), answers: index.isMultiple(of: 3) ? [] : [text(), text()],
                family: pick([AgentTask.Family.factual, .math]), split: pick(["", "train", "out"]),
                metadata: ["a": value(), "b": value()]),
            provenance: Provenance(
                policy: pick(["agent", "cot"]), model: "m", seed: generator.next(), attempt: index,
                prompt: pick([nil, "0123"]), version: pick([nil, "0.1.0"])))
        for _ in 0..<pick([0, 1, 4]) { trajectory.append(step()) }
        if let ending = ending() { trajectory.end(ending) }
        if index.isMultiple(of: 2) { trajectory.state = ["left": value()] }
        return trajectory
    }

    private mutating func step() -> Step {
        var step = Step(
            speaker: pick(["agent", "planner"]), thought: text(), action: action(), observation: observation(),
            usage: Usage(promptTokens: 12, completionTokens: 3, seconds: pick([0, 0.1, 2])),
            candidates: (0..<pick([0, 2])).map { votes in
                Candidate(
                    thought: text(), action: action(), observation: votes == 0 ? nil : observation(), votes: votes,
                    chosen: votes == 1)
            },
            transcript: pick([
                nil, .same, .drifted(text: text()), .tokens(TokenIDs(prompt: [1, 2, .max], completion: [])),
            ]), remarks: pick([nil, [text(), text()]]), wording: pick([nil, text()]))
        step.isLearned = pick([nil, false])
        return step
    }

    private mutating func action() -> Action {
        switch pick(Array(0..<5)) {
        case 0: .code(text())
        case 1: .toolCall(name: "web_search", arguments: value())
        case 2: .answer(value())
        case 3: .giveUp(reason: text())
        default: .unparsable(text: text(), reason: text())
        }
    }

    private mutating func observation() -> Observation {
        let outcome: Observation.Outcome =
            switch pick(Array(0..<5)) {
            case 0: .success
            case 1: .final(value())
            case 2: .parseError(text())
            case 3: .executionError(type: "NameError", message: text())
            default: .timeout(seconds: 5)
            }
        let calls = [
            ToolCall(name: "f", arguments: ["x": value()], result: value()),
            ToolCall(name: "g", arguments: [:], error: text()),
        ]
        return Observation(text: text(), outcome: outcome, toolCalls: pick([[], calls]), seconds: 1)
    }

    private mutating func ending() -> Ending? {
        switch pick(Array(0..<5)) {
        case 0: .answered(value())
        case 1: .forced(value())
        case 2: .gaveUp(text())
        case 3: .failed(text())
        default: nil
        }
    }

    private mutating func value() -> JSONValue { pick(Self.values) }
    private mutating func text() -> String { pick(Self.values.compactMap(\.string)) }
    private mutating func pick<Element>(_ choices: [Element]) -> Element {
        choices[Int.random(in: choices.indices, using: &generator)]
    }
}
