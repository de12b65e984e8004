import Foundation
import RetortCore

/// Checks that a grader can be trusted with a set of tasks: it accepts their own answers in every form, and rejects
/// them once they are altered.
package struct GraderSelfTest: Codable, Sendable, Hashable {
    /// An answer that was graded wrongly.
    package struct Failure: Codable, Sendable, Hashable {
        /// The task's id.
        package let id: String
        /// The task's first reference answer.
        package let reference: String
        /// The answer that was graded.
        package let answer: String
        /// How the answer was made: `boxed`, `plain`, `sympy`, or what was altered.
        package let kind: String
        /// The grader's reason.
        package let reason: String
    }

    /// The number of tasks with a reference answer.
    package private(set) var n = 0
    /// Tasks whose own answers were accepted in every form.
    package private(set) var accepted = 0
    /// How many answers were graded in all forms together.
    package private(set) var forms = 0
    /// How many of `forms` were accepted.
    package private(set) var acceptedForms = 0
    /// Mathematical references that were parsed, and not only compared as texts.
    package private(set) var understood = 0
    /// How many altered answers were graded.
    package private(set) var altered = 0
    /// How many altered answers were rejected.
    package private(set) var rejected = 0
    /// Own answers that were refused.
    package private(set) var refused: [Failure] = []
    /// Altered answers that were accepted.
    package private(set) var exceptions: [Failure] = []

    /// Whether every own answer is accepted and 99.9 % of the altered ones are rejected.
    package var passes: Bool { accepted == n && Double(rejected) >= 0.999 * Double(altered) }

    /// Grades every task's own answer and its alterations; only mathematical answers are altered.
    /// - Parameters:
    ///   - tasks: tasks with reference answers; others are skipped.
    ///   - judge: also writes expressions as SymPy does; nil skips that form.
    /// - Throws: `CancellationError`, and what SymPy's sandbox throws.
    package init(_ tasks: [AgentTask], grader: some Grader, judge: SymbolicJudge? = nil) async throws {
        for task in tasks {
            try Task.checkCancellation()
            guard let reference = task.answers.first else { continue }
            n += 1
            var isAccepted = true
            if task.family == .math, !MathGrader.readings(reference).nodes.isEmpty { understood += 1 }
            for (kind, answer) in try await Self.forms(of: reference, task.family, judge) {
                forms += 1
                let verdict = await grader.grade(answer, for: task)
                if verdict.isCorrect {
                    acceptedForms += 1
                } else {
                    isAccepted = false
                    refused.append(Failure(task, reference, answer, kind, verdict))
                }
            }
            if isAccepted { accepted += 1 }
            for alteration in task.family == .math ? AlteredAnswer.all(of: reference) : [] {
                altered += 1
                let verdict = await grader.grade(alteration.text, for: task)
                if verdict.isCorrect {
                    exceptions.append(Failure(task, reference, alteration.text, alteration.kind, verdict))
                } else {
                    rejected += 1
                }
            }
        }
    }

    private static func forms(
        of reference: String, _ family: AgentTask.Family, _ judge: SymbolicJudge?
    ) async throws -> [(String, String)] {
        guard family == .math else { return [("plain", reference)] }
        var forms = [("boxed", "\\boxed{\(reference)}"), ("plain", reference)]
        if let judge, let node = MathGrader.readings(reference).nodes.first, node.isWorthPrinting,
            let text = try await judge.text(of: MathComparison.simplified(node))
        {
            forms.append(("sympy", text))
        }
        return forms
    }
}

extension GraderSelfTest.Failure {
    fileprivate init(_ task: AgentTask, _ reference: String, _ answer: String, _ kind: String, _ verdict: Verdict) {
        (id, self.reference, self.answer, self.kind) = (task.id, reference, answer, kind)
        reason = verdict.reason
    }
}

extension MathNode {
    /// Whether SymPy would write it differently from its reference: not for plain numbers.
    fileprivate var isWorthPrinting: Bool {
        switch self {
        case .number(let value, let places): places == nil && !value.isInteger
        case .degrees, .percent, .quantity, .text, .numeral, .ratio: false
        default: true
        }
    }
}
