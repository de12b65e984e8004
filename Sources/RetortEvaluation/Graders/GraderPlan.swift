import RetortCore

/// A grader by name, with its settings: a domain's `grader`.
public struct GraderPlan: Codable, Sendable, Hashable {
    /// How answers are compared with their references.
    public enum Kind: String, Codable, Sendable, CaseIterable {
        /// The same words (`ExactGrader`).
        case exact
        /// Enough of the same words (`OverlapGrader`).
        case overlap
        /// The same number, or nearly (`NumberGrader`).
        case number
        /// The same value, by algebra (`MathGrader`).
        case math
        /// The same letter of a choice (`ChoiceGrader`).
        case choice
        /// The same JSON (`StructureGrader`).
        case json
        /// The same rows of a table (`RowsGrader`).
        case rows
        /// The answer contains the reference (`ContainsGrader`).
        case contains
        /// The reference is a regular expression that matches in the answer (`PatternGrader`).
        case regex
        /// A function of the domain's own: `grade(task, answer, state)`.
        case python
        /// The final state equals the task's.
        case state
        /// A model judges by a rubric (`RubricJudge`).
        case judge
    }

    /// How answers are compared.
    public var kind: Kind
    /// For `overlap`: the least F1 of the words, in 0…1; nil is 0.5.
    public var threshold: Double?
    /// For `number`, `rows` and `json`: the largest allowed error of a number, as a fraction of the reference (or of 1
    /// where that is larger); nil is 0, and 1e-6 for `rows`.
    public var tolerance: Double?
    /// For `rows`: whether their order counts; nil is false.
    public var ordered: Bool?
    /// For `judge`: what makes an answer good.
    public var rubric: String?

    /// A grader with its settings; a setting that the kind does not have is ignored.
    public init(
        _ kind: Kind, threshold: Double? = nil, tolerance: Double? = nil, ordered: Bool? = nil, rubric: String? = nil
    ) {
        self.kind = kind
        self.threshold = threshold
        self.tolerance = tolerance
        self.ordered = ordered
        self.rubric = rubric
    }

    /// The family of its tasks, which tables show.
    public var family: AgentTask.Family {
        switch kind {
        case .exact: .factual
        case .math: .math
        default: AgentTask.Family(rawValue: kind.rawValue)
        }
    }

    /// Its name in tables: the kind, and the settings that are given.
    public var title: String {
        var parts: [String] = []
        if let threshold { parts.append("threshold \(threshold)") }
        if let tolerance { parts.append("tolerance \(tolerance)") }
        if ordered == true { parts.append("ordered") }
        if let rubric {
            parts.append(rubric.split(whereSeparator: \.isWhitespace).joined(separator: " ").shown(upTo: 40))
        }
        return kind.rawValue + (parts.isEmpty ? "" : " (\(parts.joined(separator: ", ")))")
    }

    /// Whether a reference is a whole JSON value instead of a list of accepted answers.
    public var takesWholeValues: Bool { kind == .json || kind == .rows || kind == .state }

    /// Whether a task can be graded without a reference answer.
    public var needsNoReference: Bool { kind == .python || kind == .judge }

    /// The grader; nil for the kinds that do more than compare texts: `python`, `state`, `judge`.
    public func grader(symbolic: SymbolicJudge? = nil) -> (any Grader)? {
        switch kind {
        case .exact: ExactGrader()
        case .overlap: OverlapGrader(threshold: threshold ?? 0.5)
        case .number: NumberGrader(tolerance: tolerance ?? 0)
        case .math: MathGrader(judge: symbolic)
        case .choice: ChoiceGrader()
        case .json: StructureGrader(tolerance: tolerance ?? 0)
        case .rows: RowsGrader(isOrdered: ordered ?? false, tolerance: tolerance)
        case .contains: ContainsGrader()
        case .regex: PatternGrader()
        case .python, .state, .judge: nil
        }
    }
}
