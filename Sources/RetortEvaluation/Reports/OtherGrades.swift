import Foundation
import RetortCore

/// The results of a grader that does not decide, for one system and split.
public struct OtherGrades: Codable, Sendable, Hashable {
    /// The student's name.
    public var student: String
    /// The system's name.
    public var system: String
    /// The split of the tasks.
    public var split: String
    /// The grader's title.
    public var grader: String
    /// The number of runs that it graded.
    public var n: Int
    /// The number of runs that it could not grade, including failed ones.
    public var ungraded: Int
    /// The percentage of the graded runs that it takes for right.
    public var accuracy: Double
    /// The lower end of its 95 % interval (Wilson).
    public var low: Double
    /// The upper end.
    public var high: Double
    /// How many of the graded runs the deciding grader judges differently.
    public var otherwise: Int

    /// - Parameter runs: the runs of one split, each with the deciding verdict and this grader's; nil where there is
    ///   none.
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
