import RetortCore

/// A grader by name, with what it is told: what a domain's `grader` says.
public struct GraderPlan: Codable, Sendable, Hashable {
    /// How answers are held against their references.
    public enum Kind: String, Codable, Sendable, CaseIterable {
        /// The same words (`ExactGrader`).
        case exact
        /// Enough of the same words.
        case overlap
        /// The same number, or nearly.
        case number
        /// The same value, by algebra (`MathGrader`).
        case math
        /// The same letter of a choice.
        case choice
        /// The same JSON.
        case json
        /// The same rows of a table.
        case rows
        /// The reference stands in the answer.
        case contains
        /// The reference is a pattern that the answer fits.
        case regex
        /// A function of the domain's own: `grade(task, answer, state)`.
        case python
        /// The state that is left is the task's.
        case state
        /// A model judges by a rubric.
        case judge
    }

    public var kind: Kind
    /// Of `overlap`: the least F1 of the words, in 0…1.
    public var threshold: Double?
    /// Of `number` and `rows`: how far a number may be off, as a part of the reference (or of 1 where that is more).
    public var tolerance: Double?
    /// Of `rows`: whether their order counts.
    public var ordered: Bool?
    /// Of `judge`: what makes an answer good.
    public var rubric: String?

    public init(
        _ kind: Kind, threshold: Double? = nil, tolerance: Double? = nil, ordered: Bool? = nil, rubric: String? = nil
    ) {
        self.kind = kind
        self.threshold = threshold
        self.tolerance = tolerance
        self.ordered = ordered
        self.rubric = rubric
    }

    /// What its tasks are called in tables.
    public var family: AgentTask.Family {
        switch kind {
        case .exact: .factual
        case .math: .math
        default: AgentTask.Family(rawValue: kind.rawValue)
        }
    }

    /// What tables call it: its kind, and what it is told where that is not the usual.
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

    /// Whether a reference is a whole JSON value, rather than a list of accepted answers.
    public var takesWholeValues: Bool { kind == .json || kind == .rows || kind == .state }

    /// Whether a task can be graded without a reference answer.
    public var needsNoReference: Bool { kind == .python || kind == .judge }

    /// The grader; nil for the kinds that are more than a comparison of texts: `python`, `state`, `judge`.
    public func grader(symbolic: SymbolicJudge? = nil) -> (any Grader)? {
        switch kind {
        case .exact: ExactGrader()
        case .overlap: OverlapGrader(threshold: threshold ?? 0.5)
        case .number: NumberGrader(tolerance: tolerance ?? 0)
        case .math: MathGrader(judge: symbolic)
        case .choice: ChoiceGrader()
        case .json: StructureGrader(tolerance: tolerance ?? 0)
        case .rows: RowsGrader(isOrdered: ordered ?? false, tolerance: tolerance ?? 1e-6)
        case .contains: ContainsGrader()
        case .regex: PatternGrader()
        case .python, .state, .judge: nil
        }
    }
}
