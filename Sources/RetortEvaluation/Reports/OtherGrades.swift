import Foundation
import RetortCore

/// What a grader that does not decide says of a system's runs.
public struct OtherGrades: Codable, Sendable, Hashable {
    public var student: String
    public var system: String
    public var split: String
    /// What the grader is called.
    public var grader: String
    /// Runs that it graded, and those that it could not, failed ones among them.
    public var n: Int
    public var ungraded: Int
    /// Of those that it graded: right ones in percent, with the 95 % interval (Wilson).
    public var accuracy: Double
    public var low: Double
    public var high: Double
    /// How many of them the grader that decides takes otherwise.
    public var otherwise: Int

    /// - Parameter runs: of one split, each with what decides, and what this grader says; nil where it says nothing.
    public init(
        student: String, system: String, split: String, grader: String, _ runs: [(decides: Verdict?, other: Verdict?)]
    ) {
        (self.student, self.system, self.split, self.grader) = (student, system, split, grader)
        let graded = runs.compactMap { run in run.other.map { (run.decides?.isCorrect, $0.isCorrect) } }
        n = graded.count
        ungraded = runs.count - graded.count
        let right = Proportion(successes: graded.count { $0.1 }, count: graded.count)
        func rounded(_ value: Double) -> Double { (value * 10_000).rounded() / 100 }
        (accuracy, low, high) = (rounded(right.value), rounded(right.interval.low), rounded(right.interval.high))
        otherwise = graded.count { $0.0 != nil && $0.0 != $0.1 }
    }

    /// All of them in one table; empty without any.
    public static func table(_ grades: [OtherGrades]) -> ReportTable {
        ReportTable(
            "Other graders",
            columns: ["Student", "System", "Tasks", "Grader", "Right", "Graded", "Not graded", "Otherwise"], names: 4,
            rows: grades.map { one in
                [
                    one.student, one.system, one.split, one.grader,
                    one.n == 0 ? "–" : String(format: "%.1f (%.0f–%.0f)", one.accuracy, one.low, one.high),
                    "\(one.n)", "\(one.ungraded)", "\(one.otherwise)",
                ]
            },
            note:
                "They decide nothing. In percent, with 95 % intervals; otherwise: runs that the grader that decides takes for "
                + "wrong where this one takes them for right, or the other way round.")
    }
}
